#include "files/code_depth.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <unordered_map>

#include "files/depths.h"

namespace runner {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

class CodeScanner {
 public:
  explicit CodeScanner(const std::string& code) : code_(code) {}

  std::size_t run() {
    begin_line();
    while (at_ < code_.size()) step();
    return deepest_;
  }

 private:
  void deeper() {
    ++chains_.back();
    ++depth_;
    deepest_ = std::max(deepest_, depth_ + indents_.size() + elifs_);
  }

  void forget_chain() {
    depth_ -= chains_.back();
    chains_.back() = 0;
  }

  void step() {
    const char c = code_[at_];
    if (c == '#') {
      at_ = std::min(code_.find('\n', at_), code_.size());
    } else if (c == '"' || c == '\'') {
      skip_text(c);
    } else if (c == '\n') {
      ++at_;
      if (chains_.size() == 1) begin_line();
    } else if (is_word(c)) {
      read_word();
    } else {
      ++at_;
      if (std::strchr("([{", c) != nullptr) {
        deeper();
        chains_.push_back(0);
      } else if (std::strchr(")]}", c) != nullptr) {
        forget_chain();
        if (chains_.size() > 1) chains_.pop_back();
      } else if (c == ',' || c == ';') {
        forget_chain();
      } else if (std::strchr("+-*/%@&|^~<>!.", c) != nullptr) {
        deeper();
      }
    }
  }

  // A new statement, with its indentation.
  void begin_line() {
    while (chains_.size() > 1) chains_.pop_back();
    depth_ = 0;
    chains_.back() = 0;
    std::size_t column = 0;
    while (at_ < code_.size() && std::strchr(" \t\r", code_[at_]) != nullptr) ++at_, ++column;
    if (at_ >= code_.size() || code_[at_] == '\n' || code_[at_] == '#') return;
    while (!indents_.empty() && indents_.back().column > column) {
      elifs_ -= indents_.back().elifs;
      indents_.pop_back();
    }
    if (indents_.empty() || indents_.back().column < column) indents_.push_back({column, 0});
    if (code_.compare(at_, 4, "elif") == 0) {
      ++indents_.back().elifs;
      ++elifs_;
    } else if (code_.compare(at_, 4, "else") != 0) {
      elifs_ -= indents_.back().elifs;
      indents_.back().elifs = 0;
    }
    deepest_ = std::max(deepest_, indents_.size() + elifs_);
  }

  void skip_text(char quote) {
    const std::string triple(3, quote);
    const bool is_long = code_.compare(at_, 3, triple) == 0;
    for (at_ += is_long ? 3 : 1; at_ < code_.size(); ++at_) {
      if (code_[at_] == '\\') {
        ++at_;
      } else if (is_long ? code_.compare(at_, 3, triple) == 0 : code_[at_] == quote) {
        at_ += is_long ? 3 : 1;
        return;
      } else if (code_[at_] == '\n' && !is_long) {
        return;
      }
    }
  }

  void read_word() {
    const std::size_t start = at_;
    while (at_ < code_.size() && is_word(code_[at_])) ++at_;
    const std::string word = code_.substr(start, std::min<std::size_t>(at_ - start, 8));
    for (const char* nesting : {"not", "and", "or", "if", "else", "in", "is", "lambda", "for"}) {
      if (word == nesting) deeper();
    }
  }

  struct Indent {
    std::size_t column;
    std::size_t elifs;
  };

  const std::string& code_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;  // the sum of the chains
  std::size_t elifs_ = 0;
  std::size_t deepest_ = 0;
  std::vector<std::size_t> chains_{0};  // of each open bracket: what one of its items is made of
  std::vector<Indent> indents_;
};

// Tells of the functions and classes that a module defines at its top, and of all that it names of
// other modules, in their order.
template <typename Define, typename Use>
void read_names(const std::string& code, const Define& define, const Use& use) {
  std::size_t named = code.find("__torch__.");
  for (std::size_t at = 0; at < code.size();) {
    const std::size_t end = std::min(code.find('\n', at), code.size());
    for (const char* keyword : {"class ", "def "}) {
      if (code.compare(at, std::strlen(keyword), keyword) != 0) continue;
      const std::size_t first = at + std::strlen(keyword);
      std::size_t last = first;
      while (last < end && is_word(code[last])) ++last;
      define(code.substr(first, last - first));
    }
    while (named < end) {
      std::size_t last = named;
      while (last < end && (is_word(code[last]) || code[last] == '.')) ++last;
      use(code.substr(named, last - named));
      named = code.find("__torch__.", last);
    }
    at = end + 1;
  }
}

}  // namespace

std::size_t depth_of_code(const std::string& code) { return CodeScanner(code).run(); }

std::size_t depth_of_definitions(const std::vector<std::pair<std::string, std::string>>& modules) {
  Depths depths;
  std::unordered_map<std::string, Depths::Id> known;
  for (const auto& module : modules) {
    read_names(
        module.second,
        [&](const std::string& name) { known.emplace(module.first + "." + name, depths.add()); },
        [](const std::string&) {});
  }
  for (const auto& module : modules) {
    Depths::Id current = Depths::kNothing;
    read_names(
        module.second,
        [&](const std::string& name) { current = known.at(module.first + "." + name); },
        [&](std::string name) {
          auto found = known.find(name);
          while (found == known.end() && name.find('.') != std::string::npos) {  // a method's
            name.resize(name.rfind('.'));
            found = known.find(name);
          }
          if (found != known.end()) depths.put(current, found->second);
        });
  }
  return depths.longest(0);
}

}  // namespace runner
