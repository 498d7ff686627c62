// In the place of torch's own header, for sources that name nothing of what is missing here:
// torch::nn, optim, data, jit, serialize, save and load. See the setting lean-headers.
#pragma once

// clang-format off
#include <torch/types.h>  // first: older releases' torch/fft.h relies on it
// clang-format on

#include <torch/autograd.h>
#include <torch/cuda.h>
#include <torch/enum.h>
#include <torch/fft.h>
#include <torch/library.h>
#include <torch/mps.h>
#include <torch/nested.h>
#include <torch/sparse.h>
#include <torch/special.h>
#include <torch/utils.h>
#include <torch/version.h>
#if __has_include(<torch/linalg.h>)
#include <torch/linalg.h>
#endif
#if __has_include(<torch/print.h>)
#include <torch/print.h>
#endif
#if __has_include(<torch/xpu.h>)
#include <torch/xpu.h>
#endif

// What sources use that include no more than torch's own, which has them through its parts.
#include <bitset>
#include <queue>
#include <stack>

// As torch's own does in a Python module.
#if defined(TORCH_API_INCLUDE_EXTENSION_H) && defined(TORCHSCRIPT_BUILD_WITH_PYTHON)
#include <torch/extension.h>
#endif
