#include "values/coerce.h"

#include <algorithm>
#include <utility>

#include "program/print.h"
#include "values/to_torch.h"

namespace runner {
namespace {

using c10::IValue;
using c10::TypeKind;
using c10::TypePtr;
using Kind = Value::Kind;

[[noreturn]] void misfit(const Value& value, const TypePtr& type) {
  throw Misfit{"", "must be " + type->annotation_str() + ", not " + summary(value)};
}

// Gives a misfit within an item its place.
template <typename Function>
auto within(const std::string& place, const Function& function) -> decltype(function()) {
  try {
    return function();
  } catch (const Misfit& inner) {
    throw Misfit{place + inner.place, inner.what};
  }
}

std::string index_place(std::size_t index) { return "[" + std::to_string(index) + "]"; }

TypePtr unified(const TypePtr& first, const TypePtr& second, const std::string& what) {
  const auto type = c10::unifyTypes(first, second);
  if (type) return *type;
  throw Misfit{"", "holds " + what + " of different types, " + first->annotation_str() + " and " +
                       second->annotation_str() + ", so that the type cannot be inferred"};
}

// As Python infers the type of an argument that the schema leaves open.
TypePtr infer_type(const Value& value) {
  switch (value.kind) {
    case Kind::kNone:
      return c10::NoneType::get();
    case Kind::kBool:
      return c10::BoolType::get();
    case Kind::kInt:
      return c10::IntType::get();
    case Kind::kFloat:
      return c10::FloatType::get();
    case Kind::kComplex:
      return c10::ComplexType::get();
    case Kind::kString:
      return c10::StringType::get();
    case Kind::kDevice:
      return c10::DeviceObjType::get();
    case Kind::kTensor:
      return c10::TensorType::get();
    case Kind::kTuple: {
      std::vector<TypePtr> types;
      for (const Value& item : value.items) types.push_back(infer_type(item));
      return c10::TupleType::create(std::move(types));
    }
    case Kind::kList:
    case Kind::kDict: {
      if (value.items.empty()) {
        throw Misfit{"", std::string("is an empty ") + kind_name(value.kind) +
                             ", whose type cannot be inferred"};
      }
      const std::size_t step = value.kind == Kind::kDict ? 2 : 1;
      TypePtr first = infer_type(value.items[0]);
      TypePtr second = step == 2 ? infer_type(value.items[1]) : first;
      for (std::size_t i = step; i < value.items.size(); i += step) {
        first = unified(first, infer_type(value.items[i]), step == 2 ? "keys" : "items");
        if (step == 2) second = unified(second, infer_type(value.items[i + 1]), "values");
      }
      return step == 2 ? TypePtr(c10::DictType::create(first, second))
                       : TypePtr(c10::ListType::create(first));
    }
    default:
      throw Misfit{"", "is an " + summary(value) + ", whose type cannot be inferred"};
  }
}

bool is_one_element(const Value& value) {
  return value.kind == Kind::kTensor && value.tensor->data && value.tensor->count() == 1;
}

bool is_sequence(const Value& value) {
  return value.kind == Kind::kList || value.kind == Kind::kTuple;
}

IValue to_int(const Value& value, const TypePtr& type) {
  if (value.kind == Kind::kInt || value.kind == Kind::kBool) return IValue(value.integer);
  if (is_one_element(value) && !is_complex(value.tensor->element)) {
    return IValue(value.tensor->integer(0));
  }
  misfit(value, type);
}

IValue to_float(const Value& value, const TypePtr& type) {
  if (value.kind == Kind::kFloat) return IValue(value.real);
  if (value.kind == Kind::kInt || value.kind == Kind::kBool) {
    return IValue(static_cast<double>(value.integer));
  }
  if (is_one_element(value) && !is_complex(value.tensor->element)) {
    return IValue(value.tensor->real(0));
  }
  misfit(value, type);
}

IValue to_bool(const Value& value, const TypePtr& type) {
  switch (value.kind) {
    case Kind::kNone:
      return IValue(false);
    case Kind::kBool:
    case Kind::kInt:
      return IValue(value.integer != 0);
    case Kind::kFloat:
      return IValue(value.real != 0);
    case Kind::kTensor:
      if (is_one_element(value))
        return IValue(value.tensor->real(0) != 0 || value.tensor->imaginary(0) != 0);
      break;
    default:
      break;
  }
  misfit(value, type);
}

IValue to_complex(const Value& value, const TypePtr& type) {
  if (value.kind == Kind::kComplex)
    return IValue(c10::complex<double>(value.real, value.imaginary));
  if (is_one_element(value)) {
    return IValue(c10::complex<double>(value.tensor->real(0), value.tensor->imaginary(0)));
  }
  return IValue(c10::complex<double>(to_float(value, type).toDouble()));
}

IValue to_list(const Value& value, const TypePtr& type, const at::Device& device) {
  if (!is_sequence(value)) misfit(value, type);
  const TypePtr element_type = type->containedTypes().at(0);
  c10::impl::GenericList list(element_type);
  list.reserve(value.items.size());
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    list.push_back(
        within(index_place(i), [&] { return coerce(value.items[i], element_type, device); }));
  }
  return IValue(std::move(list));
}

IValue to_dict(const Value& value, const TypePtr& type, const at::Device& device) {
  if (value.kind != Kind::kDict) misfit(value, type);
  const TypePtr key_type = type->containedTypes().at(0);
  const TypePtr value_type = type->containedTypes().at(1);
  c10::impl::GenericDict dict(key_type, value_type);
  for (std::size_t i = 0; i < value.items.size(); i += 2) {
    const std::string place = "[" + key_text(value.items[i]) + "]";
    const IValue key = within(place, [&] { return coerce(value.items[i], key_type, device); });
    dict.insert_or_assign(
        key, within(place, [&] { return coerce(value.items[i + 1], value_type, device); }));
  }
  return IValue(std::move(dict));
}

IValue to_tuple(const Value& value, const TypePtr& type, const at::Device& device) {
  const auto types = type->containedTypes();
  if (!is_sequence(value) || types.size() != value.items.size()) misfit(value, type);
  std::vector<IValue> items;
  for (std::size_t i = 0; i < types.size(); ++i) {
    items.push_back(
        within(index_place(i), [&] { return coerce(value.items[i], types[i], device); }));
  }
  const auto tuple_type = type->cast<c10::TupleType>();
  if (tuple_type->schema()) {
    return IValue(c10::ivalue::Tuple::createNamed(std::move(items), tuple_type));
  }
  return IValue(c10::ivalue::Tuple::create(std::move(items)));
}

bool is_equal(const Value& value, const IValue& other) {
  if (other.isInt()) return value.kind == Kind::kInt && value.integer == other.toInt();
  if (other.isDouble()) return value.kind == Kind::kFloat && value.real == other.toDouble();
  return other.isString() && value.kind == Kind::kString && value.text == other.toStringRef();
}

// By its value, or by its name.
IValue to_enum(const Value& value, const TypePtr& type) {
  const auto enum_type = type->expect<c10::EnumType>();
  const bool wrapped =
      value.kind == Kind::kObject && value.names.empty() && value.items.size() == 1;
  const Value& wanted = wrapped ? value.items[0] : value;
  const auto make = [&enum_type](const c10::EnumNameValue& member) {
    return IValue(
        c10::make_intrusive<c10::ivalue::EnumHolder>(enum_type, member.first, member.second));
  };
  std::string known;
  for (const c10::EnumNameValue& member : enum_type->enumNamesValues()) {
    if (is_equal(wanted, member.second)) return make(member);
    known += (known.empty() ? "" : ", ") + member.first;
  }
  for (const c10::EnumNameValue& member : enum_type->enumNamesValues()) {
    if (wanted.kind == Kind::kString && wanted.text == member.first) return make(member);
  }
  throw Misfit{"", "must be a member of " + type->annotation_str() + " (" + known + "), not " +
                       summary(value)};
}

// From the attributes, whose names must be those of the class.
IValue to_object(const Value& value, const TypePtr& type, const at::Device& device) {
  const auto class_type = type->expect<c10::ClassType>();
  const std::size_t count = class_type->numAttributes();
  const bool is_dict = value.kind == Kind::kDict;
  const bool is_object = value.kind == Kind::kObject && !value.names.empty();
  if (class_type->is_module() || !(is_dict || is_object)) misfit(value, type);
  auto object = c10::ivalue::Object::create(
      c10::StrongTypePtr(class_type->compilation_unit(), class_type), count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& name = class_type->getAttributeName(i);
    const Value* attribute = nullptr;
    for (std::size_t j = 0; j < value.items.size(); j += is_dict ? 2 : 1) {
      const bool is_this = is_dict ? value.items[j].text == name : value.names[j] == name;
      if (is_this) attribute = &value.items[is_dict ? j + 1 : j];
    }
    if (attribute == nullptr) {
      throw Misfit{"", "must have the attribute " + name + " of " + type->annotation_str()};
    }
    object->setSlot(i, within("." + name, [&] {
                      return coerce(*attribute, class_type->getAttribute(i), device);
                    }));
  }
  return IValue(std::move(object));
}

IValue to_device_value(const Value& value, const TypePtr& type) {
  if (value.kind != Kind::kString && value.kind != Kind::kDevice) misfit(value, type);
  try {
    return IValue(c10::Device(value.text));
  } catch (const c10::Error&) {
    throw Misfit{"", "must be a device (cpu, cuda, cuda:1 ...), not " + summary(value)};
  }
}

#if TORCH_AT_LEAST(1, 10)
IValue to_union(const Value& value, const TypePtr& type, const at::Device& device) {
  try {
    const TypePtr inferred = infer_type(value);
    if (inferred->isSubtypeOf(type)) return coerce(value, inferred, device);
  } catch (const Misfit&) {  // an empty list, for one: its type is that of the member that takes it
  }
  for (const TypePtr& member : type->containedTypes()) {
    try {
      return coerce(value, member, device);
    } catch (const Misfit&) {
    }
  }
  misfit(value, type);
}
#endif

// to() goes through the dispatcher, even if there is nothing to do.
at::Tensor on_device(at::Tensor tensor, const at::Device& device) {
  return tensor.device() == device ? tensor : tensor.to(device);
}

IValue to_future(const Value& value, const TypePtr& type, const at::Device& device) {
  const TypePtr inner = type->containedTypes().at(0);
  auto future = c10::make_intrusive<c10::ivalue::Future>(inner);
  future->markCompleted(coerce(value, inner, device));
  return IValue(std::move(future));
}

}  // namespace

IValue coerce(const Value& value, const TypePtr& type, const at::Device& device) {
  switch (type->kind()) {
    case TypeKind::TensorType:
      if (value.kind == Kind::kNone) return IValue(at::Tensor());
      if (value.kind != Kind::kTensor) misfit(value, type);
      return IValue(on_device(to_torch(*value.tensor), device));
    case TypeKind::NoneType:
      if (value.kind != Kind::kNone) misfit(value, type);
      return IValue();
    case TypeKind::OptionalType:
      if (value.kind == Kind::kNone) return IValue();
      return coerce(value, type->containedTypes().at(0), device);
    case TypeKind::BoolType:
      return to_bool(value, type);
    case TypeKind::IntType:
      return to_int(value, type);
    case TypeKind::FloatType:
      return to_float(value, type);
    case TypeKind::ComplexType:
      return to_complex(value, type);
    case TypeKind::NumberType:
      if (value.kind == Kind::kBool) return to_bool(value, type);
      if (value.kind == Kind::kInt) return to_int(value, type);
      return value.kind == Kind::kComplex ? to_complex(value, type) : to_float(value, type);
    case TypeKind::StringType:
      if (value.kind != Kind::kString) misfit(value, type);
      return IValue(value.text);
    case TypeKind::DeviceObjType:
      return to_device_value(value, type);
    case TypeKind::ListType:
      return to_list(value, type, device);
    case TypeKind::DictType:
      return to_dict(value, type, device);
    case TypeKind::TupleType:
      return to_tuple(value, type, device);
    case TypeKind::EnumType:
      return to_enum(value, type);
    case TypeKind::ClassType:
      return to_object(value, type, device);
    case TypeKind::FutureType:
      return to_future(value, type, device);
    case TypeKind::AnyType:
      return coerce(value, infer_type(value), device);
#if TORCH_AT_LEAST(1, 10)
    case TypeKind::UnionType:
      return to_union(value, type, device);
#endif
    default:
      misfit(value, type);
  }
}

}  // namespace runner
