// The models and values that numbers stand for.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engines/engine.h"
#include "library.h"
#include "values/memory.h"
#include "values/value.h"

namespace tsl_library {

struct Model {
  std::unique_ptr<runner::Engine> engine;
  std::vector<std::string> names;
  std::vector<std::string> schemas;
  bool flush_denormal = false;  // which is a matter of each calling thread
};

// A value, or a part of one, which lives as long as any of its parts.
struct Held {
  explicit Held(std::shared_ptr<const runner::Value> held) : value(std::move(held)) {}

  const std::shared_ptr<const runner::Value> value;
  std::mutex mutex;
  std::unique_ptr<runner::Memory> memory;  // once it was asked for
};

// These throw Failure where the number stands for nothing.
std::shared_ptr<Model> find_model(tsl_model number);
std::shared_ptr<Held> find_value(tsl_value number);

tsl_value hold(runner::Value value);
tsl_value hold(std::shared_ptr<const runner::Value> part);

// What numbers stand for, which nobody can free while it is in use; throws Failure for one that
// stands for nothing, by its place.
runner::SharedValues find_values(const tsl_value* numbers, std::size_t count, const char* name);

// Path of a file named relative to the library's folder; absolute paths stay.
std::string beside_library(const std::string& path);

}  // namespace tsl_library
