// The command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app_info.h"
#include "program/compare.h"

namespace runner {

struct Options {
  bool help = false;
  bool version = false;
  bool info = false;
  bool json = false;
  bool freeze = false;
  bool optimize = false;
  // These begin as the model wants them.
  bool grad = false;
  bool flush_denormal = false;
  std::string default_dtype;         // empty: torch's own
  std::string quantized_engine;      // empty: torch's own
  std::string deterministic;         // "on", "warn"; "off" or empty
  std::string matmul_precision;      // "high", "medium"; "highest" or empty
  std::int64_t threads = 0;          // 0: libtorch's choice
  std::int64_t interop_threads = 0;  // 0: libtorch's choice

  std::string model;  // empty: the app's first model
  std::vector<std::string> inputs;
  std::vector<std::string> ops;
  std::string method = app_info.method;
  std::string device = "cpu";
  std::string output;
  std::string expect;
  Tolerance tolerance;
  std::int64_t benchmark = 0;  // timed calls of each thread; 0: no benchmark
  std::int64_t warmup = 10;
  std::int64_t concurrency = 1;
  std::int64_t first = 5;
  bool has_seed = false;
  std::uint64_t seed = 0;
};

// Throws Error (kUsage).
Options parse_options(const std::vector<std::string>& arguments);

std::string help_text();

}  // namespace runner
