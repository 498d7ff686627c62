// Runs a model that returns a tag: tagger MODEL.pt VALUE VALUE [VALUE ...]
#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include "labels.h"

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s MODEL.pt VALUE VALUE [VALUE ...]\n", argv[0]);
    return 2;
  }
  std::vector<float> values;
  for (int i = 2; i < argc; ++i) values.push_back(std::strtof(argv[i], nullptr));
  try {
    const auto tag = torch::jit::load(argv[1]).forward({at::tensor(values)}).toInt();
    std::printf("%s\n", tagger::label_of(static_cast<int>(tag)).c_str());
    return 0;
  } catch (const c10::Error& error) {
    std::fprintf(stderr, "tagger: error: %s\n", error.what_without_backtrace());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tagger: error: %s\n", error.what());
  }
  return 1;
}
