// In the place of torch's own header, which has all of ATen's operators: with those that the source
// names, in torchscript_build_names.h, and those that torch's other headers call. All overloads of
// a name are in one header.
#pragma once

#include <ATen/Context.h>
#include <ATen/DeviceGuard.h>
#include <ATen/TensorUtils.h>
#include <ATen/TracerMode.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Reduction.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Scalar.h>
#include <c10/core/Storage.h>
#include <c10/core/SymInt.h>
#include <c10/core/TensorOptions.h>
#include <c10/util/Deprecated.h>
#include <c10/util/OptionalArrayRef.h>

#include <optional>
#if __has_include(<c10/util/Optional.h>)
#include <c10/util/Optional.h>
#endif

#include <ATen/ops/alias.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/std.h>
#include <ATen/ops/std_mean.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/var.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/view.h>
#include <ATen/ops/view_copy.h>
#include <ATen/ops/zeros.h>
#include <torchscript_build_names.h>

// As torch's own header has them, the same since 2.1.
namespace at {

inline Tensor var(const Tensor& self, int dim) { return at::var(self, IntArrayRef{dim}); }
inline std::tuple<Tensor, Tensor> var_mean(const Tensor& self, int dim) {
  return at::var_mean(self, IntArrayRef{dim});
}
inline Tensor std(const Tensor& self, int dim) { return at::std(self, IntArrayRef{dim}); }
inline std::tuple<Tensor, Tensor> std_mean(const Tensor& self, int dim) {
  return at::std_mean(self, IntArrayRef{dim});
}
inline int64_t numel(const Tensor& tensor) { return tensor.numel(); }
inline int64_t size(const Tensor& tensor, int64_t dim) { return tensor.size(dim); }
inline int64_t stride(const Tensor& tensor, int64_t dim) { return tensor.stride(dim); }
inline bool is_complex(const Tensor& tensor) { return tensor.is_complex(); }
inline bool is_floating_point(const Tensor& tensor) { return tensor.is_floating_point(); }
inline bool is_signed(const Tensor& tensor) { return tensor.is_signed(); }
inline bool is_inference(const Tensor& tensor) { return tensor.is_inference(); }
inline bool _is_zerotensor(const Tensor& tensor) { return tensor._is_zerotensor(); }
inline bool is_conj(const Tensor& tensor) { return tensor.is_conj(); }
inline Tensor conj(const Tensor& tensor) { return tensor.conj(); }
inline bool is_neg(const Tensor& tensor) { return tensor.is_neg(); }

}  // namespace at
