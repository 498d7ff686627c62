// What a .pt2 package of AOTInductor says of itself, read without torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "files/archive.h"
#include "files/json_reader.h"

namespace runner {

struct PackageSize {
  std::string symbol;  // of a size that is not fixed: "batch"
  std::int64_t least = 0;
  std::int64_t most = 0;
};

// A leaf of the inputs or outputs: a tensor, or a value that was compiled in.
struct PackageLeaf {
  bool is_tensor = false;
  bool is_number = false;  // an output that the model gives as a number, the package as a tensor
  std::string dtype;
  std::vector<PackageSize> shape;
  JsonNode constant;
};

struct PackageFacts {
  std::string model;                    // its name within the package
  std::string device;                   // "cpu", "cuda"; empty where it is not known
  std::string platform;                 // "linux"
  std::string machine;                  // "x86_64"
  std::string isa;                      // "AVX512 AVX512_VNNI"
  std::string torch;                    // the release that compiled it; empty: not known
  std::vector<std::string> extensions;  // of the processor that it needs
  bool is_native = false;               // compiled for its maker's processor, it is not known which
  std::vector<std::string> operators;   // not torch's own: "my_ops::warp"
  // What only torchscript-build writes down.
  bool has_signature = false;
  std::vector<std::string> arguments;
  std::vector<PackageLeaf> inputs;
  std::vector<PackageLeaf> outputs;
  std::int64_t parameters[3] = {0, 0, 0};  // tensors, elements, bytes
  std::int64_t buffers[3] = {0, 0, 0};
};

bool is_package(const Archive& archive);

// Throws Error (kModelNotLoaded) for what cannot be a package.
PackageFacts read_package(const std::string& path, const Archive& archive);

// "float32 [batch, 8]", "2"
std::string describe(const PackageLeaf& leaf);

}  // namespace runner
