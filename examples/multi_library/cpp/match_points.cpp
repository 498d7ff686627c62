// Finds the landmark nearest to each point: match-points [MODEL.pt] X Y [X Y ...]
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torchscript_build/app.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "geometry/distance.h"

namespace {

void match(const std::string& file, const at::Tensor& points) {
  const at::NoGradGuard no_grad;
  const auto result = torch::jit::load(file).forward({points}).toTuple();
  const at::Tensor nearest = result->elements()[0].toTensor();
  const at::Tensor distance = result->elements()[1].toTensor();
  // The library's C++ function needs no model and no dispatcher.
  const at::Tensor origin = points.new_zeros({1, 2});
  const at::Tensor to_origin = geometry::squared_distances(points, origin).sqrt();
  for (std::int64_t i = 0; i < points.size(0); ++i) {
    std::printf("(%g, %g): landmark %d at distance %.4f, origin at distance %.4f\n",
                points[i][0].item<double>(), points[i][1].item<double>(), nearest[i].item<int>(),
                distance[i].item<double>(), to_origin[i].item<double>());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s [MODEL.pt] X Y [X Y ...]\n", argv[0]);
    return 2;
  }
  const int first = argc % 2 == 0 ? 2 : 1;  // an odd number of arguments begins with a model
  std::vector<float> numbers;
  for (int i = first; i < argc; ++i) numbers.push_back(std::strtof(argv[i], nullptr));
  try {
    match(first == 2 ? argv[1] : torchscript_build::model_path("matcher"),
          at::tensor(numbers).reshape({-1, 2}));
    return 0;
  } catch (const c10::Error& error) {
    std::fprintf(stderr, "match-points: error: %s\n", error.what_without_backtrace());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "match-points: error: %s\n", error.what());
  }
  return 1;
}
