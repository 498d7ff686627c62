// Loading and running TorchScript models. The only part of the runner that knows torch, behind an
// interface that does not: its one source, runtime.cpp, is what takes long to compile.
//
// Every function throws runner::Error (error.h) with the exit code of the program:
//   0 ok   1 error while running   2 wrong usage   3 model not loaded   4 device not available
//   5 outputs differ from --expect
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "input_spec.h"
#include "value.h"

namespace runner {

struct LoadOptions {
  std::string device = "cpu";
  std::string method = "forward";
  bool freeze = false;
  bool optimize = false;
};

struct BenchmarkOptions {
  std::int64_t calls = 100;      // of each thread
  std::int64_t warmup = 10;      // of each thread
  std::int64_t concurrency = 1;  // threads that share the model
};

struct BenchmarkResult {
  double mean_ms = 0;
  double min_ms = 0;
  double p50_ms = 0;
  double p90_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
  double calls_per_second = 0;  // of all threads together
};

struct TensorTotals {
  std::int64_t tensors = 0;
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
};

struct ModelInfo {
  std::string type;                  // the class of the scripted module
  std::vector<std::string> methods;  // schemas: forward(Tensor x, int k=3) -> Tensor
  TensorTotals parameters;
  TensorTotals buffers;
};

struct LibtorchInfo {
  std::string version;  // that the program was compiled with
  int threads = 0;
  bool cuda_built = false;
  int cuda_devices = 0;
};

class Model {
 public:
  // Loads onto the device, in evaluation mode, ready to call one method.
  Model(const std::string& path, const LoadOptions& options);
  ~Model();
  Model(Model&&) noexcept;

  // Makes the arguments and checks them against the method's schema.
  void set_inputs(const std::vector<InputSpec>& inputs);

  // One call; the outputs on the CPU.
  Value run();

  BenchmarkResult benchmark(const BenchmarkOptions& options);

  ModelInfo info() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What torch.save wrote, or this. Throws for what is not made of tensors and plain values.
Value read_pt(const std::string& path);

// Writes what torch.load(path, weights_only=True) reads.
void write_pt(const Value& value, const std::string& path);

void set_threads(int count);
void print_models_to_stderr();      // what models print() instead of to stdout
void set_seed(std::uint64_t seed);  // as torch.manual_seed
LibtorchInfo libtorch_info();
std::string libtorch_version();

}  // namespace runner
