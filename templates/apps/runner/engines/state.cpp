#include "engines/state.h"

#include <cctype>
#include <cstddef>

#include "program/lines.h"

namespace runner {
namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// A line of a method that assigns an attribute: "    self.count = torch.add(count, 1)".
bool assigns_attribute(const std::string& line) {
  const std::size_t start = line.find_first_not_of(' ');
  const std::size_t equals = line.find(" = ");
  if (start == std::string::npos || start < 4 || equals == std::string::npos) return false;
  const std::string target = line.substr(start, equals - start);
  const std::size_t dot = target.rfind('.');
  if (dot == std::string::npos) return false;
  for (const char c : target) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '.' && c != '(' &&
        c != ')') {
      return false;
    }
  }
  return target.substr(dot + 1) != "num_batches_tracked";  // batch norms count when they train
}

// A line of a class that declares an attribute: "  seen : List[Tensor]".
bool declares_attribute(const std::string& line) {
  return line.size() > 3 && line[0] == ' ' && line[1] == ' ' && line[2] != ' ' &&
         contains(line, " : ");
}

// Objects that libtorch itself keeps in models hold weights.
bool is_foreign_object(const std::string& line) {
  return contains(line, "__torch__.torch.classes.") &&
         !contains(line, "__torch__.torch.classes.quantized.") &&
         !contains(line, "__torch__.torch.classes.rnn.");
}

bool changes_container(const std::string& line) {
  for (const char* call :
       {"torch.append(", "torch.extend(", "torch.insert(", "torch.pop(", "torch.clear(",
        "torch._set_item(", "torch.remove(", "torch.reverse(", "torch.sort(", "torch.Delete(",
        "torch.update(", "torch.setdefault(", "torch.popitem(", "del "}) {
    if (contains(line, call)) return true;
  }
  return false;
}

}  // namespace

bool keeps_state(const std::string& code) {
  bool has_container = false;
  bool changes_one = false;
  std::string line;
  for (std::size_t at = 0; next_line(code, &at, &line);) {
    if (declares_attribute(line)) {
      if (is_foreign_object(line)) return true;
      has_container = has_container || contains(line, "List[") || contains(line, "Dict[");
    } else if (assigns_attribute(line)) {
      return true;
    } else {
      changes_one = changes_one || changes_container(line);
    }
  }
  return has_container && changes_one;
}

}  // namespace runner
