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
  kComplex64,
  kComplex128,
};

std::size_t element_size(Element element);
const char* element_name(Element element);  // torch's name: "float32", "bool"
bool is_floating(Element element);
bool is_complex(Element element);

// The elements lie in memory one after the other, the last dimension fastest.
struct Tensor {
  std::string dtype;  // differs from the element's name for dtypes that are shown as another one
  Element element = Element::kFloat32;
  std::vector<std::int64_t> shape;
  std::shared_ptr<const void> data;

  std::int64_t count() const;
  std::size_t bytes() const;
  // An element as a number. integer() is exact for the integer kinds (uint64 wraps), real() for
  // the others.
  std::int64_t integer(std::int64_t index) const;
  double real(std::int64_t index) const;
  double imaginary(std::int64_t index) const;
};

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
    kTensor,
    kList,
    kTuple,
    kDict,
    kOther,
  };

  Kind kind = Kind::kNone;
  std::int64_t integer = 0;  // kBool, kInt
  double real = 0;           // kFloat, kComplex
  double imaginary = 0;      // kComplex
  std::string text;          // kString; kOther: the type's name
  std::shared_ptr<const Tensor> tensor;
  std::vector<Value> items;        // kList, kTuple; kDict: key, value, key, value, ...
  std::vector<std::string> names;  // the fields of a named tuple
};

const char* kind_name(Value::Kind kind);

Value make_tensor(Tensor tensor);

}  // namespace runner
