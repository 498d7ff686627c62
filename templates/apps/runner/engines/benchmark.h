// How fast a model answers.
#pragma once

#include <cstdint>

#include "engines/engine.h"

namespace runner {

struct BenchmarkOptions {
  std::int64_t calls = 100;      // of each thread
  std::int64_t warmup = 10;      // of each thread
  std::int64_t concurrency = 1;  // threads that call the model
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

BenchmarkResult benchmark(Engine* engine, const BenchmarkOptions& options);

}  // namespace runner
