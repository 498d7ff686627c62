// In the place of torch's own header, see jit/ir/ir.h: the automatic differentiation is not needed.
#pragma once

#include <ATen/core/Tensor.h>
