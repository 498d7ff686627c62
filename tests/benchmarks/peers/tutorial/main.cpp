// Loads a TorchScript model, runs it on ones, and prints the first values of its output.
#include <torch/script.h>

#include <iostream>
#include <vector>

int main(int argc, const char* argv[]) {
  if (argc != 4) {
    std::cerr << "usage: tutorial MODEL ROWS COLUMNS\n";
    return 2;
  }
  torch::jit::script::Module module;
  try {
    module = torch::jit::load(argv[1]);
  } catch (const c10::Error& error) {
    std::cerr << "error loading the model\n" << error.what() << "\n";
    return 1;
  }
  std::vector<torch::jit::IValue> inputs;
  inputs.push_back(torch::ones({std::stoll(argv[2]), std::stoll(argv[3])}));
  const at::Tensor output = module.forward(inputs).toTensor();
  std::cout << output.flatten().slice(/*dim=*/0, /*start=*/0, /*end=*/5) << std::endl;
  return 0;
}
