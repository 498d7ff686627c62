// From the program's --input to a method's arguments.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "program/input_spec.h"
#include "values/torch_headers.h"
#include "values/value.h"

namespace runner {

using Stack = std::vector<c10::IValue>;

// As TorchScript writes it: forward(Tensor x, int k=3) -> Tensor
std::string schema_text(const torch::jit::Function& function);

// A tensor's dtype and shape, or the type.
std::string describe_value(const c10::IValue& value);

// What the inputs are, before it is known what a method wants.
struct Given {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Throws Error (kUsage) for what cannot be made.
Given read_inputs(const std::vector<InputSpec>& inputs);

// The arguments, self first, as the schema wants them and on the device. Throws Error (kUsage).
Stack make_arguments(const torch::jit::Function& function, c10::IValue self,
                     const std::vector<InputSpec>& inputs, const at::Device& device);

// The same of values, by their places.
Stack make_arguments(const torch::jit::Function& function, c10::IValue self,
                     const SharedValues& inputs, const at::Device& device);

}  // namespace runner
