// Loads a TorchScript model and runs it on a tensor of ones: MODEL.pt [SIZE ...]
#include <ATen/Functions.h>
#include <ATen/core/Formatting.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdlib>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " MODEL.pt [SIZE ...]\n";
    return 2;
  }
  std::vector<std::int64_t> shape;
  for (int i = 2; i < argc; ++i) shape.push_back(std::atoll(argv[i]));
  if (shape.empty()) shape = {1, 3, 224, 224};
  try {
    at::NoGradGuard no_grad;
    auto model = torch::jit::load(argv[1]);
    model.eval();
    const at::Tensor output = model.forward({at::ones(shape)}).toTensor();
    std::cout << output.slice(/*dim=*/1, /*start=*/0, /*end=*/5) << '\n';
  } catch (const c10::Error& error) {  // its what() would add the C++ stack
    std::cerr << "error: " << error.what_without_backtrace() << '\n';
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
