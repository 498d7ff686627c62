// warp_ops::shear(Tensor image, float amount): moves each row of an image to the right by amount times its number.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>

namespace {

using at::Tensor;

// One row, linearly interpolated; what lies outside is zero. With transpose, the gradient's way back.
void shear_row(const float* in, float* out, int64_t width, double shift, bool transpose) {
  const auto whole = static_cast<int64_t>(std::floor(shift));
  const auto part = static_cast<float>(shift - static_cast<double>(whole));
  for (int64_t x = 0; x < width; ++x) {
    const int64_t from = x - whole;
    for (int side = 0; side < 2; ++side) {
      const int64_t at = from - side;
      const float weight = side == 0 ? 1.0f - part : part;
      if (at < 0 || at >= width) continue;
      if (transpose) {
        out[at] += weight * in[x];
      } else {
        out[x] += weight * in[at];
      }
    }
  }
}

Tensor shear_all(const Tensor& image, double amount, bool transpose) {
  TORCH_CHECK(image.dim() == 2, "shear wants an image (H, W), not a tensor of ", image.dim(), " dimensions");
  TORCH_CHECK(image.scalar_type() == at::kFloat, "shear wants float32, not ", image.scalar_type());
  const Tensor input = image.contiguous();
  Tensor output = at::zeros_like(input);
  const int64_t height = input.size(0), width = input.size(1);
  for (int64_t y = 0; y < height; ++y) {
    shear_row(input.const_data_ptr<float>() + y * width, output.mutable_data_ptr<float>() + y * width, width,
              amount * static_cast<double>(y), transpose);
  }
  return output;
}

Tensor shear_cpu(const Tensor& image, double amount) { return shear_all(image, amount, false); }

class Shear : public torch::autograd::Function<Shear> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& image, double amount) {
    context->saved_data["amount"] = amount;
    at::AutoDispatchBelowADInplaceOrView guard;
    return shear_cpu(image, amount);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    return {shear_all(gradients[0], context->saved_data["amount"].toDouble(), true), Tensor()};
  }
};

Tensor shear_autograd(const Tensor& image, double amount) { return Shear::apply(image, amount); }

}  // namespace

TORCH_LIBRARY(warp_ops, m) { m.def("shear(Tensor image, float amount) -> Tensor"); }
TORCH_LIBRARY_IMPL(warp_ops, CPU, m) { m.impl("shear", &shear_cpu); }
TORCH_LIBRARY_IMPL(warp_ops, Autograd, m) { m.impl("shear", &shear_autograd); }
