#include "values/coerce.h"

namespace runner {

using c10::IValue;
using c10::TypeKind;
using c10::TypePtr;

IValue coerce(const IValue& value, const TypePtr& type, const at::Device& device) {
  switch (type->kind()) {
    case TypeKind::OptionalType:
      if (value.isNone()) return value;
      return coerce(value, type->containedTypes().at(0), device);
    case TypeKind::FloatType:
      return value.isInt() ? IValue(static_cast<double>(value.toInt())) : value;
    case TypeKind::DeviceObjType:
      return value.isString() ? IValue(c10::Device(value.toStringRef())) : value;
    case TypeKind::ListType: {
      if (!value.isList()) return value;
      const TypePtr element_type = type->containedTypes().at(0);
      c10::impl::GenericList list(element_type);
      const auto items = value.toList();
      for (std::size_t i = 0; i < items.size(); ++i) {
        const IValue item = coerce(items.get(i), element_type, device);
        if (!item.type()->isSubtypeOf(element_type)) return value;
        list.push_back(item);
      }
      return IValue(std::move(list));
    }
    case TypeKind::DictType: {
      if (!value.isGenericDict()) return value;
      const TypePtr key_type = type->containedTypes().at(0);
      const TypePtr value_type = type->containedTypes().at(1);
      c10::impl::GenericDict dict(key_type, value_type);
      for (const auto& entry : value.toGenericDict()) {
        const IValue key = coerce(entry.key(), key_type, device);
        const IValue item = coerce(entry.value(), value_type, device);
        if (!key.type()->isSubtypeOf(key_type) || !item.type()->isSubtypeOf(value_type)) {
          return value;
        }
        dict.insert(key, item);
      }
      return IValue(std::move(dict));
    }
    case TypeKind::TupleType: {
      if (!value.isTuple()) return value;
      const auto tuple = value.toTuple();
      const auto types = type->containedTypes();
      if (types.size() != tuple->elements().size()) return value;
      std::vector<IValue> items;
      for (std::size_t i = 0; i < types.size(); ++i) {
        items.push_back(coerce(tuple->elements()[i], types[i], device));
      }
      const auto tuple_type = type->cast<c10::TupleType>();
      if (tuple_type->schema()) {
        return IValue(c10::ivalue::Tuple::createNamed(std::move(items), tuple_type));
      }
      return IValue(c10::ivalue::Tuple::create(std::move(items)));
    }
    default:
      return value;
  }
}

bool is_of_type(const IValue& value, const TypePtr& type) {
  if (value.type()->isSubtypeOf(type)) return true;
  return value.isTensor() && c10::TensorType::get()->isSubtypeOf(type);
}

}  // namespace runner
