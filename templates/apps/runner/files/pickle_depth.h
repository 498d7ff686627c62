// How deep the values of a pickle of libtorch's are nested, without making them.
#pragma once

#include <cstddef>
#include <string>

namespace runner {

// of_circles: what the answer is for what holds itself.
std::size_t depth_of_pickle(const std::string& pickled, std::size_t of_circles);

}  // namespace runner
