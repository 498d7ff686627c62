// Values as a method's schema wants them.
#pragma once

#include "values/torch_headers.h"

namespace runner {

// What Python does when it calls a TorchScript method: gives lists, dicts and tuples the element
// types that the schema asks for, and takes an int where a float is wanted. What does not fit stays
// as it is: see is_of_type.
c10::IValue coerce(const c10::IValue& value, const c10::TypePtr& type, const at::Device& device);

bool is_of_type(const c10::IValue& value, const c10::TypePtr& type);

}  // namespace runner
