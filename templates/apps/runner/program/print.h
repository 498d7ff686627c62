// Values as text for people.
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
std::string part_name(const std::string& form, std::size_t index);  // of a sparse tensor: values

std::string exact_text(double value, bool single);  // the shortest that reads back as the same
std::string quoted(const std::string& text);        // as JSON quotes strings

// Lines as "output[0]: float32 [1, 1000]" with the first values of each tensor below.
std::string as_text(const Value& value, std::int64_t first);

}  // namespace runner
