// Values from files as the outputs of a model.
#pragma once

#include "values/value.h"

namespace runner {

// A value that was read from a file as from_torch would have given it: without strides, sparse
// tensors coalesced, quantized ones with their numbers beside.
Value unpacked(const Value& value);

}  // namespace runner
