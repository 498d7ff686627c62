// smooth_ops::moving_average(Tensor signal, int radius): the mean of each sample and its neighbours
// within the radius.
#include "smooth.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>

namespace smooth_ops {
namespace {

at::Tensor moving_average_cpu(const at::Tensor& signal, int64_t radius) {
  const at::Tensor input = checked(signal, radius);
  at::Tensor output = at::empty_like(input);
  const int64_t length = input.size(1);
  const float* in = input.const_data_ptr<float>();
  float* out = output.mutable_data_ptr<float>();
  at::parallel_for(0, input.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t t = 0; t < length; ++t) {
        const int64_t first = std::max<int64_t>(0, t - radius);
        const int64_t last = std::min(length - 1, t + radius);
        float sum = 0.0f;
        for (int64_t i = first; i <= last; ++i) sum += in[n * length + i];
        out[n * length + t] = sum / static_cast<float>(last - first + 1);
      }
    }
  });
  return output;
}

}  // namespace
}  // namespace smooth_ops

TORCH_LIBRARY(smooth_ops, m) { m.def("moving_average(Tensor signal, int radius) -> Tensor"); }
TORCH_LIBRARY_IMPL(smooth_ops, CPU, m) {
  m.impl("moving_average", &smooth_ops::moving_average_cpu);
}
