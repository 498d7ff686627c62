// Files of torch.save.
#pragma once

#include <string>

#include "values/value.h"

namespace c10 {
struct IValue;
}

namespace runner {

// What torch.save wrote, or write_pt. Throws Error (kUsage) for what is not made of tensors and
// plain values.
Value read_pt(const std::string& path);
c10::IValue read_pt_ivalue(const std::string& path);

// Writes what torch.load(path, weights_only=True) reads.
void write_pt(const Value& value, const std::string& path);

}  // namespace runner
