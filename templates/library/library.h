/* A TorchScript model as a plain C library. Written by torchscript-build.
 *
 * Every function that returns int returns a tsl_status; where that is not TSL_OK, nothing was
 * changed or given out, and tsl_last_error() says what was wrong. No function ends the process, and
 * no exception leaves one. All may be called by several threads at once.
 *
 * A model, and a value, is a number that stands for something in the library: 0 is none. Each value
 * that a function gives belongs to the caller, who frees it once. A number that was freed, was
 * never given or came from another library is refused (TSL_BAD_HANDLE).
 *
 * Texts are UTF-8. This file is C99, and C++.
 */
#ifndef TSL_H
#define TSL_H

#include <stddef.h>
#include <stdint.h>

/* @DLPACK@ */

#if defined(_WIN32) && defined(TSL_BUILDING)
#define TSL_API __declspec(dllexport)
#elif defined(_WIN32)
#define TSL_API __declspec(dllimport)
#elif defined(__GNUC__)
#define TSL_API __attribute__((visibility("default")))
#else
#define TSL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What this file describes; see tsl_abi_version(). */
#define TSL_ABI_VERSION 1

typedef uint64_t tsl_model;
typedef uint64_t tsl_value;

enum tsl_status {
  TSL_OK = 0,
  TSL_RUN_FAILED = 1,   /* the model's code failed */
  TSL_BAD_ARGUMENT = 2, /* what was given is not what the function or the model's method takes */
  TSL_MODEL_NOT_LOADED = 3,   /* no such file, no TorchScript model, an unknown operator */
  TSL_DEVICE_UNAVAILABLE = 4, /* no such device here, or not in this libtorch */
  TSL_BAD_HANDLE = 5,         /* a model or value that there is not (any more) */
  TSL_FORKED = 6,             /* this process is a fork of one that had opened a model */
  TSL_OUT_OF_MEMORY = 7,
  TSL_INTERNAL = 8
};

enum tsl_kind {
  TSL_NONE = 0,
  TSL_BOOL = 1,
  TSL_INT = 2,
  TSL_FLOAT = 3,
  TSL_COMPLEX = 4,
  TSL_STRING = 5,
  TSL_DEVICE = 6, /* a text: "cpu", "cuda:0" */
  TSL_TENSOR = 7,
  TSL_LIST = 8,
  TSL_TUPLE = 9,   /* the fields of a named one have names */
  TSL_DICT = 10,   /* items with keys, in order */
  TSL_ENUM = 11,   /* a text, the class; one item, the value; its name is the member's */
  TSL_OBJECT = 12, /* a text, the class; items with names, its attributes */
  TSL_OTHER = 13   /* a text: what it is */
};

/* How a model is opened. Set struct_size to sizeof(tsl_options) and all that you do not use to 0:
 * later versions have more fields at the end. */
typedef struct tsl_options {
  uint32_t struct_size;
  int32_t threads;    /* that one call uses, in the whole process, whoever calls; 0: as it is */
  const char* model;  /* one that travels with the library, or a file; NULL: the first */
  const char* device; /* "cpu", "cuda", "cuda:1"; NULL: "cpu" */
  uint32_t flags;     /* of TSL_GRAD, TSL_FREEZE */
  uint32_t reserved;
} tsl_options;

#define TSL_GRAD 1u   /* the model computes gradients itself; the build knows where it needs to */
#define TSL_FREEZE 2u /* make its weights constants of its default method, the only one then */

/* The version of the interface that the library has: it is TSL_ABI_VERSION or newer, and newer ones
 * have all that older ones had. */
TSL_API uint32_t tsl_abi_version(void);

/* "NAME VERSION (libtorch VERSION)" */
TSL_API const char* tsl_version(void);

/* What was wrong with the last call in this thread that failed, one sentence or two. It is valid
 * until the next call in this thread. */
TSL_API const char* tsl_last_error(void);

/* --- models --- */

/* Opens a model; without options, the one that travels with the library, on the CPU. */
TSL_API int tsl_open(const tsl_options* options, tsl_model* model);

/* Calls that run in other threads come to their end; values, and the memory of tensors, stay. */
TSL_API int tsl_close(tsl_model model);

TSL_API int tsl_method_count(tsl_model model, size_t* count);

/* The texts are valid while the model is open. A schema is as TorchScript writes it:
 * "forward(Tensor x, int k=3) -> Tensor". */
TSL_API int tsl_method_name(tsl_model model, size_t index, const char** name);
TSL_API int tsl_method_schema(tsl_model model, size_t index, const char** schema);

/* Calls a method; NULL for the default one. The arguments stay the caller's. As in Python, lists,
 * dicts and tuples get the types that the schema wants, and tensors are moved to the model's
 * device. Calls of a model that changes its own attributes wait for each other; others run at once.
 */
TSL_API int tsl_call(tsl_model model, const char* method, const tsl_value* arguments, size_t count,
                     tsl_value* result);

/* --- values: made --- */

TSL_API int tsl_none(tsl_value* value);
TSL_API int tsl_bool(int truth, tsl_value* value);
TSL_API int tsl_int(int64_t number, tsl_value* value);
TSL_API int tsl_float(double number, tsl_value* value);
TSL_API int tsl_complex(double real, double imaginary, tsl_value* value);
TSL_API int tsl_string(const char* text, size_t bytes, tsl_value* value);

/* The items stay the caller's. */
TSL_API int tsl_list(const tsl_value* items, size_t count, tsl_value* value);
TSL_API int tsl_tuple(const tsl_value* items, size_t count, tsl_value* value);
TSL_API int tsl_dict(const tsl_value* keys, const tsl_value* items, size_t count, tsl_value* value);

/* A copy of somebody's memory; nothing is kept of what is given. */
TSL_API int tsl_tensor(const struct DLTensor* tensor, tsl_value* value);

/* The same for those who have no DLTensor: elements of a dtype by torch's name ("float32", "int64",
 * "bool"), one after the other, the last dimension fastest, in the CPU's memory. */
TSL_API int tsl_tensor_copy(const void* data, const char* dtype, const int64_t* shape,
                            size_t dimensions, tsl_value* value);

/* The memory itself, without a copy. On success the library owns the tensor: its deleter is called
 * when neither the value nor a result that shares the memory is in use any more, in whichever
 * thread that is. After a failure it is the caller's still. A model that writes into its arguments
 * writes into this memory; read-only tensors are copied, which is why their deleter may be called
 * at once. On a GPU the data must be ready: all work that makes them is done. */
TSL_API int tsl_from_dlpack(struct DLManagedTensor* tensor, tsl_value* value);
TSL_API int tsl_from_dlpack_versioned(struct DLManagedTensorVersioned* tensor, tsl_value* value);

/* --- values: read --- */

TSL_API int tsl_kind_of(tsl_value value, int* kind);
TSL_API int tsl_get_bool(tsl_value value, int* truth);
TSL_API int tsl_get_int(tsl_value value, int64_t* number);  /* also of a bool */
TSL_API int tsl_get_float(tsl_value value, double* number); /* also of an int */
TSL_API int tsl_get_complex(tsl_value value, double* real, double* imaginary);

/* A text, and the class of an enum or object, with a zero byte behind it; valid while the value is
 * not freed. */
TSL_API int tsl_get_text(tsl_value value, const char** text, size_t* bytes);

/* How many items a list, tuple, dict, object or enum has. */
TSL_API int tsl_size(tsl_value value, size_t* size);

/* An item, and the key of a dict's: new values, to be freed. */
TSL_API int tsl_item(tsl_value value, size_t index, tsl_value* item);
TSL_API int tsl_key(tsl_value value, size_t index, tsl_value* key);

/* The name of a named tuple's field, an object's attribute or an enum's member; NULL for what has
 * none. Valid while the value is not freed. */
TSL_API int tsl_name(tsl_value value, size_t index, const char** name);

/* The item of a dict by a key that is a text, or of a named tuple or object by its name. */
TSL_API int tsl_find(tsl_value value, const char* name, tsl_value* item);

/* Where a tensor's elements are: shape, strides and data belong to the value and are valid while it
 * is not freed. Only tensors with memory of their own have this, not sparse or quantized ones. */
TSL_API int tsl_view(tsl_value value, struct DLTensor* view);

/* The elements of a tensor, one after the other, into the CPU's memory, which must have exactly
 * that many bytes. */
TSL_API int tsl_read(tsl_value value, void* data, size_t bytes);

/* The tensor for somebody else, without a copy: it belongs to the caller, who calls its deleter
 * once. It stays when value and model are gone. */
TSL_API int tsl_to_dlpack(tsl_value value, struct DLManagedTensor** tensor);
TSL_API int tsl_to_dlpack_versioned(tsl_value value, struct DLManagedTensorVersioned** tensor);

/* Frees a value; 0 is none and does nothing. */
TSL_API int tsl_free(tsl_value value);

#ifdef __cplusplus
}
#endif

#endif /* TSL_H */
