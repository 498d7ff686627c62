// What the library "geometry" offers to C++: to other operator libraries, and to programs.
#pragma once

#include <ATen/core/Tensor.h>

namespace geometry {

// Squared distances (N, M) between the points (N, D) and (M, D), all of one floating point type.
at::Tensor squared_distances(const at::Tensor& points, const at::Tensor& others);

}  // namespace geometry
