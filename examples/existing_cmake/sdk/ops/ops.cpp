// tagger::trend(Tensor values) -> int: does a series rise, fall, or neither?   tagger::tag_of(str
// label) -> int
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <string>

#include "labels.h"

namespace {

std::int64_t trend(const at::Tensor& values) {
  TORCH_CHECK(values.dim() == 1 && values.size(0) > 1,
              "trend wants a series of two or more values, not a tensor of shape ", values.sizes());
  const double change = values[-1].item<double>() - values[0].item<double>();
  return tagger::tag_of(change > 0 ? "rising" : change < 0 ? "falling" : "level");
}

std::int64_t tag_of(std::string label) {
  const int tag = tagger::tag_of(label);
  TORCH_CHECK(tag >= 0, "there is no label '", label, "'");
  return tag;
}

}  // namespace

TORCH_LIBRARY(tagger, m) {
  m.def("trend(Tensor values) -> int", &trend);
  m.def("tag_of(str label) -> int", &tag_of);
}
