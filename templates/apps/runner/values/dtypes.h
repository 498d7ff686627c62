// Torch's names of dtypes.
#pragma once

#include <string>

#include "values/torch_headers.h"
#include "values/value.h"

namespace runner {

struct KnownDtype {
  std::string name;
  bool has_element = false;
  Element element = Element::kFloat32;  // if it has one
};

// What is known of a dtype, looked up once.
const KnownDtype& known_dtype(at::ScalarType type);

std::string dtype_name(at::ScalarType type);

// Throws Error (kUsage) for what this libtorch does not have.
at::ScalarType scalar_type(const std::string& name);

}  // namespace runner
