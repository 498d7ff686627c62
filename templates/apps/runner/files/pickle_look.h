// How deep the values of a pickle of libtorch's are nested, and whether it can be whole, without
// making anything.
#pragma once

#include <cstddef>
#include <string>

namespace runner {

struct PickleLook {
  std::size_t depth;
  bool claims_too_much;  // texts or memory larger than itself, which libtorch would reserve or wait
                         // for
};

// of_circles: the depth of what holds itself.
PickleLook look_into_pickle(const std::string& pickled, std::size_t of_circles);

}  // namespace runner
