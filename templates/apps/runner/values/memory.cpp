#include "values/memory.h"

#include <utility>

#include "engines/devices.h"
#include "program/error.h"
#include "values/dtypes.h"
#include "values/from_torch.h"
#include "values/keep.h"
#include "values/to_torch.h"
#include "values/torch_headers.h"

namespace runner {
namespace {

at::TensorOptions options_of(const Memory& memory) {
  return at::TensorOptions()
      .dtype(scalar_type(element_name(memory.element)))
      .device(parse_device(memory.device));
}

at::Tensor plain(at::Tensor tensor) {
#if TORCH_AT_LEAST(1, 11)
  return tensor.resolve_conj().resolve_neg();
#elif TORCH_AT_LEAST(1, 10)
  return tensor.resolve_conj();
#else
  return tensor;
#endif
}

}  // namespace

Tensor keep(at::Tensor tensor) {
  if (tensor.requires_grad()) tensor = tensor.detach();
  Tensor result;
  result.dtype = dtype_name(tensor.scalar_type());
  result.shape = tensor.sizes().vec();
  const bool dense = tensor.layout() == c10::kStrided && !tensor.is_quantized();
  if (dense) tensor = plain(std::move(tensor));
  const auto owner = std::make_shared<at::Tensor>(std::move(tensor));
  if (find_element(result.dtype, &result.element) && dense && owner->device().is_cpu() &&
      owner->is_contiguous()) {
    result.data = std::shared_ptr<const void>(owner, owner->data_ptr());
  }
  result.native = owner;
  return result;
}

Tensor borrow(const Memory& memory, std::function<void()> release) {
  const auto options = options_of(memory);
  const auto free = [release](void*) { release(); };
  return keep(at::from_blob(memory.data, memory.shape, memory.strides, free, options));
}

Tensor copy(const Memory& memory) {
  const auto options = options_of(memory);
  const auto view = at::from_blob(memory.data, memory.shape, memory.strides, options);
  at::Tensor result = at::empty(memory.shape, options);
  result.copy_(view);
  return keep(result);
}

Tensor readable(const Tensor& tensor) { return from_torch(to_torch(tensor)); }

Memory memory_of(const Tensor& tensor) {
  const at::Tensor native = to_torch(tensor);
  if (native.layout() != c10::kStrided || native.is_quantized()) {
    throw Error(kUsage, "a " + describe(tensor) + " tensor is " +
                            (native.is_quantized() ? "quantized" : "sparse") +
                            ": its elements do not simply lie in memory");
  }
  Memory memory;
  if (!find_element(dtype_name(native.scalar_type()), &memory.element)) {
    throw Error(kUsage, "nobody else knows the dtype " + dtype_name(native.scalar_type()));
  }
  memory.data = native.data_ptr();
  memory.device = native.device().str();
  memory.shape = native.sizes().vec();
  memory.strides = native.strides().vec();
  return memory;
}

}  // namespace runner
