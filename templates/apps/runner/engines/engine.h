// What runs a model, whatever the file holds. Knows nothing of torch; each engine has a source that
// does.
//
// Every function throws runner::Error (error.h) with the exit code of the program:
//   0 ok   1 error while running   2 wrong usage   3 model not loaded   4 device not available
//   5 outputs differ from --expect
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "files/archive.h"
#include "program/input_spec.h"
#include "values/value.h"

namespace runner {

struct LoadOptions {
  std::string device = "cpu";
  std::string method = "forward";  // empty: none in particular
  bool freeze = false;
  bool optimize = false;
  bool grad = false;    // gradients can be computed inside of the model
  bool shared = false;  // for several threads
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
  std::vector<std::pair<std::string, std::string>> more;  // what only this engine tells
};

// Calls the model with its inputs from the thread that made it.
class Session {
 public:
  virtual ~Session() = default;
  virtual void call() = 0;  // returns when the device is done
};

// A loaded model, in evaluation mode, ready to call one method.
class Engine {
 public:
  virtual ~Engine() = default;

  // Makes the arguments and checks them against the method's schema.
  virtual void set_inputs(const std::vector<InputSpec>& inputs) = 0;

  // One call; the outputs on the CPU.
  virtual Value run() = 0;

  // For the calling thread. Others may call the model at the same time, where the options said so,
  // but must not have begun. A model that changes itself is copied, unless this is the first.
  // Outlived by the engine.
  virtual std::unique_ptr<Session> new_session(bool first) = 0;

  // One call of any method, whatever set_inputs() was given; several threads may do so at once
  // where the options said so. The outputs stay on the device, which is done with them.
  virtual Value call(const std::string& method, const SharedValues& inputs);

  virtual ModelInfo info() const = 0;
};

// Loads a model with the engine for what the file holds. The archive is that of the file.
std::unique_ptr<Engine> open_engine(const std::string& path, const Archive& archive,
                                    const LoadOptions& options);

}  // namespace runner
