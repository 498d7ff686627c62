// series_ops::longest_rise(Tensor series) -> int: the length of the longest run of rising values.
#include <ATen/Dispatch.h>
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>

namespace {

std::int64_t longest_rise(const at::Tensor& series) {
  TORCH_CHECK(series.dim() == 1, "longest_rise wants a series, not a tensor of ", series.dim(),
              " dimensions");
  const at::Tensor values = series.contiguous();
  const std::int64_t count = values.numel();
  std::int64_t longest = std::min<std::int64_t>(count, 1);
  AT_DISPATCH_ALL_TYPES(values.scalar_type(), "longest_rise", [&] {
    const scalar_t* data = values.const_data_ptr<scalar_t>();
    std::int64_t run = 1;
    for (std::int64_t i = 1; i < count; ++i) {
      run = data[i] > data[i - 1] ? run + 1 : 1;
      longest = std::max(longest, run);
    }
  });
  return longest;
}

}  // namespace

TORCH_LIBRARY(series_ops, m) { m.def("longest_rise(Tensor series) -> int"); }
TORCH_LIBRARY_IMPL(series_ops, CPU, m) { m.impl("longest_rise", &longest_rise); }
