// In the place of torch's own header, for sources that name nothing of torch::jit.
#pragma once

#include <torch/autograd.h>
#include <torch/csrc/autograd/InferenceMode.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/custom_class.h>
#include <torch/library.h>
#include <torch/types.h>

// What sources use that include no more than torch's own, which has them through its parts.
#include <bitset>
#include <queue>
#include <stack>
