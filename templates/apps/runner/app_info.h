// What one app knows about itself. The build generates the definition (app_info.cpp) for each app;
// every other file of the runner is the same in all apps.
#pragma once

#include <cstddef>

// What a model wants of the process that runs it; what its user says comes first.
struct Process {
  bool grad = false;                       // --grad: the model computes gradients itself
  const char* default_dtype = nullptr;     // --default-dtype, for example "float64"
  const char* quantized_engine = nullptr;  // --quantized-engine, for example "qnnpack"
  bool flush_denormal = false;             // --flush-denormal
  int threads = 0;                         // --threads; 0: libtorch's choice
  int interop_threads = 0;                 // --interop-threads
  const char* deterministic = nullptr;     // --deterministic: "on" or "warn"
  const char* matmul_precision = nullptr;  // --matmul-precision: "high" or "medium"
};

struct BundledModel {
  const char* name;  // what --model accepts, for example "resnet18"
  const char* path;  // relative to the executable's folder ("../models/resnet18.pt"), or absolute
  Process process = {};
};

struct AppInfo {
  const char* name;            // shown in messages, for example "example-app"
  const char* version;         // shown by --version
  const char* description;     // one line of --help; may be empty
  const BundledModel* models;  // the first one is --model's default; may be null
  std::size_t model_count;
  const char* const* op_libraries;  // loaded before the model, in this order; paths as above
  std::size_t op_library_count;
  const char* method;    // --method's default, usually "forward"
  Process process = {};  // for a model's file from elsewhere: what all models of the app want
};

extern const AppInfo app_info;
