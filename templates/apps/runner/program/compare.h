// Comparing a model's outputs with reference outputs.
#pragma once

#include <cstdint>
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
  std::string place;    // of the first difference, for example output[1]["boxes"]
  std::string message;  // what differs there
  // What differs there: "value" (as many as below, in the first place), "dtype", "shape", "layout",
  // or "structure". Only values can be brought to match by tolerances, and only inexact ones.
  std::string kind;
  bool tolerable = false;
  std::int64_t different = 0;
  std::int64_t compared = 0;
  double max_absolute = 0;  // over all numbers compared
  double max_relative = 0;  // over those whose reference is not 0
};

// Structure, dtypes, shapes, and values as torch.allclose does with equal_nan=True:
// |actual - expected| <= atol + rtol * |expected|. A list may stand for a tuple, a dict for an
// object's attributes, an enum's value or name for its member. Throws Error (kRunFailed) before
// anything is compared if the outputs hold what cannot be.
Comparison compare(const Value& actual, const Value& expected, const Tolerance& tolerance);

}  // namespace runner
