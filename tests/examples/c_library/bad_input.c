/* What the library of examples/c_library says to bad input: a line for each, "NAME STATUS TEXT". */
#define _XOPEN_SOURCE 700
#include <series.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed = 0;

static void tell(const char *name, int status) {
  printf("%s %d %s\n", name, status, status == SERIES_OK ? "" : series_last_error());
}

static void must(int status) {
  if (status == SERIES_OK) return;
  printf("must %d %s\n", status, series_last_error());
  failed = 1;
}

static float data[6] = {1, 2, 3, 4, 5, 6};
static int64_t shape[2] = {2, 3};
static int released = 0;

static void release(DLManagedTensor *tensor) {
  (void)tensor;
  ++released;
}

static void release_versioned(DLManagedTensorVersioned *tensor) {
  (void)tensor;
  ++released;
}

static DLManagedTensor good_tensor(void) {
  DLManagedTensor tensor;
  memset(&tensor, 0, sizeof(tensor));
  tensor.dl_tensor.data = data;
  tensor.dl_tensor.device.device_type = kDLCPU;
  tensor.dl_tensor.dtype.code = kDLFloat;
  tensor.dl_tensor.dtype.bits = 32;
  tensor.dl_tensor.dtype.lanes = 1;
  tensor.dl_tensor.ndim = 2;
  tensor.dl_tensor.shape = shape;
  tensor.deleter = release;
  return tensor;
}

static void tensors(void) {
  DLManagedTensor tensor = good_tensor();
  DLManagedTensorVersioned versioned;
  series_value value = 77;
  int64_t negative[2] = {2, -3}, huge[3], back[2] = {3, -1}, zero[2] = {0, 3};
  int64_t far[2] = {INT64_MAX, 1};
  huge[0] = huge[1] = huge[2] = (int64_t)1 << 40;

#define WRONG(name, change)                            \
  tensor = good_tensor();                              \
  change;                                              \
  tell(name, series_from_dlpack(&tensor, &value));
  WRONG("dtype-code", tensor.dl_tensor.dtype.code = 99)
  WRONG("dtype-bits", tensor.dl_tensor.dtype.bits = 24)
  WRONG("dtype-lanes", tensor.dl_tensor.dtype.lanes = 4)
  WRONG("device-type", tensor.dl_tensor.device.device_type = (DLDeviceType)8)
  WRONG("device-cuda", tensor.dl_tensor.device.device_type = kDLCUDA)
  WRONG("device-number", tensor.dl_tensor.device.device_type = kDLCUDA;
        tensor.dl_tensor.device.device_id = -1)
  WRONG("ndim", tensor.dl_tensor.ndim = -1)
  WRONG("ndim-many", tensor.dl_tensor.ndim = 1000)
  WRONG("shape-null", tensor.dl_tensor.shape = NULL)
  WRONG("shape-negative", tensor.dl_tensor.shape = negative)
  WRONG("shape-huge", tensor.dl_tensor.shape = huge; tensor.dl_tensor.ndim = 3)
  WRONG("strides-negative", tensor.dl_tensor.strides = back)
  WRONG("strides-far", tensor.dl_tensor.strides = far)
  WRONG("data-null", tensor.dl_tensor.data = NULL)
  WRONG("data-odd", tensor.dl_tensor.byte_offset = 1)
  tell("tensor-null", series_from_dlpack(NULL, &value));
  tell("value-null", series_from_dlpack(&tensor, NULL));
  memset(&versioned, 0, sizeof(versioned));
  versioned.dl_tensor = good_tensor().dl_tensor;
  versioned.deleter = release_versioned;
  versioned.version.major = 2;
  tell("version", series_from_dlpack_versioned(&versioned, &value));
  printf("unchanged %d %d\n", value == 77, released); /* nothing was given out or released */

  WRONG("empty", tensor.dl_tensor.data = NULL; tensor.dl_tensor.shape = zero)
  must(series_free(value));
  WRONG("good", (void)0)
  must(series_free(value));
  versioned.version.major = 1;
  versioned.flags = DLPACK_FLAG_BITMASK_READ_ONLY;
  tell("read-only", series_from_dlpack_versioned(&versioned, &value));
  must(series_free(value));
  printf("released %d\n", released);
  tell("copy-dtype", series_tensor_copy(data, "float33", shape, 2, &value));
  tell("copy-dtype-null", series_tensor_copy(data, NULL, shape, 2, &value));
  tell("copy-shape-null", series_tensor_copy(data, "float32", NULL, 2, &value));
  tell("copy-many", series_tensor_copy(data, "float32", shape, (size_t)-1, &value));
  tell("copy-scalar", series_tensor_copy(data, "float32", NULL, 0, &value));
  must(series_free(value));
}

static void models(void) {
  series_model model = 5, second;
  series_value result, number, text;
  series_options options;
  const char *schema;
  size_t count;

  memset(&options, 0, sizeof(options));
  tell("struct-size", series_open(&options, &model));
  options.struct_size = sizeof(options);
  options.model = "no-such";
  tell("no-model", series_open(&options, &model));
  options.model = "./no-such.pt";
  tell("no-file", series_open(&options, &model));
  options.model = "bad_input.c";
  tell("no-archive", series_open(&options, &model));
  options.model = NULL;
  options.device = "gpu";
  tell("no-device", series_open(&options, &model));
  options.device = "cuda";
  tell("no-cuda", series_open(&options, &model));
  options.device = NULL;
  options.threads = -1;
  tell("threads", series_open(&options, &model));
  options.threads = 0;
  options.flags = 1u << 20;
  tell("flags", series_open(&options, &model));
  tell("model-null", series_open(NULL, NULL));
  printf("model-unchanged %d\n", model == 5);

  must(series_open(NULL, &model));
  must(series_int(3, &number));
  must(series_string("text", 4, &text));
  tell("method", series_call(model, "backward", NULL, 0, &result));
  tell("count", series_call(model, NULL, NULL, 0, &result));
  tell("arguments-null", series_call(model, NULL, NULL, 2, &result));
  tell("result-null", series_call(model, NULL, &number, 1, NULL));
  tell("type", series_call(model, NULL, &text, 1, &result));
  tell("count-huge", series_call(model, NULL, &text, (size_t)-1, &result));
  tell("index", series_method_schema(model, 99, &schema));
  tell("schema-null", series_method_schema(model, 0, NULL));
  tell("model-as-value", series_free(model));
  tell("value-as-model", series_method_count(number, &count));
  tell("no-tensor", series_read(number, data, sizeof(data)));
  tell("no-items", series_size(number, &count));
  tell("no-text", series_get_text(number, &schema, NULL));
  tell("not-utf8", series_string("\xff", 1, &result));
  must(series_free(text));
  tell("freed", series_free(text));
  tell("freed-item", series_list(&text, 1, &result));
  must(series_string("text", 4, &text)); /* in the same place of the table */
  must(series_free(text));
  must(series_free(0));
  must(series_open(NULL, &second));
  must(series_close(second));
  tell("closed", series_call(second, NULL, NULL, 0, &result));
  tell("closed-again", series_close(second));
  fflush(stdout);
  if (fork() == 0) {
    tell("fork-call", series_call(model, NULL, NULL, 0, &result));
    tell("fork-open", series_open(NULL, &second));
    tell("fork-free", series_free(number));
    fflush(stdout);
    _exit(0);
  }
  wait(NULL);
  must(series_free(number));
  must(series_close(model));
}

int main(void) {
  pid_t child;
  int status = 0;
  /* Before a model was opened, a fork is as good as its parent. */
  if ((child = fork()) == 0) {
    series_model model;
    _exit(series_open(NULL, &model) == SERIES_OK && series_close(model) == SERIES_OK ? 0 : 1);
  }
  waitpid(child, &status, 0);
  printf("early-fork %d\n", WEXITSTATUS(status));
  tensors();
  models();
  return failed;
}
