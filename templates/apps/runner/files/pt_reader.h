// Reading files of torch.save.
#pragma once

#include <string>

#include "values/value.h"

namespace runner {

// Tensors as they lie in the file: with strides, packed. Throws Error (kUsage).
Value read_pt(const std::string& path);

}  // namespace runner
