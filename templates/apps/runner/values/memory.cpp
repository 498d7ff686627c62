#include "values/memory.h"

#include <string>
#include <utility>
#include <vector>

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
#if TORCH_AT_LEAST(1, 10)
  if (tensor.is_conj()) tensor = tensor.resolve_conj();
#endif
#if TORCH_AT_LEAST(1, 11)
  if (tensor.is_neg()) tensor = tensor.resolve_neg();
#endif
  return tensor;
}

}  // namespace

Tensor keep(at::Tensor tensor) {
  if (tensor.requires_grad()) tensor = tensor.detach();
  Tensor result;
  const KnownDtype& dtype = known_dtype(tensor.scalar_type());
  result.dtype = dtype.name;
  result.element = dtype.element;
  result.shape = tensor.sizes().vec();
  const bool dense = tensor.layout() == c10::kStrided && !tensor.is_quantized();
  if (dense) tensor = plain(std::move(tensor));
  const auto owner = std::make_shared<at::Tensor>(std::move(tensor));
  if (dtype.has_element && dense && owner->device().is_cpu() && owner->is_contiguous()) {
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
  const KnownDtype& dtype = known_dtype(native.scalar_type());
  if (!dtype.has_element) throw Error(kUsage, "nobody else knows the dtype " + dtype.name);
  memory.element = dtype.element;
  memory.data = native.data_ptr();
  memory.device = native.device().str();
  memory.shape = native.sizes().vec();
  memory.strides = native.strides().vec();
  return memory;
}

}  // namespace runner
