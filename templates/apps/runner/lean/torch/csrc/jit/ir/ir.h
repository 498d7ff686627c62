// In the place of torch's own header while the runner is compiled: torch/csrc/jit/api/module.h
// includes the whole of the compiler's intermediate representation, and needs only these names.
#pragma once

#include <ATen/core/class_type.h>
#include <ATen/core/function.h>
#include <ATen/core/jit_type.h>
#include <torch/csrc/Export.h>

namespace torch {
namespace jit {

using namespace ::c10;

struct Graph;
struct GraphExecutor;
struct Node;
struct Value;

}  // namespace jit
}  // namespace torch
