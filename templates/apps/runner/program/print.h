// Values as text for people and as JSON for programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "values/value.h"

namespace runner {

std::string number_text(double value);  // six digits; nan, inf, -inf
std::string element_text(const Tensor& tensor, std::int64_t index);
std::string key_text(const Value& key);   // of a dict: "boxes" with quotes, 3
std::string summary(const Value& value);  // one line: float32 [1, 1000], list of 2, int 3

// Lines as "output[0]: float32 [1, 1000]" with the first values of each tensor below.
std::string as_text(const Value& value, std::int64_t first);

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

  std::string text_;
  bool comma_ = false;
};

}  // namespace runner
