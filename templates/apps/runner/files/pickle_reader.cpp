#include "files/pickle_reader.h"

#include <cstring>
#include <unordered_map>
#include <utility>

#include "files/pickle_calls.h"
#include "files/pickle_node.h"

namespace runner {
namespace {

// Opcodes: the comments in CPython's Lib/pickletools.py. Protocols 2 to 5, as torch.save writes.
class Unpickler {
 public:
  Unpickler(const std::string& data, const StorageReader& storages)
      : data_(data), calls_(&nodes_, storages) {}

  Value read() {
    while (step(static_cast<unsigned char>(take(1)[0]))) {
    }
    return finish(*pop());
  }

 private:
  using Kind = Node::Kind;

  const char* take(std::uint64_t size) {
    if (size > data_.size() - at_) fail_unpickling("it ends too early");
    const char* start = data_.data() + at_;
    at_ += static_cast<std::size_t>(size);
    return start;
  }

  std::uint64_t number(int size) {
    const char* bytes = take(static_cast<std::uint64_t>(size));
    std::uint64_t value = 0;
    for (int i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }

  std::string line() {
    const std::size_t end = data_.find('\n', at_);
    if (end == std::string::npos) fail_unpickling("it ends too early");
    const std::string text = data_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

  std::string text(std::uint64_t size) {
    const char* start = take(size);
    return {start, start + size};
  }

  Node* top() {
    if (stack_.empty() || (!marks_.empty() && stack_.size() <= marks_.back())) {
      fail_unpickling("its stack is empty");
    }
    return stack_.back();
  }

  Node* pop() {
    Node* node = top();
    stack_.pop_back();
    return node;
  }

  void push(Node* node) { stack_.push_back(node); }

  std::vector<Node*> pop_to_mark() {
    if (marks_.empty()) fail_unpickling("it has no mark");
    const auto start = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Node*> items(start, stack_.end());
    stack_.erase(start, stack_.end());
    marks_.pop_back();
    return items;
  }

  void push_tuple(std::vector<Node*> items) {
    Node* tuple = nodes_.add(Kind::kTuple);
    tuple->items = std::move(items);
    push(tuple);
  }

  void push_tuple(std::size_t size) {
    std::vector<Node*> items(size);
    while (size-- > 0) items[size] = pop();
    push_tuple(std::move(items));
  }

  void push_int(std::int64_t value) {
    Node* node = nodes_.add(Kind::kInt);
    node->integer = value;
    push(node);
  }

  void push_long(std::uint64_t size) {
    const std::string bytes = text(size);
    const bool negative = !bytes.empty() && (bytes.back() & '\x80') != 0;
    std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
    for (std::size_t i = bytes.size(); i-- > 0;) {
      const unsigned char byte = static_cast<unsigned char>(bytes[i]);
      if (i >= 8 && byte != (negative ? 0xff : 0)) fail_unpickling("an int has more than 64 bits");
      value = value << 8 | byte;
    }
    if (bytes.size() > 8 && (value >> 63 != 0) != negative) {
      fail_unpickling("an int has more than 64 bits");
    }
    push_int(static_cast<std::int64_t>(value));
  }

  void push_float() {
    const char* bytes = take(8);
    std::uint64_t bits = 0;
    for (int i = 0; i < 8; ++i) bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
    Node* node = nodes_.add(Kind::kFloat);
    std::memcpy(&node->real, &bits, sizeof(bits));
    push(node);
  }

  void append(Node* list, const std::vector<Node*>& items) {
    if (list->kind != Kind::kList) fail_unpickling("it appends to what is no list");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }

  void set_items(Node* dict, const std::vector<Node*>& items) {
    if (dict->kind != Kind::kDict || items.size() % 2 != 0) {
      fail_unpickling(dict->kind == Kind::kObject
                          ? "it sets items of an object of class " + dict->text
                          : "it sets items of what is no dict");
    }
    dict->items.insert(dict->items.end(), items.begin(), items.end());
  }

  void build() {
    Node* state = pop();
    Node* object = top();
    if (object->kind == Kind::kObject) object->state = state;
    if (object->kind == Kind::kNumpyType && state->kind == Kind::kTuple &&
        state->items.size() > 1 && state->items[1]->text == ">") {
      fail_unpickling("a number of NumPy is big-endian");
    }
  }

  void push_new() {
    Node* arguments = pop();
    Node* type = pop();
    if (type->kind != Kind::kGlobal || arguments->kind != Kind::kTuple) {
      fail_unpickling("it makes an object of what is no class");
    }
    Node* object = nodes_.text(Kind::kObject, type->text);
    object->items = arguments->items;
    object->integer = arguments->items.empty() ? 0 : 1;  // only a subclass of tuple takes any
    push(object);
  }

  void push_storage() {
    const Node* id = pop();
    const bool known = id->kind == Kind::kTuple && id->items.size() >= 3 &&
                       id->items[0]->text == "storage" && id->items[1]->kind == Kind::kGlobal &&
                       id->items[2]->kind == Kind::kString;
    if (!known) fail_unpickling("it refers to what is no storage");
    Node* storage = nodes_.text(Kind::kStorage, id->items[2]->text);
    storage->name = id->items[1]->text;
    push(storage);
  }

  void push_global(const std::string& module, const std::string& name) {
    push(nodes_.text(Kind::kGlobal, module + "." + name));
  }

  void memoize(std::uint64_t key) { memo_[key] = top(); }

  void push_memoized(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail_unpickling("it refers to what was not yet read");
    push(found->second);
  }

  // Whether there is more.
  bool step(unsigned char opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        if (number(1) > 5) fail_unpickling("its protocol is newer than 5");
        return true;
      case 0x95:  // FRAME
        take(8);
        return true;
      case '.':
        return false;
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case '0':  // POP
        if (!marks_.empty() && marks_.back() == stack_.size()) {
          marks_.pop_back();
        } else {
          pop();
        }
        return true;
      case '1':  // POP_MARK
        pop_to_mark();
        return true;
      case '2':  // DUP
        push(top());
        return true;
      case 'N':
        push(nodes_.add(Kind::kNone));
        return true;
      case 0x88:  // NEWTRUE, NEWFALSE
      case 0x89: {
        Node* node = nodes_.add(Kind::kBool);
        node->integer = opcode == 0x88 ? 1 : 0;
        push(node);
        return true;
      }
      case 'J':
        push_int(static_cast<std::int32_t>(number(4)));
        return true;
      case 'K':
        push_int(static_cast<std::int64_t>(number(1)));
        return true;
      case 'M':
        push_int(static_cast<std::int64_t>(number(2)));
        return true;
      case 0x8a:  // LONG1, LONG4
        push_long(number(1));
        return true;
      case 0x8b:
        push_long(number(4));
        return true;
      case 'G':
        push_float();
        return true;
      case 'X':  // BINUNICODE and its short and long forms
        push(nodes_.text(Kind::kString, text(number(4))));
        return true;
      case 0x8c:
        push(nodes_.text(Kind::kString, text(number(1))));
        return true;
      case 0x8d:
        push(nodes_.text(Kind::kString, text(number(8))));
        return true;
      case 'U':  // Python 2's strings, bytes, and their long forms
      case 'C':
        push(nodes_.text(Kind::kBytes, text(number(1))));
        return true;
      case 'T':
      case 'B':
        push(nodes_.text(Kind::kBytes, text(number(4))));
        return true;
      case 0x8e:
      case 0x96:
        push(nodes_.text(Kind::kBytes, text(number(8))));
        return true;
      case ']':
        push(nodes_.add(Kind::kList));
        return true;
      case '}':
        push(nodes_.add(Kind::kDict));
        return true;
      case ')':
        push_tuple(std::size_t{0});
        return true;
      case 0x85:  // TUPLE1 to TUPLE3
      case 0x86:
      case 0x87:
        push_tuple(std::size_t{opcode} - 0x84);
        return true;
      case 't':
        push_tuple(pop_to_mark());
        return true;
      case 'a': {
        Node* item = pop();
        append(top(), {item});
        return true;
      }
      case 'e': {
        const std::vector<Node*> items = pop_to_mark();
        append(top(), items);
        return true;
      }
      case 's': {
        Node* value = pop();
        Node* key = pop();
        set_items(top(), {key, value});
        return true;
      }
      case 'u': {
        const std::vector<Node*> items = pop_to_mark();
        set_items(top(), items);
        return true;
      }
      case 'q':
        memoize(number(1));
        return true;
      case 'r':
        memoize(number(4));
        return true;
      case 0x94:  // MEMOIZE
        memoize(memo_.size());
        return true;
      case 'h':
        push_memoized(number(1));
        return true;
      case 'j':
        push_memoized(number(4));
        return true;
      case 'c': {
        const std::string module = line();
        push_global(module, line());
        return true;
      }
      case 0x93: {  // STACK_GLOBAL
        const Node* name = pop();
        push_global(pop()->text, name->text);
        return true;
      }
      case 'Q':
        push_storage();
        return true;
      case 'R': {
        Node* arguments = pop();
        push(calls_.reduce(*pop(), arguments));
        return true;
      }
      case 0x81:  // NEWOBJ
        push_new();
        return true;
      case 'b':
        build();
        return true;
      case 0x8f:  // EMPTY_SET, ADDITEMS, FROZENSET
      case 0x90:
      case 0x91:
        fail_unpickling("it holds a set, which TorchScript does not have");
      default:
        fail_unpickling("its opcode " + std::to_string(opcode) + " is not known");
    }
  }

  const std::string& data_;
  std::size_t at_ = 0;
  Nodes nodes_;
  Calls calls_;
  std::vector<Node*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, Node*> memo_;
};

}  // namespace

Value unpickle(const std::string& data, const StorageReader& storages) {
  return Unpickler(data, storages).read();
}

}  // namespace runner
