// In the place of torch's own header, see jit/ir/ir.h: what the inline functions of method.h call.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace torch {
namespace jit {

struct GraphFunction {
  std::shared_ptr<Graph> graph() const;
  GraphExecutor& get_executor();
};

GraphFunction& toGraphFunction(Function& function);

}  // namespace jit
}  // namespace torch
