#include "values/to_torch.h"

#include "engines/libtorch.h"
#include "program/error.h"
#include "values/dtypes.h"

namespace runner {
namespace {

// Not every release checks the indices of a sparse tensor when it makes one.
at::Tensor sparse_to_torch(const Tensor& tensor) {
  const Packing& packing = *tensor.packing;
  const at::Tensor values = to_torch(packing.parts.back());
  const at::Tensor indices = to_torch(packing.parts[0]);
  if (packing.form == "sparse_coo") {
    at::_validate_sparse_coo_tensor_args(indices, values, tensor.shape);
    at::Tensor result =
        at::sparse_coo_tensor(indices, values, tensor.shape, values.options().layout(c10::kSparse));
    return packing.coalesced ? result._coalesced_(true) : result;
  }
#if TORCH_AT_LEAST(1, 13)
  const at::Layout layout = packing.form == "sparse_csr"   ? c10::kSparseCsr
                            : packing.form == "sparse_csc" ? c10::kSparseCsc
                            : packing.form == "sparse_bsr" ? c10::kSparseBsr
                                                           : c10::kSparseBsc;
  const at::Tensor plain = to_torch(packing.parts[1]);
  at::_validate_sparse_compressed_tensor_args(indices, plain, values, tensor.shape, layout);
  return at::sparse_compressed_tensor(indices, plain, values, tensor.shape,
                                      values.options().layout(layout));
#else
  throw Error(kUsage,
              "libtorch " + libtorch_version() + " cannot make a " + packing.form + " tensor here");
#endif
}

at::Tensor quantized_to_torch(const Tensor& tensor) {
  const Packing& packing = *tensor.packing;
  const at::Tensor integers = to_torch(packing.parts[0]);
  if (packing.parts.size() == 1) {
    return at::_make_per_tensor_quantized_tensor(integers, packing.scale, packing.zero_point);
  }
  return at::_make_per_channel_quantized_tensor(integers, to_torch(packing.parts[1]),
                                                to_torch(packing.parts[2]), packing.axis);
}

}  // namespace

at::Tensor to_torch(const Tensor& tensor) {
  at::Tensor result;
  if (tensor.native) {
    result = *static_cast<const at::Tensor*>(tensor.native.get());
  } else if (tensor.packing) {
    result = is_sparse(tensor) ? sparse_to_torch(tensor) : quantized_to_torch(tensor);
  } else {
    const auto owner = tensor.data;
    const auto options = at::TensorOptions().dtype(scalar_type(tensor.dtype));
    void* data = const_cast<void*>(owner.get());
    const auto keep = [owner](void*) {};
    result = tensor.strides.empty()
                 ? at::from_blob(data, tensor.shape, keep, options)
                 : at::from_blob(data, tensor.shape, tensor.strides, keep, options);
  }
  if (tensor.requires_grad) result.set_requires_grad(true);
  return result;
}

}  // namespace runner
