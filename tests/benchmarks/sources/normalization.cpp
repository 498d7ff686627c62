// Normalization over the last dimension and over groups of channels.
#include <torch/extension.h>

namespace {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  TORCH_CHECK(x.size(-1) == weight.size(0), "rms_norm: ", x.size(-1), " values, ", weight.size(0),
              " weights");
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(wide.pow(2).mean(-1, /*keepdim=*/true) + eps);
  return (wide * scale).to(x.scalar_type()) * weight;
}

at::Tensor group_scale(const at::Tensor& x, int64_t groups, double eps) {
  const int64_t batch = x.size(0);
  const int64_t channels = x.size(1);
  TORCH_CHECK(groups > 0 && channels % groups == 0, "group_scale: ", channels, " channels, ",
              groups, " groups");
  const at::Tensor parts = x.reshape({batch, groups, -1});
  const at::Tensor deviation = at::std(parts, /*dim=*/{2}, /*unbiased=*/false, /*keepdim=*/true);
  return (parts / (deviation + eps)).reshape(x.sizes());
}

}  // namespace

TORCH_LIBRARY_IMPL(bench_ops, CompositeImplicitAutograd, m) {
  m.impl("rms_norm", &rms_norm);
  m.impl("group_scale", &group_scale);
}
