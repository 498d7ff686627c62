#include "program/json.h"

#include <algorithm>
#include <cmath>

#include "program/print.h"

namespace runner {

using Kind = Value::Kind;

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
  if (!std::isfinite(value)) return string(number_text(value));
  separate();
  text_ += exact_text(value, false);
  return *this;
}

Json& Json::number(float value) {
  if (!std::isfinite(value)) return string(number_text(value));
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

void Json::names(const Value& value) {
  if (value.names.empty()) return;
  key("names").begin_array();
  for (const std::string& name : value.names) string(name);
  end_array();
}

void Json::tensor(const Tensor& tensor, std::int64_t first) {
  key("dtype").string(tensor.dtype).key("shape").begin_array();
  for (std::int64_t size : tensor.shape) integer(size);
  end_array();
  if (is_sparse(tensor)) {
    const Packing& packing = *tensor.packing;
    key("layout").string(packing.form);
    for (std::size_t i = 0; i < packing.parts.size(); ++i) {
      key(part_name(packing.form, i)).value(make_tensor(packing.parts[i]), first);
    }
    return;
  }
  key("values").begin_array();
  for (std::int64_t i = 0; i < std::min(tensor.count(), first); ++i) element(tensor, i);
  end_array();
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
    case Kind::kDevice:
      return string(value.text);
    default:
      break;
  }
  begin_object().key("type").string(kind_name(value.kind));
  switch (value.kind) {
    case Kind::kComplex:
      key("real").number(value.real).key("imag").number(value.imaginary);
      break;
    case Kind::kTensor:
      tensor(*value.tensor, first);
      break;
    case Kind::kDict:
      key("items").begin_array();
      for (std::size_t i = 0; i < value.items.size(); i += 2) {
        begin_object().key("key").value(value.items[i], first);
        key("value").value(value.items[i + 1], first).end_object();
      }
      end_array();
      break;
    case Kind::kEnum:
      key("class").string(value.text).key("name").string(value.names[0]);
      key("value").value(value.items[0], first);
      break;
    case Kind::kOther:
      key("name").string(value.text);
      break;
    default:
      if (value.kind == Kind::kObject) key("name").string(value.text);
      names(value);
      key("items").begin_array();
      for (const Value& item : value.items) this->value(item, first);
      end_array();
  }
  return end_object();
}

}  // namespace runner
