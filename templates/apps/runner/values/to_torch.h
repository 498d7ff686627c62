// The runner's own values as torch's.
#pragma once

#include "values/torch_headers.h"
#include "values/value.h"

namespace runner {

// Shares the memory of what is not packed.
at::Tensor to_torch(const Tensor& tensor);

}  // namespace runner
