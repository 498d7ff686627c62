#include "engines/libtorch.h"

#include <cstdio>

#include "values/torch_headers.h"

namespace runner {

std::string libtorch_version() {
  return std::to_string(TORCH_VERSION_MAJOR) + "." + std::to_string(TORCH_VERSION_MINOR) + "." +
         std::to_string(TORCH_VERSION_PATCH);
}

LibtorchInfo libtorch_info() {
  LibtorchInfo info;
  info.version = libtorch_version();
  info.threads = at::get_num_threads();
  const auto& hooks = at::detail::getCUDAHooks();
  info.cuda_built = hooks.hasCUDART();
  info.cuda_devices = hooks.hasCUDA() ? hooks.getNumGPUs() : 0;
  return info;
}

void set_threads(int count) { at::set_num_threads(count); }

void print_models_to_stderr() {
  torch::jit::setPrintHandler(
      [](const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); });
}

void set_seed(std::uint64_t seed) { at::manual_seed(seed); }

}  // namespace runner
