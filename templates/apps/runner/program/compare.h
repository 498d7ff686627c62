// Comparing a model's outputs with reference outputs.
#pragma once

#include <string>

#include "values/value.h"

namespace runner {

// Negative: the default by dtype, as torch.testing.assert_close has it.
struct Tolerance {
  double rtol = -1;
  double atol = -1;
};

struct Comparison {
  bool match = true;
  std::string place;        // of the first difference, for example output[1]["boxes"]
  std::string message;      // what differs there
  double max_absolute = 0;  // over all numbers compared
  double max_relative = 0;  // over those whose reference is not 0
};

// Structure (a list may stand for a tuple), dtypes, shapes, and values as torch.allclose does with
// equal_nan=True: |actual - expected| <= atol + rtol * |expected|.
Comparison compare(const Value& actual, const Value& expected, const Tolerance& tolerance);

}  // namespace runner
