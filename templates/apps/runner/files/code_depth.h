// How deep TorchScript code is nested, without parsing it.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace runner {

// The most of brackets, operators within one item, indentations, and elifs that are open at once.
std::size_t depth_of_code(const std::string& code);

// The longest chain of functions and classes of which each names the next; libtorch compiles them
// as they are named. Given: pairs (module name, code): ("__torch__.demo.net", "class Net(...").
std::size_t depth_of_definitions(const std::vector<std::pair<std::string, std::string>>& modules);

}  // namespace runner
