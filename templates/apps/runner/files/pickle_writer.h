// Python's pickle format, as far as torch.load(weights_only=True) needs it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "values/value.h"

namespace runner {

struct Pickled {
  std::string data;                                    // the record data.pkl
  std::vector<std::shared_ptr<const Tensor>> tensors;  // the records data/0, data/1, ...
};

// Throws Error (kRunFailed) for objects and dtypes that torch.load would not take.
Pickled pickle(const Value& value);

}  // namespace runner
