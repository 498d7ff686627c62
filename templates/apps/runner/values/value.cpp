#include "values/value.h"

#include <cstring>
#include <utility>

namespace runner {
namespace {

struct ElementTraits {
  const char* name;
  std::size_t size;
};

// In the order of Element.
const ElementTraits kElements[] = {
    {"bool", 1},     {"uint8", 1},   {"int8", 1},    {"uint16", 2},    {"int16", 2},
    {"uint32", 4},   {"int32", 4},   {"uint64", 8},  {"int64", 8},     {"float16", 2},
    {"bfloat16", 2}, {"float32", 4}, {"float64", 8}, {"complex64", 8}, {"complex128", 16},
};

const ElementTraits& traits(Element element) { return kElements[static_cast<int>(element)]; }

template <typename T>
T load(const Tensor& tensor, std::int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(tensor.data.get()) + index * sizeof(T), sizeof(T));
  return value;
}

float from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

float from_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu;
  const std::uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) / 16777216.0f;
    return sign ? -magnitude : magnitude;
  }
  if (exponent == 31) return from_bits(sign | 0x7f800000u | (mantissa << 13));
  return from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

}  // namespace

std::size_t element_size(Element element) { return traits(element).size; }

const char* element_name(Element element) { return traits(element).name; }

bool is_floating(Element element) {
  return element == Element::kFloat16 || element == Element::kBFloat16 ||
         element == Element::kFloat32 || element == Element::kFloat64;
}

bool is_complex(Element element) {
  return element == Element::kComplex64 || element == Element::kComplex128;
}

std::int64_t Tensor::count() const {
  std::int64_t product = 1;
  for (std::int64_t size : shape) product *= size;
  return product;
}

std::size_t Tensor::bytes() const {
  return static_cast<std::size_t>(count()) * element_size(element);
}

std::int64_t Tensor::integer(std::int64_t index) const {
  switch (element) {
    case Element::kBool:
    case Element::kUInt8:
      return load<std::uint8_t>(*this, index);
    case Element::kInt8:
      return load<std::int8_t>(*this, index);
    case Element::kUInt16:
      return load<std::uint16_t>(*this, index);
    case Element::kInt16:
      return load<std::int16_t>(*this, index);
    case Element::kUInt32:
      return load<std::uint32_t>(*this, index);
    case Element::kInt32:
      return load<std::int32_t>(*this, index);
    case Element::kUInt64:
    case Element::kInt64:
      return load<std::int64_t>(*this, index);
    default:
      return static_cast<std::int64_t>(real(index));
  }
}

double Tensor::real(std::int64_t index) const {
  switch (element) {
    case Element::kFloat16:
      return from_half(load<std::uint16_t>(*this, index));
    case Element::kBFloat16:
      return from_bits(static_cast<std::uint32_t>(load<std::uint16_t>(*this, index)) << 16);
    case Element::kFloat32:
      return load<float>(*this, index);
    case Element::kFloat64:
      return load<double>(*this, index);
    case Element::kComplex64:
      return load<float>(*this, 2 * index);
    case Element::kComplex128:
      return load<double>(*this, 2 * index);
    case Element::kUInt64:
      return static_cast<double>(load<std::uint64_t>(*this, index));
    default:
      return static_cast<double>(integer(index));
  }
}

double Tensor::imaginary(std::int64_t index) const {
  if (element == Element::kComplex64) return load<float>(*this, 2 * index + 1);
  if (element == Element::kComplex128) return load<double>(*this, 2 * index + 1);
  return 0;
}

std::string describe(const Tensor& tensor) {
  std::string text = tensor.dtype + " [";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(tensor.shape[i]);
  }
  return text + "]";
}

const char* kind_name(Value::Kind kind) {
  static const char* const kNames[] = {"None",   "bool", "int",   "float", "complex", "str",
                                       "tensor", "list", "tuple", "dict",  "object"};
  return kNames[static_cast<int>(kind)];
}

Value make_tensor(Tensor tensor) {
  Value value;
  value.kind = Value::Kind::kTensor;
  value.tensor = std::make_shared<const Tensor>(std::move(tensor));
  return value;
}

}  // namespace runner
