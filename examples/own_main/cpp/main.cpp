// Looks for a minimum of a function of two variables by gradient descent: [MODEL.pt [STEPS]]
#include <torch/csrc/autograd/autograd.h>
#include <torch/script.h>
#include <torchscript_build/app.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

namespace {

void report(int step, const at::Tensor& point, const at::Tensor& value) {
  std::printf("step %2d: f(%.6f, %.6f) = %.6f\n", step, point[0].item<double>(),
              point[1].item<double>(), value.item<double>());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string file = argc > 1 ? argv[1] : torchscript_build::model_path("himmelblau");
    torch::jit::Module function = torch::jit::load(file);
    const int steps = argc > 2 ? std::atoi(argv[2]) : 60;
    const double rate = 0.01;

    at::Tensor point = torch::zeros({2}, torch::dtype(torch::kDouble).requires_grad(true));
    for (int step = 0; step <= steps; ++step) {
      const at::Tensor value = function.forward({point}).toTensor();
      if (step % 20 == 0) report(step, point, value);
      const auto gradient = torch::autograd::grad({value}, {point})[0];
      torch::NoGradGuard no_grad;
      point -= rate * gradient;
    }
    return 0;
  } catch (const c10::Error& error) {
    std::fprintf(stderr, "minimize: error: %s\n", error.what_without_backtrace());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "minimize: error: %s\n", error.what());
  }
  return 1;
}
