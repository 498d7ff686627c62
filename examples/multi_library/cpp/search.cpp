// The library "geometry_search": it adds to the namespace of "geometry", and calls its C++
// function.
#include <torch/library.h>

#include "geometry/distance.h"

namespace {

at::Tensor nearest(const at::Tensor& points, const at::Tensor& others) {
  TORCH_CHECK(others.dim() == 2 && others.size(0) > 0, "nearest wants some points to choose from");
  return geometry::squared_distances(points, others).argmin(1);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(geometry, m) {
  m.def("nearest(Tensor points, Tensor others) -> Tensor", &nearest);
}
