// warp_ops::shear(Tensor image, float amount): moves each row of an image to the right by amount
// times its number.
#include <ATen/Dispatch.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>
#include <cstdint>

namespace {

using at::Tensor;

void check_image(const Tensor& image) {
  TORCH_CHECK(image.dim() == 2, "shear wants an image (H, W), not a tensor of ", image.dim(),
              " dimensions");
  TORCH_CHECK(image.is_floating_point(), "shear wants floating point numbers, not ",
              image.scalar_type());
}

// One row, linearly interpolated; what lies outside is zero. With transpose, the gradient's way
// back.
template <typename T>
void shear_row(const T* in, T* out, std::int64_t width, double shift, bool transpose) {
  const auto whole = static_cast<std::int64_t>(std::floor(shift));
  const auto part = static_cast<T>(shift - static_cast<double>(whole));
  for (std::int64_t x = 0; x < width; ++x) {
    for (const int side : {0, 1}) {
      const std::int64_t from = x - whole - side;
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

Tensor shear_all(const Tensor& image, double amount, bool transpose) {
  const Tensor input = image.contiguous();
  const Tensor output = at::zeros_like(input);
  const std::int64_t height = input.size(0);
  const std::int64_t width = input.size(1);
  AT_DISPATCH_FLOATING_TYPES(input.scalar_type(), "shear", [&] {
    const scalar_t* in = input.const_data_ptr<scalar_t>();
    scalar_t* out = output.mutable_data_ptr<scalar_t>();
    for (std::int64_t y = 0; y < height; ++y) {
      const double shift = amount * static_cast<double>(y);
      shear_row(in + y * width, out + y * width, width, shift, transpose);
    }
  });
  return output;
}

Tensor shear_cpu(const Tensor& image, double amount) {
  check_image(image);
  return shear_all(image, amount, /*transpose=*/false);
}

Tensor shear_meta(const Tensor& image, double /*amount*/) {
  check_image(image);
  return at::empty_like(image, image.options(), at::MemoryFormat::Contiguous);
}

class Shear : public torch::autograd::Function<Shear> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& image,
                        double amount) {
    static const auto shear = c10::Dispatcher::singleton()
                                  .findSchemaOrThrow("warp_ops::shear", "")
                                  .typed<Tensor(const Tensor&, double)>();
    context->saved_data["amount"] = amount;
    const at::AutoDispatchBelowADInplaceOrView guard;
    return shear.call(image, amount);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const double amount = context->saved_data["amount"].toDouble();
    return {shear_all(gradients[0], amount, /*transpose=*/true), Tensor()};
  }
};

Tensor shear_autograd(const Tensor& image, double amount) { return Shear::apply(image, amount); }

}  // namespace

TORCH_LIBRARY(warp_ops, m) { m.def("shear(Tensor image, float amount) -> Tensor"); }
TORCH_LIBRARY_IMPL(warp_ops, CPU, m) { m.impl("shear", &shear_cpu); }
TORCH_LIBRARY_IMPL(warp_ops, Meta, m) { m.impl("shear", &shear_meta); }
TORCH_LIBRARY_IMPL(warp_ops, Autograd, m) { m.impl("shear", &shear_autograd); }
