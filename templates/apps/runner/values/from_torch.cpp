#include "values/from_torch.h"

#include <utility>

#include "program/error.h"
#include "values/dtypes.h"

namespace runner {
namespace {

using c10::IValue;
using Kind = Value::Kind;

using MakeTensor = Tensor (*)(at::Tensor);

// The members of a sparse tensor in the order of Packing::parts; empty for another layout.
std::vector<at::Tensor> sparse_parts(const at::Tensor& tensor) {
  if (tensor.layout() == c10::kSparse) return {tensor._indices(), tensor._values()};
#if TORCH_AT_LEAST(1, 13)
  if (tensor.layout() == c10::kSparseCsr || tensor.layout() == c10::kSparseBsr) {
    return {tensor.crow_indices(), tensor.col_indices(), tensor.values()};
  }
  if (tensor.layout() == c10::kSparseCsc || tensor.layout() == c10::kSparseBsc) {
    return {tensor.ccol_indices(), tensor.row_indices(), tensor.values()};
  }
#endif
  return {};
}

const char* layout_name(const at::Tensor& tensor) {
  if (tensor.layout() == c10::kSparse) return "sparse_coo";
#if TORCH_AT_LEAST(1, 13)
  if (tensor.layout() == c10::kSparseCsr) return "sparse_csr";
  if (tensor.layout() == c10::kSparseCsc) return "sparse_csc";
  if (tensor.layout() == c10::kSparseBsr) return "sparse_bsr";
  if (tensor.layout() == c10::kSparseBsc) return "sparse_bsc";
#endif
  return "strided";
}

std::shared_ptr<const Packing> quantized_packing(const at::Tensor& tensor) {
  auto packing = std::make_shared<Packing>();
  packing->parts.push_back(from_torch(tensor.int_repr()));
  if (tensor.qscheme() == at::kPerTensorAffine) {
    packing->form = "per_tensor_affine";
    packing->scale = tensor.q_scale();
    packing->zero_point = tensor.q_zero_point();
  } else {
    packing->form = tensor.qscheme() == at::kPerChannelAffine ? "per_channel_affine"
                                                              : "per_channel_affine_float_qparams";
    packing->parts.push_back(from_torch(tensor.q_per_channel_scales()));
    packing->parts.push_back(from_torch(tensor.q_per_channel_zero_points()));
    packing->axis = tensor.q_per_channel_axis();
  }
  return packing;
}

// A tensor that can be carried, or what it is.
Value convert_tensor(const at::Tensor& tensor, MakeTensor make) {
#if TORCH_AT_LEAST(1, 13)
  if (tensor.is_nested()) return make_text(Kind::kOther, "nested tensor");
#endif
  if (tensor.is_meta()) return make_text(Kind::kOther, "tensor without data (on the device meta)");
  const KnownDtype& dtype = known_dtype(tensor.scalar_type());
  const std::string& name = dtype.name;
  if (dtype.has_element || name == "qint8" || name == "quint8" || name == "qint32") {
    return make_tensor(make(tensor));
  }
  return make_text(Kind::kOther, "tensor of dtype " + name);
}

// As Python shows it: without the root of TorchScript's names.
std::string class_name(const std::string& qualified) {
  const std::string root = "__torch__.";
  return qualified.compare(0, root.size(), root) == 0 ? qualified.substr(root.size()) : qualified;
}

Value convert(const IValue& value, int depth, MakeTensor make);

Value convert_object(const c10::ivalue::Object& object, int depth, MakeTensor make) {
  const auto type = object.type();
  const std::string name = object.name();
  Value result;
  result.kind = Kind::kObject;
  result.text = class_name(name);
  if (type->is_module() || name.compare(0, 24, "__torch__.torch.classes.") == 0) {
    return make_text(Kind::kOther, name);
  }
  for (std::size_t i = 0; i < type->numAttributes(); ++i) {
    result.names.push_back(type->getAttributeName(i));
    result.items.push_back(convert(object.getSlot(i), depth + 1, make));
  }
  return result;
}

Value convert(const IValue& value, int depth, MakeTensor make) {
  if (depth > kMostNesting) {
    throw Error(kRunFailed, "the outputs are nested more than " + std::to_string(kMostNesting) +
                                " deep, or hold themselves");
  }
  if (value.isTensor() && value.toTensor().defined()) return convert_tensor(value.toTensor(), make);
  Value result;
  if (value.isTensor() || value.isNone()) {
    return result;
  } else if (value.isBool()) {
    result.kind = Kind::kBool;
    result.integer = value.toBool() ? 1 : 0;
  } else if (value.isInt()) {
    return make_int(value.toInt());
  } else if (value.isDouble()) {
    result.kind = Kind::kFloat;
    result.real = value.toDouble();
  } else if (value.isComplexDouble()) {
    result.kind = Kind::kComplex;
    result.real = value.toComplexDouble().real();
    result.imaginary = value.toComplexDouble().imag();
  } else if (value.isString()) {
    return make_text(Kind::kString, value.toStringRef());
  } else if (value.isDevice()) {
    return make_text(Kind::kDevice, value.toDevice().str());
  } else if (value.isTuple()) {
    result.kind = Kind::kTuple;
    const auto tuple = value.toTuple();
    for (const IValue& item : tuple->elements())
      result.items.push_back(convert(item, depth + 1, make));
    const auto type = tuple->type();
    if (type->schema()) {
      for (const auto& field : type->schema()->arguments()) result.names.push_back(field.name());
    }
  } else if (value.isList()) {
    result.kind = Kind::kList;
    const auto list = value.toList();
    for (std::size_t i = 0; i < list.size(); ++i) {
      result.items.push_back(convert(list.get(i), depth + 1, make));
    }
  } else if (value.isGenericDict()) {
    result.kind = Kind::kDict;
    for (const auto& entry : value.toGenericDict()) {
      result.items.push_back(convert(entry.key(), depth + 1, make));
      result.items.push_back(convert(entry.value(), depth + 1, make));
    }
  } else if (value.isFuture()) {
    value.toFuture()->wait();
    return convert(value.toFuture()->value(), depth + 1, make);
  } else if (value.isEnum()) {
    const auto member = value.toEnumHolder();
    result.kind = Kind::kEnum;
    result.text = class_name(member->qualifiedClassName());
    result.names = {member->name()};
    result.items = {convert(member->value(), depth + 1, make)};
  } else if (value.isObject()) {
    return convert_object(value.toObjectRef(), depth, make);
  } else {
    return make_text(Kind::kOther, value.type()->annotation_str());
  }
  return result;
}

}  // namespace

Tensor from_torch(at::Tensor tensor) {
  Tensor result;
  result.dtype = dtype_name(tensor.scalar_type());
  tensor = tensor.detach().cpu();
  result.shape = tensor.sizes().vec();
  const std::string layout = layout_name(tensor);
  if (layout != "strided") {
    if (layout == "sparse_coo") tensor = tensor.coalesce();
    auto packing = std::make_shared<Packing>();
    packing->form = layout;
    packing->coalesced = layout == "sparse_coo";
    for (const at::Tensor& part : sparse_parts(tensor)) packing->parts.push_back(from_torch(part));
    result.element = packing->parts.back().element;
    result.packing = packing;
    return result;
  }
  if (tensor.is_quantized()) {
    result.packing = quantized_packing(tensor);
    tensor = tensor.dequantize();
  } else if (tensor.layout() != c10::kStrided) {
    tensor = tensor.to_dense();
  }
#if TORCH_AT_LEAST(1, 11)
  tensor = tensor.resolve_conj().resolve_neg();
#elif TORCH_AT_LEAST(1, 10)
  tensor = tensor.resolve_conj();
#endif
  tensor = tensor.contiguous();
  const std::string stored = dtype_name(tensor.scalar_type());
  if (!find_element(stored, &result.element)) {
    throw Error(kRunFailed, "tensors of dtype " + stored + " are not known");
  }
  const auto owner = std::make_shared<at::Tensor>(tensor);
  result.data = std::shared_ptr<const void>(owner, owner->data_ptr());
  return result;
}

Value from_torch(const IValue& value) {
  return convert(value, 0, [](at::Tensor tensor) { return from_torch(std::move(tensor)); });
}

Value from_torch(const IValue& value, Tensor (*make)(at::Tensor)) {
  return convert(value, 0, make);
}

}  // namespace runner
