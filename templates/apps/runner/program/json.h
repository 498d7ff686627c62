// Values as JSON for programs.
#pragma once

#include <cstdint>
#include <string>

#include "values/value.h"

namespace runner {

// One JSON document, built from front to back. Numbers keep their full precision; nan, inf and
// -inf, which JSON does not have, are strings of these names.
class Json {
 public:
  Json& begin_object();
  Json& end_object();
  Json& begin_array();
  Json& end_array();
  Json& key(const std::string& name);
  Json& string(const std::string& text);
  Json& integer(std::int64_t value);
  Json& number(double value);
  Json& number(float value);
  Json& boolean(bool value);
  Json& null();
  Json& value(const Value& value, std::int64_t first);

  const std::string& text() const { return text_; }

 private:
  void separate();
  void element(const Tensor& tensor, std::int64_t index);
  void tensor(const Tensor& tensor, std::int64_t first);
  void names(const Value& value);

  std::string text_;
  bool comma_ = false;
};

}  // namespace runner
