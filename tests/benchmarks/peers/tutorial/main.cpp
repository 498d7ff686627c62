// Loads a TorchScript model, runs it on ones, and prints the first values of its output.
#include <torch/script.h>

#include <cstdint>
#include <iostream>
#include <vector>

int main(int argc, const char* argv[]) {
  if (argc < 3) {
    std::cerr << "usage: tutorial MODEL SIZE...\n";
    return 2;
  }
  torch::jit::script::Module module;
  try {
    module = torch::jit::load(argv[1]);
  } catch (const c10::Error& error) {
    std::cerr << "error loading the model\n" << error.what() << "\n";
    return 1;
  }
  std::vector<std::int64_t> sizes;
  for (int i = 2; i < argc; ++i) sizes.push_back(std::stoll(argv[i]));
  std::vector<torch::jit::IValue> inputs;
  inputs.push_back(torch::ones(sizes));
  const at::Tensor output = module.forward(inputs).toTensor();
  std::cout << output.flatten().slice(/*dim=*/0, /*start=*/0, /*end=*/5) << std::endl;
  return 0;
}
