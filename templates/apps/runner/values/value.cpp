#include "values/value.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace runner {
namespace {

struct ElementTraits {
  const char* name;
  std::size_t size;
};

// In the order of Element.
const ElementTraits kElements[] = {
    {"bool", 1},
    {"uint8", 1},
    {"int8", 1},
    {"uint16", 2},
    {"int16", 2},
    {"uint32", 4},
    {"int32", 4},
    {"uint64", 8},
    {"int64", 8},
    {"float16", 2},
    {"bfloat16", 2},
    {"float32", 4},
    {"float64", 8},
    {"complex32", 4},
    {"complex64", 8},
    {"complex128", 16},
    {"float8_e4m3fn", 1},
    {"float8_e5m2", 1},
    {"float8_e4m3fnuz", 1},
    {"float8_e5m2fnuz", 1},
    {"float8_e8m0fnu", 1},
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

// The numbers of eight bits that torch has: as IEEE numbers, but what has no infinity uses its
// patterns for numbers, and NaN is one pattern (all ones, or minus zero).
double from_float8(std::uint8_t bits, int mantissa_bits, int bias, bool has_infinity,
                   bool no_zeros) {
  if (no_zeros && bits == 0x80) return std::numeric_limits<double>::quiet_NaN();
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int exponent = (bits & 0x7f) >> mantissa_bits;
  const double sign = (bits & 0x80) != 0 ? -1 : 1;
  if (has_infinity && exponent == 0x7f >> mantissa_bits) {
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  if (!has_infinity && !no_zeros && (bits & 0x7f) == 0x7f) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const int steps = 1 << mantissa_bits;
  return exponent == 0 ? sign * std::ldexp(mantissa, 1 - bias - mantissa_bits)
                       : sign * std::ldexp(steps + mantissa, exponent - bias - mantissa_bits);
}

}  // namespace

std::size_t element_size(Element element) { return traits(element).size; }

const char* element_name(Element element) { return traits(element).name; }

bool find_element(const std::string& name, Element* element) {
  for (std::size_t i = 0; i < sizeof(kElements) / sizeof(*kElements); ++i) {
    if (name != kElements[i].name) continue;
    *element = static_cast<Element>(i);
    return true;
  }
  return false;
}

bool is_floating(Element element) { return element >= Element::kFloat16 && !is_complex(element); }

bool is_complex(Element element) {
  return element >= Element::kComplex32 && element <= Element::kComplex128;
}

bool is_sparse(const Tensor& tensor) {
  return tensor.packing && tensor.packing->form.compare(0, 6, "sparse") == 0;
}

Tensor contiguous(const Tensor& tensor) {
  Tensor result = tensor;
  result.strides.clear();
  if (tensor.strides.empty()) return result;
  const std::size_t size = element_size(tensor.element);
  const std::size_t count = static_cast<std::size_t>(tensor.count());
  std::shared_ptr<char> data(new char[count * size], std::default_delete<char[]>());
  std::vector<std::int64_t> index(tensor.shape.size(), 0);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(
        data.get() + i * size,
        static_cast<const char*>(tensor.data.get()) + offset * static_cast<std::int64_t>(size),
        size);
    for (std::size_t d = index.size(); d-- > 0;) {
      offset += tensor.strides[d];
      if (++index[d] < tensor.shape[d]) break;
      offset -= tensor.strides[d] * tensor.shape[d];
      index[d] = 0;
    }
  }
  result.data = data;
  return result;
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
    case Element::kFloat8E4M3FN:
      return from_float8(load<std::uint8_t>(*this, index), 3, 7, false, false);
    case Element::kFloat8E5M2:
      return from_float8(load<std::uint8_t>(*this, index), 2, 15, true, false);
    case Element::kFloat8E4M3FNUZ:
      return from_float8(load<std::uint8_t>(*this, index), 3, 8, false, true);
    case Element::kFloat8E5M2FNUZ:
      return from_float8(load<std::uint8_t>(*this, index), 2, 16, false, true);
    case Element::kFloat8E8M0FNU: {
      const std::uint8_t exponent = load<std::uint8_t>(*this, index);
      return exponent == 0xff ? std::numeric_limits<double>::quiet_NaN()
                              : std::ldexp(1.0, exponent - 127);
    }
    case Element::kComplex32:
      return from_half(load<std::uint16_t>(*this, 2 * index));
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
  if (element == Element::kComplex32) return from_half(load<std::uint16_t>(*this, 2 * index + 1));
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
  text += "]";
  return tensor.packing ? text + " " + tensor.packing->form : text;
}

const char* kind_name(Value::Kind kind) {
  static const char* const kNames[] = {"None", "bool",   "int",    "float", "complex",
                                       "str",  "device", "tensor", "list",  "tuple",
                                       "dict", "enum",   "object", "object"};
  return kNames[static_cast<int>(kind)];
}

Value make_tensor(Tensor tensor) {
  Value value;
  value.kind = Value::Kind::kTensor;
  value.tensor = std::make_shared<const Tensor>(std::move(tensor));
  return value;
}

Value make_int(std::int64_t number) {
  Value value;
  value.kind = Value::Kind::kInt;
  value.integer = number;
  return value;
}

Value make_text(Value::Kind kind, const std::string& text) {
  Value value;
  value.kind = kind;
  value.text = text;
  return value;
}

std::size_t utf8_size(const std::string& text, std::size_t at) {
  const auto byte = [&text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned first = byte(at);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(at + 1);  // overlong forms, surrogates, above U+10FFFF
  const bool wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                     (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return wrong ? 0 : size;
}

}  // namespace runner
