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
  if (value.kind == Kind::kEnum) return;
  if (value.kind == Kind::kTensor && is_sparse(*value.tensor)) {
    const Packing& packing = *value.tensor->packing;
    for (std::size_t i = 0; i < packing.parts.size(); ++i) {
      append_text(place + "." + part_name(packing.form, i), make_tensor(packing.parts[i]), first,
                  out);
    }
    return;
  }
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

std::string part_name(const std::string& form, std::size_t index) {
  const bool by_rows = form == "sparse_csr" || form == "sparse_bsr";
  if (form == "sparse_coo") return index == 0 ? "indices" : "values";
  if (index == 2) return "values";
  return index == 0 ? (by_rows ? "crow_indices" : "ccol_indices")
                    : (by_rows ? "col_indices" : "row_indices");
}

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

// Bytes that are no UTF-8 become lone surrogates, as Python's surrogateescape has them.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = utf8_size(text, at);
    if (size != 1) {
      char buffer[8];
      std::snprintf(buffer, sizeof(buffer), "\\udc%02x", static_cast<unsigned char>(text[at]));
      result += size == 0 ? buffer : text.substr(at, size);
      at += size == 0 ? 1 : size;
      continue;
    }
    const char c = text[at++];
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
    case Kind::kDevice:
      return kind + " " + quoted(value.text);
    case Kind::kEnum:
      return kind + " " + value.text + "." + value.names[0] + " (" + summary(value.items[0]) + ")";
    case Kind::kObject:
      return kind + " of class " + value.text;
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

}  // namespace runner
