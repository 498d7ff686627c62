// Unpacks what a zip archive holds deflated, without torch.
#pragma once

#include <cstddef>
#include <string>

namespace runner {

// The unpacked bytes (RFC 1951), as far as they go: it ends at the first bit that makes no sense,
// or at the size that is given.
std::string inflate(const std::string& packed, std::size_t most);

}  // namespace runner
