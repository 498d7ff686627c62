// The runner's own values as torch's.
#pragma once

#include "values/torch_headers.h"
#include "values/value.h"

namespace runner {

// Shares the memory.
at::Tensor to_torch(const Tensor& tensor);

// A copy with every tensor on the device.
c10::IValue to_device(const c10::IValue& value, const at::Device& device);

}  // namespace runner
