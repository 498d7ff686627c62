// What calls of Python's functions in a pickle make.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "files/pickle_node.h"
#include "files/pickle_reader.h"

namespace runner {

class Calls {
 public:
  Calls(Nodes* nodes, const StorageReader& storages) : nodes_(nodes), storages_(storages) {}

  Node* reduce(const Node& function, Node* arguments);

 private:
  Node* rebuild_tensor(const std::vector<Node*>& arguments, Element element);
  Node* rebuild_sparse(const std::vector<Node*>& arguments);
  Node* rebuild_quantized(const std::vector<Node*>& arguments);
  Node* numpy_scalar(const std::vector<Node*>& arguments);
  Node* tensor_node(Tensor tensor);
  std::shared_ptr<const void> place(const Node& storage, Element element, std::int64_t offset,
                                    const Tensor& tensor);

  Nodes* nodes_;
  const StorageReader& storages_;
};

// The number that TorchScript has for torch.float16, torch.strided and the like.
bool find_constant(const std::string& global, std::int64_t* number);

}  // namespace runner
