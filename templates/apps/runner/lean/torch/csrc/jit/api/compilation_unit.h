// In the place of torch's own header, see jit/ir/ir.h.
#pragma once

#include <torch/csrc/jit/api/function_impl.h>

namespace torch {
namespace jit {

struct CompilationUnit;

}  // namespace jit
}  // namespace torch
