// In the place of torch's own header, as torch.h beside it; with Python's part only for sources
// that use it.
#pragma once

#include <torch/torch.h>

#ifdef TORCHSCRIPT_BUILD_WITH_PYTHON
#include <torch/csrc/Device.h>
#include <torch/csrc/Dtype.h>
#include <torch/csrc/DynamicTypes.h>
#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/python_headers.h>
#include <torch/csrc/utils/pybind.h>
#include <torch/csrc/utils/python_numbers.h>
#include <torch/csrc/utils/python_tuples.h>

#include <iterator>
#include <string>
#include <utility>
#endif
