// What goes into and comes out of a model, without torch: a tree of tensors and Python-like values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace runner {

enum class Element {
  kBool,
  kUInt8,
  kInt8,
  kUInt16,
  kInt16,
  kUInt32,
  kInt32,
  kUInt64,
  kInt64,
  kFloat16,
  kBFloat16,
  kFloat32,
  kFloat64,
  kComplex32,
  kComplex64,
  kComplex128,
  kFloat8E4M3FN,
  kFloat8E5M2,
  kFloat8E4M3FNUZ,
  kFloat8E5M2FNUZ,
  kFloat8E8M0FNU,
};

std::size_t element_size(Element element);
const char* element_name(Element element);  // torch's name: "float32", "bool"
bool find_element(const std::string& name, Element* element);
bool is_floating(Element element);
bool is_complex(Element element);

struct Packing;

// The elements lie in memory one after the other, the last dimension fastest, unless there are
// strides.
struct Tensor {
  std::string dtype;  // differs from the element's name for dtypes that are shown as another one
  Element element = Element::kFloat32;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;       // in elements; empty for the order above
  std::shared_ptr<const void> data;        // null for a packed tensor that is not shown as a whole
  std::shared_ptr<const Packing> packing;  // of sparse and quantized tensors
  bool requires_grad = false;
  // The same tensor as torch's own, where it is kept (memory.h); it wins over the data, which may
  // then be missing.
  std::shared_ptr<const void> native;

  std::int64_t count() const;
  std::size_t bytes() const;
  // An element as a number. integer() is exact for the integer kinds (uint64 wraps), real() for
  // the others.
  std::int64_t integer(std::int64_t index) const;
  double real(std::int64_t index) const;
  double imaginary(std::int64_t index) const;
};

// How a tensor is kept that is not simply its elements.
struct Packing {
  // sparse_coo: indices and values. sparse_csr, _csc, _bsr, _bsc: compressed indices, plain
  // indices, values. per_tensor_affine: the integers. per_channel_affine,
  // per_channel_affine_float_qparams: the integers, scales, zero points.
  std::string form;
  std::vector<Tensor> parts;
  bool coalesced = false;       // sparse_coo
  double scale = 1;             // per_tensor_affine
  std::int64_t zero_point = 0;  // per_tensor_affine
  std::int64_t axis = 0;        // per channel
};

bool is_sparse(const Tensor& tensor);

// The same tensor without strides.
Tensor contiguous(const Tensor& tensor);

// "float32 [1, 1000]"
std::string describe(const Tensor& tensor);

struct Value {
  enum class Kind {
    kNone,
    kBool,
    kInt,
    kFloat,
    kComplex,
    kString,
    kDevice,
    kTensor,
    kList,
    kTuple,
    kDict,
    kEnum,
    kObject,
    kOther,
  };

  Kind kind = Kind::kNone;
  std::int64_t integer = 0;  // kBool, kInt
  double real = 0;           // kFloat, kComplex
  double imaginary = 0;      // kComplex
  // kString, kDevice; kEnum, kObject, a named tuple from a file: the class; kOther: what it is, for
  // messages
  std::string text;
  std::shared_ptr<const Tensor> tensor;
  // kList, kTuple; kDict: key, value, key, value, ...; kEnum: its value; kObject: its attributes,
  // or without names what its class was called with
  std::vector<Value> items;
  std::vector<std::string> names;  // the fields of a named tuple, an object's, the enum's member
};

// Values that others use at the same time.
using SharedValues = std::vector<std::shared_ptr<const Value>>;

const char* kind_name(Value::Kind kind);

Value make_tensor(Tensor tensor);
Value make_int(std::int64_t number);
Value make_text(Value::Kind kind, const std::string& text);

// How many bytes the character at a place of a UTF-8 text takes; 0 if there is none.
std::size_t utf8_size(const std::string& text, std::size_t at);

// Nobody nests values deeper; what reads or walks them refuses to.
const int kMostNesting = 500;

}  // namespace runner
