// Areas and overlaps of boxes (x0, y0, x1, y1), and non-maximum suppression.
#include <torch/extension.h>

#include <vector>

namespace {

at::Tensor box_area(const at::Tensor& boxes) {
  TORCH_CHECK(boxes.dim() == 2 && boxes.size(1) == 4, "boxes are (N, 4), not ", boxes.sizes());
  return (boxes.select(1, 2) - boxes.select(1, 0)) * (boxes.select(1, 3) - boxes.select(1, 1));
}

at::Tensor box_iou(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor low = at::maximum(a.unsqueeze(1).slice(2, 0, 2), b.slice(1, 0, 2));
  const at::Tensor high = at::minimum(a.unsqueeze(1).slice(2, 2, 4), b.slice(1, 2, 4));
  const at::Tensor side = (high - low).clamp_min(0);
  const at::Tensor inter = side.select(2, 0) * side.select(2, 1);
  return inter / (box_area(a).unsqueeze(1) + box_area(b) - inter);
}

at::Tensor nms(const at::Tensor& boxes, const at::Tensor& scores, double threshold) {
  const at::Tensor order = std::get<1>(scores.sort(/*dim=*/0, /*descending=*/true));
  const at::Tensor sorted = boxes.index_select(0, order).contiguous();
  const at::Tensor overlap = box_iou(sorted, sorted).to(at::kFloat).contiguous();
  const auto values = overlap.accessor<float, 2>();
  const int64_t count = boxes.size(0);
  std::vector<bool> dropped(static_cast<size_t>(count), false);
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < count; ++i) {
    if (dropped[static_cast<size_t>(i)]) continue;
    kept.push_back(i);
    for (int64_t j = i + 1; j < count; ++j) {
      if (values[i][j] > threshold) dropped[static_cast<size_t>(j)] = true;
    }
  }
  return order.index_select(0, torch::tensor(kept, at::kLong));
}

}  // namespace

TORCH_LIBRARY_IMPL(bench_ops, CPU, m) {
  m.impl("box_area", &box_area);
  m.impl("box_iou", &box_iou);
  m.impl("nms", &nms);
}
