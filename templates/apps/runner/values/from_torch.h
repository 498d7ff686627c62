// Torch's values as the runner's own.
#pragma once

#include "values/torch_headers.h"
#include "values/value.h"

namespace runner {

// On the CPU. Sparse and quantized tensors are packed, the latter with their numbers beside.
Tensor from_torch(at::Tensor tensor);

// Waits for what is not there yet. What has no kind of its own becomes kOther.
Value from_torch(const c10::IValue& value);

// The same with tensors made by a function.
Value from_torch(const c10::IValue& value, Tensor (*make)(at::Tensor));

}  // namespace runner
