// The CUDA implementation: one thread for each sample.
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "smooth.h"

namespace smooth_ops {
namespace {

__global__ void moving_average_kernel(const float* in, float* out, int64_t count, int64_t length,
                                      int64_t radius) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= count) return;
  const int64_t row = index / length * length;
  const int64_t t = index - row;
  const int64_t first = t > radius ? t - radius : 0;
  const int64_t last = t + radius < length ? t + radius : length - 1;
  float sum = 0.0f;
  for (int64_t i = first; i <= last; ++i) sum += in[row + i];
  out[index] = sum / static_cast<float>(last - first + 1);
}

at::Tensor moving_average_cuda(const at::Tensor& signal, int64_t radius) {
  const at::Tensor input = checked(signal, radius);
  const c10::cuda::CUDAGuard guard(input.device());
  at::Tensor output = at::empty_like(input);
  const int64_t count = input.numel();
  if (count == 0) return output;
  constexpr int64_t threads = 256;
  const auto blocks = static_cast<unsigned int>((count + threads - 1) / threads);
  moving_average_kernel<<<blocks, threads, 0, c10::cuda::getCurrentCUDAStream()>>>(
      input.const_data_ptr<float>(), output.mutable_data_ptr<float>(), count, input.size(1),
      radius);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return output;
}

}  // namespace
}  // namespace smooth_ops

TORCH_LIBRARY_IMPL(smooth_ops, CUDA, m) {
  m.impl("moving_average", &smooth_ops::moving_average_cuda);
}
