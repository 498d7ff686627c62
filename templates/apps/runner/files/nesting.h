// How deep a model is nested, told before libtorch reads it: its parser, its compiler and its
// destructors call themselves for each level, until their stack ends.
#pragma once

#include <string>

#include "files/archive.h"

namespace runner {

// Which record of a model is nested deeper than kMostNesting, or an empty text. libtorch's stack of
// 8 MB ends at 1,100 functions that call each other, or 2,000 lists in lists.
std::string find_deep_record(const std::string& path, const Archive& archive);

}  // namespace runner
