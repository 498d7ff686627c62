/* cc -std=c99 client.c $(pkg-config --cflags --libs series) -o client */
#include <series.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int status) {
  if (status == SERIES_OK) return;
  fprintf(stderr, "error %d: %s\n", status, series_last_error());
  exit(1);
}

static void print_tensor(const char *name, series_value values) {
  series_value tensor;
  DLTensor view;
  int64_t count = 1, i;
  int d;
  check(series_find(values, name, &tensor));
  check(series_view(tensor, &view)); /* no copy */
  printf("%s:", name);
  for (d = 0; d < view.ndim; ++d) count *= view.shape[d];
  for (i = 0; i < count; ++i) printf(" %.6f", ((const float *)view.data)[i]);
  printf("\n");
  check(series_free(tensor));
}

/* The rows that the model reads where they are; release() is called when it does not any more. */
static float rows[2][3] = {{1, 2, 3}, {4, 2, 6}};
static int64_t shape[2] = {2, 3};
static int released = 0;

static void release(DLManagedTensor *tensor) {
  (void)tensor;
  ++released;
}

int main(void) {
  series_model model;
  series_value arguments[2], names[2], result, text, counts, item;
  DLManagedTensor tensor;
  const char *schema, *words;
  size_t count, i;
  int64_t number;
  int status;

  check(series_open(NULL, &model));
  check(series_method_count(model, &count));
  for (i = 0; i < count; ++i) {
    check(series_method_schema(model, i, &schema));
    printf("%s\n", schema);
  }

  memset(&tensor, 0, sizeof(tensor));
  tensor.dl_tensor.data = rows;
  tensor.dl_tensor.device.device_type = kDLCPU;
  tensor.dl_tensor.dtype.code = kDLFloat;
  tensor.dl_tensor.dtype.bits = 32;
  tensor.dl_tensor.dtype.lanes = 1;
  tensor.dl_tensor.ndim = 2;
  tensor.dl_tensor.shape = shape;
  tensor.deleter = release;
  check(series_from_dlpack(&tensor, &arguments[0]));
  check(series_float(0.5, &arguments[1]));
  check(series_call(model, NULL, arguments, 2, &result));
  print_tensor("scaled", result);
  print_tensor("mean", result);
  check(series_free(result));
  check(series_free(arguments[1]));

  check(series_string("a", 1, &names[0]));
  check(series_string("b", 1, &names[1]));
  check(series_list(names, 2, &arguments[1]));
  check(series_call(model, "describe", arguments, 2, &result));
  check(series_item(result, 0, &text));
  check(series_get_text(text, &words, NULL));
  printf("%s\n", words);
  check(series_item(result, 1, &counts));
  check(series_size(counts, &count));
  for (i = 0; i < count; ++i) {
    check(series_item(counts, i, &item));
    check(series_get_int(item, &number));
    printf("rises: %ld\n", (long)number);
    check(series_free(item));
  }

  status = series_call(model, "forward", arguments, 1, &item); /* one is missing */
  printf("error %d: %s\n", status, series_last_error());

  check(series_free(text));
  check(series_free(counts));
  check(series_free(result));
  check(series_free(names[0]));
  check(series_free(names[1]));
  check(series_free(arguments[0]));
  check(series_free(arguments[1]));
  check(series_close(model));
  printf("released: %d\n", released);
  return 0;
}
