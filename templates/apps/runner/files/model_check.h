// What a model's records claim, checked before libtorch reads them: its parser, its compiler and
// its destructors call themselves for each level of what is nested, until their stack ends; its
// reader of pickles reserves what these say that they hold.
#pragma once

#include <string>

#include "files/archive.h"

namespace runner {

// Why libtorch should not read a model, or an empty text. It is not to be nested more than
// kMostNesting deep: libtorch's stack of 8 MB ends at 1,100 functions that call each other, or
// 2,000 lists in lists.
std::string why_unreadable(const std::string& path, const Archive& archive);

}  // namespace runner
