#include "files/pickle_node.h"

#include <unordered_map>
#include <utility>

#include "files/pickle_calls.h"
#include "program/error.h"

namespace runner {
namespace {

const std::size_t kMostValues = 2000000;

class Finisher {
 public:
  using Kind = Node::Kind;

  void count(std::size_t more) {
    count_ += more;
    if (count_ > kMostValues) {
      fail_unpickling("it holds more than " + std::to_string(kMostValues) + " values");
    }
  }

  void finish_all(const std::vector<Node*>& nodes, int depth, std::vector<Value>* values) {
    count(nodes.size());
    values->reserve(nodes.size());
    for (const Node* node : nodes) values->push_back(finish(*node, depth + 1));
  }

  // Of two equal keys Python keeps the place of the first and the value of the last.
  static void drop_repeated_keys(Value* dict) {
    std::unordered_map<std::string, std::size_t> places;
    std::vector<Value> items;
    for (std::size_t i = 0; i < dict->items.size(); i += 2) {
      const Value& key = dict->items[i];
      const bool plain = key.kind == Value::Kind::kString || key.kind == Value::Kind::kInt;
      const std::string name =
          key.kind == Value::Kind::kString ? "s" + key.text : std::to_string(key.integer);
      const auto found =
          plain ? places.emplace(name, items.size()) : std::make_pair(places.end(), true);
      if (found.second) {
        items.push_back(std::move(dict->items[i]));
        items.push_back(std::move(dict->items[i + 1]));
      } else {
        items[found.first->second + 1] = std::move(dict->items[i + 1]);
      }
    }
    dict->items = std::move(items);
  }

  Value finish_object(const Node& node, int depth) {
    const bool is_tuple = node.integer != 0 && node.state == nullptr;
    Value value = make_text(is_tuple ? Value::Kind::kTuple : Value::Kind::kObject, node.text);
    const Node* state = node.state;
    if (state != nullptr && state->kind == Kind::kTuple && state->items.size() == 2) {
      state = state->items[state->items[1]->kind == Kind::kDict ? 1 : 0];  // (None, slots)
    }
    if (state == nullptr || state->kind != Kind::kDict || !node.items.empty()) {
      finish_all(node.items, depth, &value.items);
      return value;
    }
    for (std::size_t i = 0; i < state->items.size(); i += 2) {
      value.names.push_back(state->items[i]->text);
      count(1);
      value.items.push_back(finish(*state->items[i + 1], depth + 1));
    }
    return value;
  }

  Value finish(const Node& node, int depth) {
    if (depth > kMostNesting) {
      fail_unpickling("its values are nested more than " + std::to_string(kMostNesting) + " deep");
    }
    Value value;
    switch (node.kind) {
      case Kind::kNone:
        break;
      case Kind::kBool:
      case Kind::kInt:
        value.kind = node.kind == Kind::kInt ? Value::Kind::kInt : Value::Kind::kBool;
        value.integer = node.integer;
        break;
      case Kind::kFloat:
      case Kind::kComplex:
        value.kind = node.kind == Kind::kFloat ? Value::Kind::kFloat : Value::Kind::kComplex;
        value.real = node.real;
        value.imaginary = node.imaginary;
        break;
      case Kind::kString:
      case Kind::kBytes:  // TorchScript has one type for both
        return make_text(Value::Kind::kString, node.text);
      case Kind::kDevice:
        return make_text(Value::Kind::kDevice, node.text);
      case Kind::kGlobal:
        if (!find_constant(node.text, &value.integer)) {
          fail_unpickling("it holds " + node.text + " itself, which is no value");
        }
        value.kind = Value::Kind::kInt;
        break;
      case Kind::kStorage:
      case Kind::kNumpyType:
        fail_unpickling("it holds a storage or a dtype of NumPy, which is no value");
      case Kind::kTensor:
        value.kind = Value::Kind::kTensor;
        value.tensor = node.tensor;
        break;
      case Kind::kList:
      case Kind::kTuple:
        value.kind = node.kind == Kind::kList ? Value::Kind::kList : Value::Kind::kTuple;
        finish_all(node.items, depth, &value.items);
        break;
      case Kind::kDict:
        value.kind = Value::Kind::kDict;
        finish_all(node.items, depth, &value.items);
        drop_repeated_keys(&value);
        break;
      case Kind::kObject:
        return finish_object(node, depth);
    }
    return value;
  }

 private:
  std::size_t count_ = 0;
};

}  // namespace

Node* Nodes::add(Node::Kind kind) {
  if (nodes_.size() >= kMostValues + kMostValues / 4) {
    fail_unpickling("it holds more than " + std::to_string(kMostValues) + " values");
  }
  nodes_.emplace_back(new Node);
  nodes_.back()->kind = kind;
  return nodes_.back().get();
}

Node* Nodes::text(Node::Kind kind, const std::string& text) {
  Node* node = add(kind);
  node->text = text;
  return node;
}

void fail_unpickling(const std::string& what) { throw Error(kUsage, what); }

Value finish(const Node& node) { return Finisher().finish(node, 0); }

}  // namespace runner
