// The one exception that the runner throws on purpose, and the exit codes of the program.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace runner {

enum ExitCode {
  kOk = 0,
  kRunFailed = 1,          // the model (or the writing of its output) failed
  kUsage = 2,              // a bad option, a bad input, or inputs that the method does not take
  kModelNotLoaded = 3,     // missing, not TorchScript, too new, unknown operator
  kDeviceUnavailable = 4,  // CUDA asked for but not there
  kOutputsDiffer = 5,      // --expect found a difference
};

struct Error : std::runtime_error {
  Error(ExitCode exit_code, const std::string& message, std::string hint_line = std::string())
      : std::runtime_error(message), code(exit_code), hint(std::move(hint_line)) {}

  ExitCode code;
  std::string hint;  // what to do about it, or empty
};

}  // namespace runner
