#include "engines/libtorch.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "program/error.h"
#include "program/input_spec.h"
#include "values/dtypes.h"
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

void set_interop_threads(int count) { at::set_num_interop_threads(count); }

void set_flush_denormal() {
  if (!at::globalContext().setFlushDenormal(true)) {
    std::fprintf(stderr, "warning: this processor cannot flush denormal numbers\n");
  }
}

void set_deterministic(bool warn) {
#if TORCH_AT_LEAST(1, 11)
  at::globalContext().setDeterministicAlgorithms(true, warn);
#else
  if (warn)
    throw Error(kUsage,
                "--deterministic warn needs libtorch 1.11 or newer; this is " + libtorch_version());
  at::globalContext().setDeterministicAlgorithms(true);
#endif
}

void set_matmul_precision(const std::string& name) {
#if TORCH_AT_LEAST(1, 12)
  at::globalContext().setFloat32MatmulPrecision(name);
#else
  throw Error(kUsage, "--matmul-precision " + name + " needs libtorch 1.12 or newer; this is " +
                          libtorch_version());
#endif
}

void set_default_dtype(const std::string& name) {
  const at::ScalarType type = scalar_type(canonical_dtype(name));
  if (!c10::isFloatingType(type)) {
    throw Error(kUsage, "--default-dtype " + name + ": only a floating-point dtype can be it");
  }
  c10::set_default_dtype(c10::scalarTypeToTypeMeta(type));
}

void set_quantized_engine(const std::string& name) {
  std::string known;
  for (at::QEngine engine : at::globalContext().supportedQEngines()) {
    std::string text = c10::toString(engine);
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (text == "noqengine") text = "none";
    if (text == name) return at::globalContext().setQEngine(engine);
    known += (known.empty() ? "" : ", ") + text;
  }
  throw Error(kUsage, "--quantized-engine " + name + ": this libtorch does not have it",
              "it has " + known);
}

void print_models_to_stderr() {
  torch::jit::setPrintHandler(
      [](const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); });
}

void set_seed(std::uint64_t seed) { at::manual_seed(seed); }

}  // namespace runner
