// Values as a method's schema wants them.
#pragma once

#include <string>

#include "values/torch_headers.h"
#include "values/value.h"

namespace runner {

// Where a value is not of the type that is wanted.
struct Misfit {
  std::string place;  // within the value: [1]["x"]
  std::string what;   // must be int, not str "a"
};

// What Python does when it calls a TorchScript method: lists, dicts and tuples get the element
// types of the schema; an int or a bool is taken where a float is wanted, and a tensor of one
// element where a number is; the type of an argument of type Any or Union is inferred. Beyond what
// Python takes, a member of an enum is known by its name or its value, and an object by a dict of
// its attributes. Tensors are moved to the device. Throws Misfit.
c10::IValue coerce(const Value& value, const c10::TypePtr& type, const at::Device& device);

}  // namespace runner
