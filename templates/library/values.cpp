// Values: made and read.
#include <algorithm>
#include <cmath>

#include "failure.h"
#include "handles.h"
#include "things.h"

namespace tsl_library {
namespace {

using runner::Value;
using Kind = Value::Kind;

// Never destroyed, as the models.
Handles<Held>& values() {
  static auto* const all = new Handles<Held>(2);
  return *all;
}

// In the order of Kind.
const int kKinds[] = {TSL_NONE,   TSL_BOOL,   TSL_INT,    TSL_FLOAT, TSL_COMPLEX,
                      TSL_STRING, TSL_DEVICE, TSL_TENSOR, TSL_LIST,  TSL_TUPLE,
                      TSL_DICT,   TSL_ENUM,   TSL_OBJECT, TSL_OTHER};

[[noreturn]] void refuse(const Value& value, const std::string& wanted) {
  const std::string kind = runner::kind_name(value.kind);
  throw Failure{TSL_BAD_ARGUMENT, "the value is " + wanted + ", but of the kind " + kind};
}

// How deep lists are in each other.
int depth_of(const Value& value) {
  int deepest = 0;
  for (const Value& item : value.items) deepest = std::max(deepest, depth_of(item));
  return value.items.empty() ? 0 : deepest + 1;
}

void make(tsl_value* out, Value value) {
  const tsl_value number = hold(std::move(value));
  *out = number;
}

void make_sequence(Kind kind, const tsl_value* items, std::size_t count, tsl_value* out) {
  given(out, "value");
  Value value;
  value.kind = kind;
  for (const auto& item : find_values(items, count, "items")) value.items.push_back(*item);
  if (depth_of(value) > runner::kMostNesting) {
    throw Failure{TSL_BAD_ARGUMENT, "values can be nested " + std::to_string(runner::kMostNesting) +
                                        " deep, and not deeper"};
  }
  make(out, std::move(value));
}

std::size_t size_of(const Value& value) {
  switch (value.kind) {
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kEnum:
    case Kind::kObject:
      return value.items.size();
    case Kind::kDict:
      return value.items.size() / 2;
    default:
      refuse(value, "not one with items");
  }
}

void check_index(const Value& value, std::size_t index) {
  const std::size_t size = size_of(value);
  if (index >= size) {
    throw Failure{TSL_BAD_ARGUMENT, "index " + std::to_string(index) + ": the value has " +
                                        std::to_string(size) + " items"};
  }
}

tsl_value hold_part(const Held& whole, std::size_t index) {
  return hold(std::shared_ptr<const Value>(whole.value, &whole.value->items[index]));
}

}  // namespace

std::shared_ptr<Held> find_value(tsl_value number) {
  std::shared_ptr<Held> found = values().find(number);
  if (found) return found;
  throw Failure{TSL_BAD_HANDLE, "there is no value " + std::to_string(number) +
                                    ": it was freed, or is none of this library"};
}

runner::SharedValues find_values(const tsl_value* numbers, std::size_t count, const char* name) {
  if (count > 0) given(numbers, name);
  if (count > (1u << 24)) {
    throw Failure{TSL_BAD_ARGUMENT,
                  std::string(name) + ": there cannot be " + std::to_string(count)};
  }
  runner::SharedValues found;
  found.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::shared_ptr<Held> held = values().find(numbers[i]);
    if (!held) {
      throw Failure{TSL_BAD_HANDLE, std::string(name) + "[" + std::to_string(i) +
                                        "]: there is no value " + std::to_string(numbers[i]) +
                                        ": it was freed, or is none of this library"};
    }
    found.push_back(held->value);
  }
  return found;
}

tsl_value hold(Value value) { return hold(std::make_shared<const Value>(std::move(value))); }

tsl_value hold(std::shared_ptr<const Value> part) {
  const tsl_value number = values().add(std::make_shared<Held>(std::move(part)));
  if (number == 0) throw Failure{TSL_OUT_OF_MEMORY, "too many values are not freed"};
  return number;
}

}  // namespace tsl_library

using namespace tsl_library;

int tsl_none(tsl_value* value) {
  return guarded([&] { make(given(value, "value"), Value()); });
}

int tsl_bool(int truth, tsl_value* value) {
  return guarded([&] {
    given(value, "value");
    Value made;
    made.kind = Kind::kBool;
    made.integer = truth != 0 ? 1 : 0;
    make(value, std::move(made));
  });
}

int tsl_int(int64_t number, tsl_value* value) {
  return guarded([&] { make(given(value, "value"), runner::make_int(number)); });
}

int tsl_float(double number, tsl_value* value) {
  return guarded([&] {
    given(value, "value");
    Value made;
    made.kind = Kind::kFloat;
    made.real = number;
    make(value, std::move(made));
  });
}

int tsl_complex(double real, double imaginary, tsl_value* value) {
  return guarded([&] {
    given(value, "value");
    Value made;
    made.kind = Kind::kComplex;
    made.real = real;
    made.imaginary = imaginary;
    make(value, std::move(made));
  });
}

int tsl_string(const char* text, size_t bytes, tsl_value* value) {
  return guarded([&] {
    given(value, "value");
    if (bytes > 0) given(text, "text");
    const std::string copy(bytes > 0 ? text : "", bytes);
    for (std::size_t at = 0, size = 0; at < copy.size(); at += size) {
      size = runner::utf8_size(copy, at);
      if (size == 0) {
        throw Failure{TSL_BAD_ARGUMENT, "text: byte " + std::to_string(at) + " is not UTF-8"};
      }
    }
    make(value, runner::make_text(Kind::kString, copy));
  });
}

int tsl_list(const tsl_value* items, size_t count, tsl_value* value) {
  return guarded([&] { make_sequence(Kind::kList, items, count, value); });
}

int tsl_tuple(const tsl_value* items, size_t count, tsl_value* value) {
  return guarded([&] { make_sequence(Kind::kTuple, items, count, value); });
}

int tsl_dict(const tsl_value* keys, const tsl_value* items, size_t count, tsl_value* value) {
  return guarded([&] {
    if (count > 0) given(keys, "keys");
    if (count > 0) given(items, "items");
    std::vector<tsl_value> pairs;
    for (std::size_t i = 0; i < count && count <= (1u << 23); ++i) {
      pairs.push_back(keys[i]);
      pairs.push_back(items[i]);
    }
    make_sequence(Kind::kDict, pairs.data(), count <= (1u << 23) ? pairs.size() : count, value);
  });
}

int tsl_kind_of(tsl_value value, int* kind) {
  return guarded([&] {
    given(kind, "kind");
    *kind = kKinds[static_cast<int>(find_value(value)->value->kind)];
  });
}

int tsl_get_bool(tsl_value value, int* truth) {
  return guarded([&] {
    given(truth, "truth");
    const auto held = find_value(value);
    if (held->value->kind != Kind::kBool) refuse(*held->value, "wanted as a bool");
    *truth = static_cast<int>(held->value->integer);
  });
}

int tsl_get_int(tsl_value value, int64_t* number) {
  return guarded([&] {
    given(number, "number");
    const auto held = find_value(value);
    const Kind kind = held->value->kind;
    if (kind != Kind::kInt && kind != Kind::kBool) refuse(*held->value, "wanted as an int");
    *number = held->value->integer;
  });
}

int tsl_get_float(tsl_value value, double* number) {
  return guarded([&] {
    given(number, "number");
    const auto held = find_value(value);
    const Kind kind = held->value->kind;
    if (kind != Kind::kFloat && kind != Kind::kInt) refuse(*held->value, "wanted as a float");
    *number = kind == Kind::kInt ? static_cast<double>(held->value->integer) : held->value->real;
  });
}

int tsl_get_complex(tsl_value value, double* real, double* imaginary) {
  return guarded([&] {
    given(real, "real");
    given(imaginary, "imaginary");
    const auto held = find_value(value);
    if (held->value->kind != Kind::kComplex) refuse(*held->value, "wanted as a complex number");
    *real = held->value->real;
    *imaginary = held->value->imaginary;
  });
}

int tsl_get_text(tsl_value value, const char** text, size_t* bytes) {
  return guarded([&] {
    given(text, "text");
    const auto held = find_value(value);
    const Value& found = *held->value;
    if (found.kind != Kind::kString && found.kind != Kind::kDevice && found.kind != Kind::kEnum &&
        found.kind != Kind::kObject && found.kind != Kind::kOther) {
      refuse(found, "wanted as a text");
    }
    *text = found.text.c_str();
    if (bytes != nullptr) *bytes = found.text.size();
  });
}

int tsl_size(tsl_value value, size_t* size) {
  return guarded([&] { *given(size, "size") = size_of(*find_value(value)->value); });
}

int tsl_item(tsl_value value, size_t index, tsl_value* item) {
  return guarded([&] {
    given(item, "item");
    const auto held = find_value(value);
    check_index(*held->value, index);
    *item = hold_part(*held, held->value->kind == Kind::kDict ? 2 * index + 1 : index);
  });
}

int tsl_key(tsl_value value, size_t index, tsl_value* key) {
  return guarded([&] {
    given(key, "key");
    const auto held = find_value(value);
    if (held->value->kind != Kind::kDict) refuse(*held->value, "wanted as a dict");
    check_index(*held->value, index);
    *key = hold_part(*held, 2 * index);
  });
}

int tsl_name(tsl_value value, size_t index, const char** name) {
  return guarded([&] {
    given(name, "name");
    const auto held = find_value(value);
    check_index(*held->value, index);
    const auto& names = held->value->names;
    *name = index < names.size() ? names[index].c_str() : nullptr;
  });
}

int tsl_find(tsl_value value, const char* name, tsl_value* item) {
  return guarded([&] {
    given(item, "item");
    given(name, "name");
    const auto held = find_value(value);
    const Value& whole = *held->value;
    const std::size_t size = size_of(whole);
    for (std::size_t i = 0; i < size; ++i) {
      if (whole.kind == Kind::kDict) {
        const Value& key = whole.items[2 * i];
        if (key.kind != Kind::kString || key.text != name) continue;
        *item = hold_part(*held, 2 * i + 1);
        return;
      }
      if (i < whole.names.size() && whole.names[i] == name) {
        *item = hold_part(*held, i);
        return;
      }
    }
    throw Failure{TSL_BAD_ARGUMENT, std::string("there is no item \"") + name + "\""};
  });
}

int tsl_free(tsl_value value) {
  if (value == 0) return TSL_OK;
  return guarded([&] {
    if (!values().remove(value)) find_value(value);
  });
}
