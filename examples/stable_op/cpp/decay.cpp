// decay_ops::decay(Tensor signal, float rate): a running sum along the last dimension that forgets
// a part of itself at each step, y[t] = x[t] + (1 - rate) * y[t - 1].
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cstdint>

namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

template <typename T>
void run(const Tensor& input, const Tensor& output, double rate) {
  const auto* in = static_cast<const T*>(input.data_ptr());
  auto* out = static_cast<T*>(output.data_ptr());
  const auto keep = static_cast<T>(1.0 - rate);
  const std::int64_t length = input.size(input.dim() - 1);
  for (std::int64_t row = 0; row < input.numel(); row += length) {
    T sum = 0;
    for (std::int64_t t = 0; t < length; ++t) {
      sum = in[row + t] + keep * sum;
      out[row + t] = sum;
    }
  }
}

Tensor decay(const Tensor& signal, double rate) {
  STD_TORCH_CHECK(signal.dim() >= 1, "decay wants a signal (…, T), not a single number");
  STD_TORCH_CHECK(rate >= 0.0 && rate <= 1.0, "decay wants a rate from 0 to 1, not ", rate);
  const Tensor input = torch::stable::contiguous(signal);
  const Tensor output = torch::stable::empty_like(input);
  if (input.numel() == 0) {
    return output;
  }
  if (input.scalar_type() == ScalarType::Float) {
    run<float>(input, output, rate);
  } else if (input.scalar_type() == ScalarType::Double) {
    run<double>(input, output, rate);
  } else {
    STD_TORCH_CHECK(false, "decay wants float32 or float64");
  }
  return output;
}

}  // namespace

STABLE_TORCH_LIBRARY(decay_ops, m) { m.def("decay(Tensor signal, float rate) -> Tensor"); }
STABLE_TORCH_LIBRARY_IMPL(decay_ops, CPU, m) { m.impl("decay", TORCH_BOX(&decay)); }
