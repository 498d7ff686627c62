// What lies on the unpickler's stack: values that are not finished, classes and storages.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "values/value.h"

namespace runner {

struct Node {
  enum class Kind {
    kNone,
    kBool,
    kInt,
    kFloat,
    kComplex,
    kString,
    kBytes,
    kDevice,
    kGlobal,   // text: "torch._utils._rebuild_tensor_v2"
    kStorage,  // text: the key; name: its class
    kTensor,
    kList,
    kTuple,
    kDict,
    kObject,
    kNumpyType,  // text: "f8"
  };

  Kind kind = Kind::kNone;
  std::int64_t integer = 0;  // of an object: 1 if its class is a subclass of tuple
  double real = 0;
  double imaginary = 0;
  std::string text;
  std::string name;
  std::shared_ptr<const Tensor> tensor;
  std::vector<Node*> items;  // of a dict: key, value, key, value, ...; of an object: its arguments
  Node* state = nullptr;     // of an object: what it was built with
};

// Nodes live as long as this, however they refer to each other.
class Nodes {
 public:
  Node* add(Node::Kind kind);
  Node* text(Node::Kind kind, const std::string& text);

 private:
  std::vector<std::unique_ptr<Node>> nodes_;
};

[[noreturn]] void fail_unpickling(const std::string& what);

// The finished value. Throws for what is none.
Value finish(const Node& node);

}  // namespace runner
