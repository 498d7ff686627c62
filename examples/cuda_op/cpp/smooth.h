// What the CPU and the CUDA implementation share.
#pragma once

#include <ATen/core/Tensor.h>

namespace smooth_ops {

// Both implementations want the same; returns the input as they need it.
inline at::Tensor checked(const at::Tensor& signal, int64_t radius) {
  TORCH_CHECK(signal.dim() == 2, "moving_average wants signals (N, T), not a tensor of ",
              signal.dim(), " dimensions");
  TORCH_CHECK(signal.scalar_type() == at::kFloat, "moving_average wants float32, not ",
              signal.scalar_type());
  TORCH_CHECK(radius >= 0, "moving_average wants a radius of 0 or more, not ", radius);
  return signal.contiguous();
}

}  // namespace smooth_ops
