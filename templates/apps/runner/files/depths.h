// The longest way in a graph of things that hold, or need, each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace runner {

class Depths {
 public:
  using Id = std::uint32_t;
  static const Id kNothing = 0;  // what holds nothing

  Id add() {
    held_.emplace_back();
    return static_cast<Id>(held_.size() - 1);
  }

  void put(Id holder, Id held) {
    if (holder != kNothing && held != kNothing) held_[holder].push_back(held);
  }

  // How many there are on the longest way; computed without recursion.
  // of_circles: what the answer is if one holds itself; 0: such ways are left out.
  std::size_t longest(std::size_t of_circles) const;

 private:
  std::vector<std::vector<Id>> held_ = std::vector<std::vector<Id>>(1);
};

}  // namespace runner
