// Texts of the tags. Strings pass through this interface, so callers must be of the same C++ ABI.
#pragma once

#include <string>
#include <vector>

namespace tagger {

const std::vector<std::string>& labels();

// The label of a tag's number; throws std::out_of_range for one that is none.
std::string label_of(int tag);

// The number of a label, or -1.
int tag_of(const std::string& label);

}  // namespace tagger
