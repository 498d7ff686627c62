// From what a model is called with to the tensors that a package takes, and back.
#pragma once

#include <string>
#include <vector>

#include "engines/arguments.h"
#include "files/json_reader.h"
#include "files/package.h"
#include "values/torch_headers.h"
#include "values/value.h"

namespace runner {

// forward(x: float32 [batch, 8], k: 2) -> float32 [batch, 4]
std::string package_schema(const PackageFacts& facts, const JsonNode& in_spec);

// The tensors in the order of the package's inputs, on the device. A compiled model trusts its
// callers, so everything that the package says of its inputs is compared with them. Throws Error
// (kUsage).
std::vector<at::Tensor> package_arguments(const PackageFacts& facts, const JsonNode& in_spec,
                                          const Given& given, const at::Device& device);

// The package's tensors as what the model returns.
Value package_outputs(const PackageFacts& facts, const JsonNode& out_spec,
                      const std::vector<at::Tensor>& tensors);

}  // namespace runner
