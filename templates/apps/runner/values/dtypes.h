// Torch's names of dtypes.
#pragma once

#include <string>

#include "values/torch_headers.h"

namespace runner {

std::string dtype_name(at::ScalarType type);

// Throws Error (kUsage) for what this libtorch does not have.
at::ScalarType scalar_type(const std::string& name);

}  // namespace runner
