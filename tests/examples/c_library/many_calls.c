/* many_calls CALLS THREADS: calls one model from several threads, checks every result, and prints how many bytes malloc()
 * has given out and not got back, before and after. */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <series.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static series_model model;
static long calls;
static int wrong = 0;

#define CHECK(status)                                                      \
  if ((status) != SERIES_OK) {                                             \
    fprintf(stderr, "line %d: %s\n", __LINE__, series_last_error());       \
    exit(1);                                                               \
  }

static void release(DLManagedTensor *tensor) { free(tensor->manager_ctx); }

/* A tensor whose memory is given back by its deleter. */
static series_value make_tensor(float first) {
  static int64_t shape[2] = {2, 3};
  struct owned {
    DLManagedTensor managed;
    float data[6];
  } *owned = calloc(1, sizeof(*owned));
  series_value value;
  int i;
  for (i = 0; i < 6; ++i) owned->data[i] = first + (float)i;
  owned->managed.dl_tensor.data = owned->data;
  owned->managed.dl_tensor.device.device_type = kDLCPU;
  owned->managed.dl_tensor.dtype.code = kDLFloat;
  owned->managed.dl_tensor.dtype.bits = 32;
  owned->managed.dl_tensor.dtype.lanes = 1;
  owned->managed.dl_tensor.ndim = 2;
  owned->managed.dl_tensor.shape = shape;
  owned->managed.manager_ctx = owned;
  owned->managed.deleter = release;
  CHECK(series_from_dlpack(&owned->managed, &value))
  return value;
}

static void *work(void *argument) {
  const float first = (float)*(int *)argument;
  long i;
  for (i = 0; i < calls; ++i) {
    series_value arguments[2], texts[2], result, part, words;
    DLManagedTensor *out;
    const char *text;
    arguments[0] = make_tensor(first);
    CHECK(series_float(2, &arguments[1]))
    CHECK(series_call(model, NULL, arguments, 2, &result))
    CHECK(series_find(result, "scaled", &part))
    CHECK(series_to_dlpack(part, &out))
    CHECK(series_free(part))
    CHECK(series_free(result))
    if (((float *)out->dl_tensor.data)[5] != 2 * (first + 5)) wrong = 1;
    out->deleter(out);
    CHECK(series_free(arguments[1]))

    CHECK(series_string("a", 1, &texts[0]))
    CHECK(series_string("b", 1, &texts[1]))
    CHECK(series_list(texts, 2, &arguments[1]))
    CHECK(series_call(model, "describe", arguments, 2, &result))
    CHECK(series_item(result, 0, &words))
    CHECK(series_free(result))
    CHECK(series_get_text(words, &text, NULL))
    if (strcmp(text, "a rises 2 times, b rises 2 times") != 0) wrong = 1;
    CHECK(series_free(words))
    if (series_call(model, "describe", arguments, 1, &result) == SERIES_OK) wrong = 1;
    CHECK(series_free(texts[0]))
    CHECK(series_free(texts[1]))
    CHECK(series_free(arguments[0]))
    CHECK(series_free(arguments[1]))
  }
  return NULL;
}

static void run(int threads) {
  pthread_t workers[64];
  int numbers[64], i;
  for (i = 0; i < threads; ++i) {
    numbers[i] = i;
    pthread_create(&workers[i], NULL, work, &numbers[i]);
  }
  for (i = 0; i < threads; ++i) pthread_join(workers[i], NULL);
}

int main(int argc, char **argv) {
  const int threads = argc > 2 ? atoi(argv[2]) : 1;
  series_options options;
  int one = 1;
  setvbuf(stdout, NULL, _IONBF, 0); /* or the first printf() would keep a buffer */
  memset(&options, 0, sizeof(options));
  options.struct_size = sizeof(options);
  options.threads = 1;
  CHECK(series_open(&options, &model))
  calls = 200; /* until the model is optimized */
  work(&one);
  printf("before %lu\n", (unsigned long)mallinfo2().uordblks);
  calls = atol(argv[1]) / threads;
  if (threads > 1) {
    run(threads);
  } else {
    work(&one);
  }
  printf("after %lu\n", (unsigned long)mallinfo2().uordblks);
  CHECK(series_close(model))
  printf("wrong %d\n", wrong);
  return wrong;
}
