#include "files/json_reader.h"

#include <cstdlib>

#include "program/error.h"

namespace runner {
namespace {

const int kMostDepth = 200;

class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  JsonNode document() {
    JsonNode node = value(0);
    skip_space();
    if (at_ != text_.size()) fail();
    return node;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(kModelNotLoaded, "the package's JSON is damaged at byte " + std::to_string(at_));
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  bool take(char character) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != character) return false;
    ++at_;
    return true;
  }

  bool take_word(const char* word) {
    const std::string wanted = word;
    if (text_.compare(at_, wanted.size(), wanted) != 0) return false;
    at_ += wanted.size();
    return true;
  }

  JsonNode value(int depth) {
    if (depth > kMostDepth) fail();
    JsonNode node;
    skip_space();
    if (take('{')) {
      node.kind = JsonNode::Kind::kObject;
      while (!take('}')) {
        if (!node.names.empty() && !take(',')) fail();
        if (!take('"')) fail();
        node.names.push_back(string());
        if (!take(':')) fail();
        node.items.push_back(value(depth + 1));
      }
    } else if (take('[')) {
      node.kind = JsonNode::Kind::kArray;
      while (!take(']')) {
        if (!node.items.empty() && !take(',')) fail();
        node.items.push_back(value(depth + 1));
      }
    } else if (take('"')) {
      node.kind = JsonNode::Kind::kString;
      node.text = string();
    } else if (take_word("true") || take_word("false")) {
      node.kind = JsonNode::Kind::kBool;
      node.truth = text_[at_ - 2] == 'u';
    } else if (!take_word("null")) {
      node.kind = JsonNode::Kind::kNumber;
      const std::size_t end = text_.find_first_not_of("+-.0123456789eEINaftniy", at_);
      node.text = text_.substr(at_, end == std::string::npos ? end : end - at_);
      if (node.text.empty()) fail();
      at_ += node.text.size();
    }
    return node;
  }

  std::string string() {
    std::string result;
    for (;;) {
      if (at_ >= text_.size()) fail();
      const char character = text_[at_++];
      if (character == '"') return result;
      if (character != '\\') {
        result += character;
        continue;
      }
      if (at_ >= text_.size()) fail();
      const char escaped = text_[at_++];
      static const std::string kFrom = "nrtbf";
      static const std::string kTo = "\n\r\t\b\f";
      const std::size_t known = kFrom.find(escaped);
      if (escaped == 'u') {
        append_utf8(code_unit(), &result);
      } else {
        result += known == std::string::npos ? escaped : kTo[known];
      }
    }
  }

  unsigned long code_unit() {
    if (at_ + 4 > text_.size()) fail();
    const unsigned long unit = std::strtoul(text_.substr(at_, 4).c_str(), nullptr, 16);
    at_ += 4;
    const bool is_pair = unit >= 0xd800 && unit < 0xdc00 && text_.compare(at_, 2, "\\u") == 0;
    if (!is_pair) return unit;
    at_ += 2;
    return 0x10000 + ((unit - 0xd800) << 10) + (code_unit() - 0xdc00);
  }

  static void append_utf8(unsigned long code, std::string* text) {
    if (code < 0x80) {
      *text += static_cast<char>(code);
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char kFirst[] = {0, 0xc0, 0xe0, 0xf0};
    *text += static_cast<char>(kFirst[more] | (code >> (6 * more)));
    for (int i = more; i-- > 0;) *text += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3f));
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace

const JsonNode* JsonNode::find(const std::string& name) const {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return &items[i];
  }
  return nullptr;
}

std::string JsonNode::string_of(const std::string& name) const {
  const JsonNode* member = find(name);
  return member == nullptr ? std::string() : member->text;
}

const std::vector<JsonNode>& JsonNode::items_of(const std::string& name) const {
  static const std::vector<JsonNode> kNone;
  const JsonNode* member = find(name);
  return member == nullptr ? kNone : member->items;
}

double JsonNode::number() const { return std::strtod(text.c_str(), nullptr); }

long long JsonNode::integer() const { return std::strtoll(text.c_str(), nullptr, 10); }

JsonNode parse_json(const std::string& text) { return Parser(text).document(); }

}  // namespace runner
