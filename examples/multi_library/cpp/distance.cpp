// The library "geometry": it owns the namespace, and its function is also for C++ callers.
#include "geometry/distance.h"

#include <torch/library.h>

namespace geometry {

at::Tensor squared_distances(const at::Tensor& points, const at::Tensor& others) {
  TORCH_CHECK(points.dim() == 2 && others.dim() == 2 && points.size(1) == others.size(1),
              "squared_distances wants points of shapes (N, D) and (M, D), not ", points.sizes(),
              " and ", others.sizes());
  TORCH_CHECK(points.is_floating_point() && points.scalar_type() == others.scalar_type(),
              "squared_distances wants one floating point type, not ", points.scalar_type(),
              " and ", others.scalar_type());
  return points.unsqueeze(1).sub(others.unsqueeze(0)).square().sum(2);
}

}  // namespace geometry

TORCH_LIBRARY(geometry, m) {
  m.def("squared_distances(Tensor points, Tensor others) -> Tensor", &geometry::squared_distances);
}
