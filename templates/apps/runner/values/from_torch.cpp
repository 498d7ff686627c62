#include "values/from_torch.h"

#include <algorithm>
#include <iterator>

#include "values/dtypes.h"

namespace runner {
namespace {

const Element kElements[] = {
    Element::kBool,    Element::kUInt8,     Element::kInt8,       Element::kUInt16,
    Element::kInt16,   Element::kUInt32,    Element::kInt32,      Element::kUInt64,
    Element::kInt64,   Element::kFloat16,   Element::kBFloat16,   Element::kFloat32,
    Element::kFloat64, Element::kComplex64, Element::kComplex128,
};

}  // namespace

Tensor from_torch(at::Tensor tensor) {
  Tensor result;
  result.dtype = dtype_name(tensor.scalar_type());
  if (tensor.is_quantized()) {
    tensor = tensor.dequantize();
  } else if (tensor.layout() != c10::kStrided) {
    tensor = tensor.to_dense();
  }
  tensor = tensor.detach().cpu();
#if TORCH_AT_LEAST(1, 11)
  tensor = tensor.resolve_conj().resolve_neg();
#elif TORCH_AT_LEAST(1, 10)
  tensor = tensor.resolve_conj();
#endif
  std::string stored = dtype_name(tensor.scalar_type());
  const auto is_stored = [&stored](Element element) { return stored == element_name(element); };
  const Element* element = std::find_if(std::begin(kElements), std::end(kElements), is_stored);
  if (element == std::end(kElements)) {  // a dtype that is shown as a wider one
    tensor = tensor.to(tensor.is_complex() ? at::kComplexFloat : at::kFloat);
    stored = dtype_name(tensor.scalar_type());
    element = std::find_if(std::begin(kElements), std::end(kElements), is_stored);
  }
  tensor = tensor.contiguous();
  result.element = *element;
  result.shape = tensor.sizes().vec();
  const auto owner = std::make_shared<at::Tensor>(tensor);
  result.data = std::shared_ptr<const void>(owner, owner->data_ptr());
  return result;
}

Value from_torch(const c10::IValue& value) {
  using Kind = Value::Kind;
  Value result;
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    return tensor.defined() ? make_tensor(from_torch(tensor)) : Value();
  } else if (value.isNone()) {
    result.kind = Kind::kNone;
  } else if (value.isBool()) {
    result.kind = Kind::kBool;
    result.integer = value.toBool() ? 1 : 0;
  } else if (value.isInt()) {
    result.kind = Kind::kInt;
    result.integer = value.toInt();
  } else if (value.isDouble()) {
    result.kind = Kind::kFloat;
    result.real = value.toDouble();
  } else if (value.isComplexDouble()) {
    result.kind = Kind::kComplex;
    result.real = value.toComplexDouble().real();
    result.imaginary = value.toComplexDouble().imag();
  } else if (value.isString()) {
    result.kind = Kind::kString;
    result.text = value.toStringRef();
  } else if (value.isDevice()) {
    result.kind = Kind::kString;
    result.text = value.toDevice().str();
  } else if (value.isTuple()) {
    result.kind = Kind::kTuple;
    const auto tuple = value.toTuple();
    for (const c10::IValue& item : tuple->elements()) result.items.push_back(from_torch(item));
    const auto type = tuple->type();
    if (type->schema()) {
      for (const auto& field : type->schema()->arguments()) result.names.push_back(field.name());
    }
  } else if (value.isList()) {
    result.kind = Kind::kList;
    const auto list = value.toList();
    for (std::size_t i = 0; i < list.size(); ++i) result.items.push_back(from_torch(list.get(i)));
  } else if (value.isGenericDict()) {
    result.kind = Kind::kDict;
    for (const auto& entry : value.toGenericDict()) {
      result.items.push_back(from_torch(entry.key()));
      result.items.push_back(from_torch(entry.value()));
    }
  } else if (value.isFuture()) {
    value.toFuture()->wait();
    return from_torch(value.toFuture()->value());
  } else {
    result.kind = Kind::kOther;
    result.text = value.type()->annotation_str();
  }
  return result;
}

}  // namespace runner
