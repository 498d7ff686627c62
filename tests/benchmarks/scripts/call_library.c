/* Latency of a call of the C library, as JSON: call_library ROWS COLUMNS WARMUP CALLS. On one thread; each call, with the
 * free() of its result, is timed by itself, as the runner does. */
#define _POSIX_C_SOURCE 200809L
#include <bench.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int compare(const void *left, const void *right) {
  const double difference = *(const double *)left - *(const double *)right;
  return (difference > 0) - (difference < 0);
}

static void check(int status) {
  if (status == BENCH_OK) return;
  fprintf(stderr, "%s\n", bench_last_error());
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
  int64_t shape[2];
  long warmup, calls, i;
  bench_options options = {sizeof(bench_options), 1, NULL, NULL, 0, 0};
  bench_model model;
  bench_value input, result;
  double *times, before, sum = 0;
  float *data;
  if (argc != 5) return 2;
  shape[0] = atol(argv[1]);
  shape[1] = atol(argv[2]);
  warmup = atol(argv[3]);
  calls = atol(argv[4]);
  data = malloc((size_t)(shape[0] * shape[1]) * sizeof(float));
  times = malloc((size_t)calls * sizeof(double));
  for (i = 0; i < shape[0] * shape[1]; ++i) data[i] = 1;
  check(bench_open(&options, &model));
  check(bench_tensor_copy(data, "float32", shape, 2, &input));
  for (i = 0; i < warmup; ++i) {
    check(bench_call(model, NULL, &input, 1, &result));
    check(bench_free(result));
  }
  before = now();
  for (i = 0; i < calls; ++i) {
    double after;
    check(bench_call(model, NULL, &input, 1, &result));
    check(bench_free(result));
    after = now();
    times[i] = after - before;
    before = after;
  }
  for (i = 0; i < calls; ++i) sum += times[i] / (double)calls;
  qsort(times, (size_t)calls, sizeof(double), compare);
  printf("{\"p50\": %.9g, \"mean\": %.9g}\n", times[(calls + 1) / 2 - 1], sum);
  check(bench_free(input));
  check(bench_close(model));
  free(data);
  free(times);
  return 0;
}
