// Reading Python's pickle format, as far as torch.save uses it for values. Nothing is executed:
// what a file calls is looked up in a short list of functions that make values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "values/value.h"

namespace runner {

struct Storage {
  std::shared_ptr<const char> data;
  std::uint64_t size = 0;
};

// The record data/KEY. Throws Error where there is none.
using StorageReader = std::function<Storage(const std::string& key)>;

// Instances of classes that are not known become objects. Throws Error (kUsage), also for what is
// nested or large beyond reason.
Value unpickle(const std::string& data, const StorageReader& storages);

}  // namespace runner
