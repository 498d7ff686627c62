// A text, line by line. Streams do that, too, and take a compiler a tenth of a second to read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

namespace runner {

// Puts the line that begins at `at` into line, without its end, and moves on to the next.
// False where the text is over.
inline bool next_line(const std::string& text, std::size_t* at, std::string* line) {
  if (*at >= text.size()) return false;
  const std::size_t end = std::min(text.find('\n', *at), text.size());
  line->assign(text, *at, end - *at);
  *at = end + 1;
  return true;
}

}  // namespace runner
