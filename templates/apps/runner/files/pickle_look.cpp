#include "files/pickle_look.h"

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "files/depths.h"

namespace runner {
namespace {

// Runs a pickle's instructions, those that libtorch's own reader knows, as far as they go.
class PickleScanner {
 public:
  explicit PickleScanner(const std::string& data) : data_(data) {}

  PickleLook run(std::size_t of_circles) {
    while (at_ < data_.size() && step(static_cast<unsigned char>(data_[at_++]))) {
    }
    if (claims_too_much_) return {0, true};  // and is not read any further
    return {std::max(depths_.longest(of_circles), brackets_), false};
  }

 private:
  using Id = Depths::Id;

  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size && at_ + i < data_.size(); ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(data_[at_ + i])} << 8 * i;
    }
    skip(size);
    return value;
  }

  void skip(std::uint64_t size) {
    claims_too_much_ = claims_too_much_ || size > data_.size() - at_;
    at_ = size < data_.size() - at_ ? at_ + static_cast<std::size_t>(size) : data_.size();
  }

  // A line without an end is read over and over by libtorch, into ever more memory.
  bool skip_line() {
    const std::size_t end = data_.find('\n', at_);
    claims_too_much_ = claims_too_much_ || end == std::string::npos;
    at_ = std::min(end, data_.size() - 1) + 1;
    return true;
  }

  bool skip_text(std::uint64_t size) {
    const std::size_t start = at_;
    skip(size);
    const std::string brackets = data_.substr(start, at_ - start);  // of a type: List[List[int]]
    std::size_t open = 0;
    for (char c : brackets) {
      if (c == '[' || c == '(') brackets_ = std::max(brackets_, ++open);
      if ((c == ']' || c == ')') && open > 0) --open;
    }
    return push(Depths::kNothing);
  }

  bool push(Id id) {
    stack_.push_back(id);
    return true;
  }

  Id pop() {
    if (stack_.empty()) return Depths::kNothing;
    const Id id = stack_.back();
    stack_.pop_back();
    return id;
  }

  Id top() const { return stack_.empty() ? Depths::kNothing : stack_.back(); }

  // One thing that holds the uppermost so many.
  bool gather(std::size_t count) {
    const Id holder = depths_.add();
    while (count-- > 0) depths_.put(holder, pop());
    return push(holder);
  }

  std::size_t above_mark() {
    if (marks_.empty()) return stack_.size();
    const std::size_t mark = std::min(marks_.back(), stack_.size());
    marks_.pop_back();
    return stack_.size() - mark;
  }

  // The uppermost go into what lies below them.
  bool put_in(std::size_t count) {
    std::vector<Id> items;
    while (count-- > 0) items.push_back(pop());
    for (Id item : items) depths_.put(top(), item);
    return true;
  }

  bool remember(std::uint64_t key) {
    claims_too_much_ = claims_too_much_ || key > data_.size();
    memo_[key] = top();
    return true;
  }

  bool recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    return push(found == memo_.end() ? Depths::kNothing : found->second);
  }

  bool step(unsigned char opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        number(1);
        return true;
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case 'N':
      case 0x88:  // NEWTRUE, NEWFALSE
      case 0x89:
        return push(Depths::kNothing);
      case 'K':
        number(1);
        return push(Depths::kNothing);
      case 'M':
        number(2);
        return push(Depths::kNothing);
      case 'J':
        number(4);
        return push(Depths::kNothing);
      case 'G':
        number(8);
        return push(Depths::kNothing);
      case 0x8a:  // LONG1
        skip(number(1));
        return push(Depths::kNothing);
      case 'X':
        return skip_text(number(4));
      case 0x8c:
        return skip_text(number(1));
      case 'c':  // GLOBAL
        return skip_line() && skip_line() && push(Depths::kNothing);
      case ']':
      case '}':
      case ')':
        return push(depths_.add());
      case 0x85:  // TUPLE1 to TUPLE3
      case 0x86:
      case 0x87:
        return gather(std::size_t{opcode} - 0x84);
      case 't':
        return gather(above_mark());
      case 'a':
        return put_in(1);
      case 's':
        return put_in(2);
      case 'e':
      case 'u':
        return put_in(above_mark());
      case 'b':
        return put_in(1);
      case 'R':  // REDUCE, NEWOBJ, BINPERSID
      case 0x81:
        return gather(2);
      case 'Q':
        return gather(1);
      case '0':
        pop();
        return true;
      case 'q':
        return remember(number(1));
      case 'r':
        return remember(number(4));
      case 0x94:  // MEMOIZE
        return remember(memo_.size());
      case 'h':
        return recall(number(1));
      case 'j':
        return recall(number(4));
      default:  // STOP, and what libtorch refuses as well
        return false;
    }
  }

  const std::string& data_;
  std::size_t at_ = 0;
  std::size_t brackets_ = 0;
  bool claims_too_much_ = false;
  Depths depths_;
  std::vector<Id> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, Id> memo_;
};

}  // namespace

PickleLook look_into_pickle(const std::string& pickled, std::size_t of_circles) {
  return PickleScanner(pickled).run(of_circles);
}

}  // namespace runner
