// In the place of torch's own header, see jit/ir/ir.h: what error_report.h calls.
#pragma once

#include <torch/csrc/jit/frontend/source_range.h>

#include <sstream>

namespace torch {
namespace jit {

struct Token {
  SourceRange range;
};

struct Tree {
  const SourceRange& range() const;
};

using TreeRef = Tree*;

}  // namespace jit
}  // namespace torch
