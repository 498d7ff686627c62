#include "engines/state.h"

#include <cctype>
#include <cstddef>
#include <unordered_set>

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

bool is_view(const std::string& call) {
  for (const char* view :
       {"select", "slice", "narrow", "view", "reshape", "detach", "unsqueeze", "squeeze",
        "transpose", "permute", "t", "diagonal", "expand", "flatten"}) {
    if (call == view) return true;
  }
  return false;
}

// What in a method stands for an attribute, or for a view of one: "n = self.n". What is done to its
// values in place lasts: "_0 = torch.add_(n, 1)".
class KeptNames {
 public:
  void forget() { names_.clear(); }

  // Reads a statement. Does it change the values of an attribute?
  bool change(const std::string& line) {
    const std::size_t start = line.find_first_not_of(' ');
    if (start == std::string::npos) return false;
    const std::size_t equals = line.find(" = ");
    std::size_t at = equals == std::string::npos ? start : equals + 3;
    bool in_place = false;
    while (line.compare(at, 6, "torch.") == 0) {
      const std::size_t open = line.find('(', at);
      if (open == std::string::npos) return false;
      const std::string call = line.substr(at + 6, open - at - 6);
      const bool ends_so = call.size() > 1 && call.back() == '_' && call[call.size() - 2] != '_';
      if (!ends_so && !is_view(call)) return false;
      in_place = in_place || ends_so;
      at = open + 1;
    }
    const std::string of = line.substr(at, line.find_first_of(",() ", at) - at);
    if (!is_attribute(of) && names_.count(of) == 0) return false;
    if (equals != std::string::npos) names_.insert(line.substr(start, equals - start));
    return in_place && of.compare(0, 19, "num_batches_tracked") != 0;
  }

 private:
  static bool is_attribute(const std::string& words) {
    return words.find('.') != std::string::npos &&
           std::isalpha(static_cast<unsigned char>(words[0])) &&
           words.compare(0, 10, "CONSTANTS.") != 0;
  }

  std::unordered_set<std::string> names_;
};

}  // namespace

bool keeps_state(const std::string& code) {
  bool has_container = false;
  bool changes_one = false;
  KeptNames kept;
  std::string line;
  for (std::size_t at = 0; next_line(code, &at, &line);) {
    if (declares_attribute(line)) {
      if (is_foreign_object(line)) return true;
      has_container = has_container || contains(line, "List[") || contains(line, "Dict[");
    } else if (assigns_attribute(line)) {
      return true;
    } else {
      if (contains(line, "def ")) kept.forget();
      if (kept.change(line)) return true;
      changes_one = changes_one || changes_container(line);
    }
  }
  return has_container && changes_one;
}

}  // namespace runner
