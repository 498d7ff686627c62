#include "labels.h"

#include <algorithm>
#include <stdexcept>

namespace tagger {

const std::vector<std::string>& labels() {
  static const std::vector<std::string> all{"rising", "falling", "level"};
  return all;
}

std::string label_of(int tag) {
  if (tag < 0 || static_cast<std::size_t>(tag) >= labels().size()) {
    throw std::out_of_range("there is no tag " + std::to_string(tag));
  }
  return labels()[static_cast<std::size_t>(tag)];
}

int tag_of(const std::string& label) {
  const auto found = std::find(labels().begin(), labels().end(), label);
  return found == labels().end() ? -1 : static_cast<int>(found - labels().begin());
}

}  // namespace tagger
