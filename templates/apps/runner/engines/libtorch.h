// Libtorch's own facts and settings, without its headers.
#pragma once

#include <cstdint>
#include <string>

namespace runner {

struct LibtorchInfo {
  std::string version;  // that the program was compiled with
  int threads = 0;
  bool cuda_built = false;
  int cuda_devices = 0;
};

LibtorchInfo libtorch_info();
std::string libtorch_version();
void set_threads(int count);          // as torch.set_num_threads
void set_interop_threads(int count);  // as torch.set_num_interop_threads
void set_flush_denormal();            // as torch.set_flush_denormal(True)
void set_deterministic(bool warn);    // as torch.use_deterministic_algorithms(True, warn_only=warn)
void set_seed(std::uint64_t seed);    // as torch.manual_seed
void set_matmul_precision(const std::string& name);  // as torch.set_float32_matmul_precision
// These throw Error (kUsage) for names that this libtorch does not have.
void set_default_dtype(const std::string& name);     // as torch.set_default_dtype
void set_quantized_engine(const std::string& name);  // as torch.backends.quantized.engine
void print_models_to_stderr();                       // what models print() instead of to stdout

}  // namespace runner
