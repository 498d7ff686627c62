// An image whose rows are moved by their number, with its gradient.
#include <torch/extension.h>

#include <cmath>

namespace {

template <typename T>
void move_row(const T* in, T* out, int64_t width, double shift, bool transpose) {
  const auto whole = static_cast<int64_t>(std::floor(shift));
  const T part = static_cast<T>(shift - std::floor(shift));
  for (int64_t x = 0; x < width; ++x) {
    for (int64_t side = 0; side < 2; ++side) {
      const int64_t from = x - whole - side;
      if (from < 0 || from >= width) continue;
      const T weight = side == 0 ? T(1) - part : part;
      if (transpose) {
        out[from] += weight * in[x];
      } else {
        out[x] += weight * in[from];
      }
    }
  }
}

at::Tensor move_rows(const at::Tensor& image, double amount, bool transpose) {
  TORCH_CHECK(image.dim() == 2, "shear wants an image (H, W), not ", image.sizes());
  const at::Tensor input = image.contiguous();
  at::Tensor output = at::zeros_like(input);
  AT_DISPATCH_FLOATING_TYPES(input.scalar_type(), "shear", [&] {
    const int64_t width = input.size(1);
    for (int64_t y = 0; y < input.size(0); ++y) {
      move_row(input.data_ptr<scalar_t>() + y * width, output.data_ptr<scalar_t>() + y * width,
               width, amount * static_cast<double>(y), transpose);
    }
  });
  return output;
}

at::Tensor shear_cpu(const at::Tensor& image, double amount) {
  return move_rows(image, amount, /*transpose=*/false);
}

class Shear : public torch::autograd::Function<Shear> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& image,
                            double amount) {
    context->saved_data["amount"] = amount;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return move_rows(image, amount, /*transpose=*/false);
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               const torch::autograd::tensor_list& gradients) {
    const double amount = context->saved_data["amount"].toDouble();
    return {move_rows(gradients[0], amount, /*transpose=*/true), at::Tensor()};
  }
};

at::Tensor shear_autograd(const at::Tensor& image, double amount) {
  return Shear::apply(image, amount);
}

}  // namespace

TORCH_LIBRARY_IMPL(bench_ops, CPU, m) { m.impl("shear", &shear_cpu); }
TORCH_LIBRARY_IMPL(bench_ops, Autograd, m) { m.impl("shear", &shear_autograd); }
