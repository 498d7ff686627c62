// Sequences of several lengths, and sums over segments.
#include <torch/extension.h>

#include <algorithm>

namespace {

at::Tensor pad_sequences(at::TensorList sequences, double value) {
  TORCH_CHECK(!sequences.empty(), "pad_sequences: no sequence");
  int64_t longest = 0;
  for (const at::Tensor& sequence : sequences) longest = std::max(longest, sequence.size(0));
  const auto count = static_cast<int64_t>(sequences.size());
  at::Tensor out = at::full({count, longest}, value, sequences[0].options());
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor& sequence = sequences[static_cast<size_t>(i)];
    out[i].slice(0, 0, sequence.size(0)).copy_(sequence);
  }
  return out;
}

at::Tensor segment_sum(const at::Tensor& values, const at::Tensor& segments, int64_t count) {
  TORCH_CHECK(values.size(0) == segments.size(0), "segment_sum: sizes differ");
  std::vector<int64_t> shape = values.sizes().vec();
  shape[0] = count;
  return at::zeros(shape, values.options()).index_add(0, segments, values);
}

}  // namespace

TORCH_LIBRARY_IMPL(bench_ops, CompositeImplicitAutograd, m) {
  m.impl("pad_sequences", &pad_sequences);
  m.impl("segment_sum", &segment_sum);
}
