#include "values/to_torch.h"

#include "values/dtypes.h"

namespace runner {

using c10::IValue;

at::Tensor to_torch(const Tensor& tensor) {
  const auto owner = tensor.data;
  return at::from_blob(
      const_cast<void*>(owner.get()), tensor.shape, [owner](void*) {},
      at::TensorOptions().dtype(scalar_type(tensor.dtype)));
}

IValue to_device(const IValue& value, const at::Device& device) {
  if (value.isTensor()) {
    return value.toTensor().defined() ? IValue(value.toTensor().to(device)) : value;
  }
  if (value.isTuple()) {
    std::vector<IValue> items;
    const auto tuple = value.toTuple();
    for (const IValue& item : tuple->elements()) items.push_back(to_device(item, device));
    return IValue(c10::ivalue::Tuple::create(std::move(items)));
  }
  if (value.isList()) {
    const auto items = value.toList();
    c10::impl::GenericList list(items.elementType());
    for (std::size_t i = 0; i < items.size(); ++i) list.push_back(to_device(items.get(i), device));
    return IValue(std::move(list));
  }
  if (value.isGenericDict()) {
    const auto entries = value.toGenericDict();
    c10::impl::GenericDict dict(entries.keyType(), entries.valueType());
    for (const auto& entry : entries) {
      const IValue item = to_device(entry.value(), device);
      dict.insert(entry.key(), item);
    }
    return IValue(std::move(dict));
  }
  return value;
}

}  // namespace runner
