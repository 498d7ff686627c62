// Torch's tensors as the runner's, without a copy.
#pragma once

#include "values/torch_headers.h"
#include "values/value.h"

namespace runner {

// The tensor stays on its device, and as it is. On the CPU its elements can be read, too, where
// they lie one after the other.
Tensor keep(at::Tensor tensor);

}  // namespace runner
