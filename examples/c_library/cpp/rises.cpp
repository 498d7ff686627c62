// series_ops::rises(Tensor series) -> Tensor: how often each row rises from one value to the next.
#include <ATen/core/Tensor.h>
#include <torch/library.h>

namespace {

at::Tensor rises(const at::Tensor& series) {
  TORCH_CHECK(series.dim() == 2, "rises wants rows of series, not a tensor of ", series.dim(),
              " dimensions");
  const at::Tensor next = series.slice(1, 1);
  const at::Tensor before = series.slice(1, 0, -1);
  return next.gt(before).sum(1);
}

}  // namespace

TORCH_LIBRARY(series_ops, m) { m.def("rises(Tensor series) -> Tensor"); }
TORCH_LIBRARY_IMPL(series_ops, CPU, m) { m.impl("rises", &rises); }
