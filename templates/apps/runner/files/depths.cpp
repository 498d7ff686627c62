#include "files/depths.h"

#include <algorithm>
#include <utility>

namespace runner {

std::size_t Depths::longest(std::size_t of_circles) const {
  enum : char { kNew, kOnTheWay, kDone };
  std::vector<std::size_t> depths(held_.size());
  std::vector<char> states(held_.size(), kNew);
  std::vector<std::pair<Id, std::size_t>> way;
  for (Id start = 1; start < held_.size(); ++start) {
    if (states[start] != kNew) continue;
    states[start] = kOnTheWay;
    way.emplace_back(start, 0);
    while (!way.empty()) {
      const Id holder = way.back().first;
      if (way.back().second == held_[holder].size()) {
        std::size_t most = 0;
        for (Id held : held_[holder]) most = std::max(most, depths[held]);
        depths[holder] = most + 1;
        states[holder] = kDone;
        way.pop_back();
        continue;
      }
      const Id held = held_[holder][way.back().second++];
      if (states[held] == kOnTheWay && of_circles > 0) return of_circles;
      if (states[held] != kNew) continue;
      states[held] = kOnTheWay;
      way.emplace_back(held, 0);
    }
  }
  return *std::max_element(depths.begin(), depths.end());
}

}  // namespace runner
