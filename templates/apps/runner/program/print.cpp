#include "program/print.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace runner {
namespace {

using Kind = Value::Kind;

std::string non_finite(double value) {
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

std::string formatted(double value, int digits) {
  char buffer[40];
  std::snprintf(buffer, sizeof(buffer), "%.*g", digits, value);
  return buffer;
}

// The shortest text that reads back as the same number.
std::string exact_text(double value, bool single) {
  const int most = single ? 9 : 17;
  for (int digits = single ? 6 : 15; digits < most; ++digits) {
    const std::string text = formatted(value, digits);
    const double back = single ? static_cast<double>(std::strtof(text.c_str(), nullptr))
                               : std::strtod(text.c_str(), nullptr);
    if (back == value) return text;
  }
  return formatted(value, most);
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        result += "\\\"";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\t':
        result += "\\t";
        break;
      case '\r':
        result += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char buffer[8];
          std::snprintf(buffer, sizeof(buffer), "\\u%04x", static_cast<unsigned>(c));
          result += buffer;
        } else {
          result += c;
        }
    }
  }
  return result + "\"";
}

std::string complex_text(double real, double imaginary) {
  const std::string sign = imaginary < 0 ? "" : "+";
  return number_text(real) + sign + number_text(imaginary) + "j";
}

std::string unsigned64_text(std::int64_t value) {
  return std::to_string(static_cast<std::uint64_t>(value));
}

std::int64_t shown(const Tensor& tensor, std::int64_t first) {
  return std::min(tensor.count(), first);
}

// A list of numbers or strings, which takes one line.
bool is_plain_list(const Value& value) {
  return value.kind == Kind::kList &&
         std::all_of(value.items.begin(), value.items.end(), [](const Value& item) {
           return item.kind == Kind::kInt || item.kind == Kind::kFloat ||
                  item.kind == Kind::kBool || item.kind == Kind::kString;
         });
}

std::string plain_text(const Value& value) {
  return value.kind == Kind::kFloat ? number_text(value.real) : key_text(value);
}

void append_text(const std::string& place, const Value& value, std::int64_t first,
                 std::string* out) {
  *out += place + ": " + summary(value) + "\n";
  if (value.kind == Kind::kTensor) {
    const Tensor& tensor = *value.tensor;
    const std::int64_t count = shown(tensor, first);
    if (count == 0) return;
    *out += "  ";
    for (std::int64_t i = 0; i < count; ++i) {
      if (i > 0) *out += "  ";
      *out += element_text(tensor, i);
    }
    *out += tensor.count() > count ? "  ...\n" : "\n";
  }
  if (is_plain_list(value)) {
    const std::size_t count = std::min(value.items.size(), static_cast<std::size_t>(first));
    if (count == 0) return;
    *out += "  ";
    for (std::size_t i = 0; i < count; ++i)
      *out += (i > 0 ? "  " : "") + plain_text(value.items[i]);
    *out += value.items.size() > count ? "  ...\n" : "\n";
    return;
  }
  const std::size_t step = value.kind == Kind::kDict ? 2 : 1;
  for (std::size_t i = 0; i < value.items.size(); i += step) {
    std::string inner = place;
    if (!value.names.empty()) {
      inner += "." + value.names[i];
    } else if (step == 2) {
      inner += "[" + key_text(value.items[i]) + "]";
    } else {
      inner += "[" + std::to_string(i) + "]";
    }
    append_text(inner, value.items[i + step - 1], first, out);
  }
}

}  // namespace

std::string number_text(double value) {
  return std::isfinite(value) ? formatted(value, 6) : non_finite(value);
}

std::string element_text(const Tensor& tensor, std::int64_t index) {
  if (is_complex(tensor.element)) {
    return complex_text(tensor.real(index), tensor.imaginary(index));
  }
  if (is_floating(tensor.element)) return number_text(tensor.real(index));
  const std::int64_t value = tensor.integer(index);
  if (tensor.element == Element::kBool) return value != 0 ? "true" : "false";
  return tensor.element == Element::kUInt64 ? unsigned64_text(value) : std::to_string(value);
}

std::string key_text(const Value& key) {
  switch (key.kind) {
    case Kind::kString:
      return quoted(key.text);
    case Kind::kInt:
      return std::to_string(key.integer);
    case Kind::kBool:
      return key.integer != 0 ? "true" : "false";
    case Kind::kFloat:
      return exact_text(key.real, false);
    default:
      return summary(key);
  }
}

std::string summary(const Value& value) {
  const std::string kind = kind_name(value.kind);
  switch (value.kind) {
    case Kind::kNone:
      return kind;
    case Kind::kBool:
      return kind + (value.integer != 0 ? " true" : " false");
    case Kind::kInt:
      return kind + " " + std::to_string(value.integer);
    case Kind::kFloat:
      return kind + " " + number_text(value.real);
    case Kind::kComplex:
      return kind + " " + complex_text(value.real, value.imaginary);
    case Kind::kString:
      return kind + " " + quoted(value.text);
    case Kind::kTensor:
      return describe(*value.tensor);
    case Kind::kList:
    case Kind::kTuple:
      return kind + " of " + std::to_string(value.items.size());
    case Kind::kDict:
      return kind + " of " + std::to_string(value.items.size() / 2);
    case Kind::kOther:
      break;
  }
  return kind + " " + value.text;
}

std::string as_text(const Value& value, std::int64_t first) {
  std::string text;
  append_text("output", value, first, &text);
  return text;
}

void Json::separate() {
  if (comma_) text_ += ", ";
  comma_ = true;
}

Json& Json::begin_object() {
  separate();
  text_ += '{';
  comma_ = false;
  return *this;
}

Json& Json::end_object() {
  text_ += '}';
  comma_ = true;
  return *this;
}

Json& Json::begin_array() {
  separate();
  text_ += '[';
  comma_ = false;
  return *this;
}

Json& Json::end_array() {
  text_ += ']';
  comma_ = true;
  return *this;
}

Json& Json::key(const std::string& name) {
  separate();
  text_ += quoted(name) + ": ";
  comma_ = false;
  return *this;
}

Json& Json::string(const std::string& text) {
  separate();
  text_ += quoted(text);
  return *this;
}

Json& Json::integer(std::int64_t value) {
  separate();
  text_ += std::to_string(value);
  return *this;
}

Json& Json::number(double value) {
  if (!std::isfinite(value)) return string(non_finite(value));
  separate();
  text_ += exact_text(value, false);
  return *this;
}

Json& Json::number(float value) {
  if (!std::isfinite(value)) return string(non_finite(value));
  separate();
  text_ += exact_text(value, true);
  return *this;
}

Json& Json::boolean(bool value) {
  separate();
  text_ += value ? "true" : "false";
  return *this;
}

Json& Json::null() {
  separate();
  text_ += "null";
  return *this;
}

void Json::element(const Tensor& tensor, std::int64_t index) {
  const bool wide = tensor.element == Element::kFloat64 || tensor.element == Element::kComplex128;
  const auto put = [this, wide](double part) {
    if (wide) {
      number(part);
    } else {
      number(static_cast<float>(part));
    }
  };
  if (is_complex(tensor.element)) {
    begin_array();
    put(tensor.real(index));
    put(tensor.imaginary(index));
    end_array();
  } else if (is_floating(tensor.element)) {
    put(tensor.real(index));
  } else {
    separate();
    text_ += element_text(tensor, index);
  }
}

Json& Json::value(const Value& value, std::int64_t first) {
  switch (value.kind) {
    case Kind::kNone:
      return null();
    case Kind::kBool:
      return boolean(value.integer != 0);
    case Kind::kInt:
      return integer(value.integer);
    case Kind::kFloat:
      return number(value.real);
    case Kind::kString:
      return string(value.text);
    default:
      break;
  }
  begin_object().key("type").string(kind_name(value.kind));
  switch (value.kind) {
    case Kind::kComplex:
      key("real").number(value.real).key("imag").number(value.imaginary);
      break;
    case Kind::kTensor: {
      const Tensor& tensor = *value.tensor;
      key("dtype").string(tensor.dtype).key("shape").begin_array();
      for (std::int64_t size : tensor.shape) integer(size);
      end_array().key("values").begin_array();
      for (std::int64_t i = 0; i < shown(tensor, first); ++i) element(tensor, i);
      end_array();
      break;
    }
    case Kind::kList:
    case Kind::kTuple:
      if (!value.names.empty()) {
        key("names").begin_array();
        for (const std::string& name : value.names) string(name);
        end_array();
      }
      key("items").begin_array();
      for (const Value& item : value.items) this->value(item, first);
      end_array();
      break;
    case Kind::kDict:
      key("items").begin_array();
      for (std::size_t i = 0; i < value.items.size(); i += 2) {
        begin_object().key("key").value(value.items[i], first);
        key("value").value(value.items[i + 1], first).end_object();
      }
      end_array();
      break;
    default:
      key("name").string(value.text);
  }
  return end_object();
}

}  // namespace runner
