// The Python module, and the schemas of all operators.
#include <torch/extension.h>

#include <string>
#include <vector>

namespace {

std::vector<std::string> describe(const at::Tensor& tensor) {
  return {c10::toString(tensor.scalar_type()), tensor.device().str(),
          tensor.is_contiguous() ? "contiguous" : "strided"};
}

at::Tensor stack_rows(const std::vector<at::Tensor>& rows, int64_t width) {
  at::Tensor out = at::zeros({static_cast<int64_t>(rows.size()), width}, rows.at(0).options());
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t count = std::min(width, rows[i].size(0));
    out[static_cast<int64_t>(i)].slice(0, 0, count).copy_(rows[i].slice(0, 0, count));
  }
  return out;
}

}  // namespace

TORCH_LIBRARY(bench_ops, m) {
  m.def("gelu_gate(Tensor x, Tensor gate) -> Tensor");
  m.def("soft_clamp(Tensor x, float low, float high) -> Tensor");
  m.def("box_area(Tensor boxes) -> Tensor");
  m.def("box_iou(Tensor a, Tensor b) -> Tensor");
  m.def("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor");
  m.def("shear(Tensor image, float amount) -> Tensor");
  m.def("focal_loss(Tensor logits, Tensor targets, float gamma, float alpha) -> Tensor");
  m.def("dice_loss(Tensor probabilities, Tensor targets) -> Tensor");
  m.def("rms_norm(Tensor x, Tensor weight, float eps) -> Tensor");
  m.def("group_scale(Tensor x, int groups, float eps) -> Tensor");
  m.def("masked_mean(Tensor x, Tensor mask, int dim) -> Tensor");
  m.def("top_mean(Tensor x, int k) -> Tensor");
  m.def("pad_sequences(Tensor[] sequences, float value) -> Tensor");
  m.def("segment_sum(Tensor values, Tensor segments, int count) -> Tensor");
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.doc() = "Operators of the benchmark";
  m.def("describe", &describe, "Type, device and layout of a tensor", py::arg("tensor"));
  m.def("stack_rows", &stack_rows, "Rows of several lengths as one tensor", py::arg("rows"),
        py::arg("width"));
}
