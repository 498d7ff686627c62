// Writing files as torch.save does.
#pragma once

#include <string>

#include "values/value.h"

namespace runner {

// What torch.load(path, weights_only=True) reads. A named tuple is written as a tuple, an object as
// the dict of its attributes, a member of an enum as its value. Throws Error (kRunFailed).
void write_pt(const Value& value, const std::string& path);

}  // namespace runner
