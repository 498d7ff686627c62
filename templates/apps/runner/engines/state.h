// Does a model change itself when it is called?
#pragma once

#include <string>

namespace runner {

// By the code in its archive: true where an attribute is assigned, where a list or dict that is an
// attribute may be changed, or where an attribute is an object of somebody's C++ class. Two threads
// must not do that at once. A tensor that is changed in place keeps its memory and does not count.
bool keeps_state(const std::string& code);

}  // namespace runner
