#include "engines/engine.h"

#include "engines/aoti.h"
#include "engines/torchscript.h"
#include "files/nesting.h"
#include "files/package.h"
#include "program/error.h"
#include "values/value.h"

namespace runner {

// A further engine is a further case here.
std::unique_ptr<Engine> open_engine(const std::string& path, const Archive& archive,
                                    const LoadOptions& options) {
  if (is_package(archive)) return open_aoti(path, archive, options);
  const Diagnosis diagnosis = why_not_torchscript(archive);
  if (!diagnosis.message.empty()) {
    throw Error(kModelNotLoaded, path + " is not a TorchScript model: " + diagnosis.message,
                diagnosis.hint);
  }
  const std::string deep = find_deep_record(path, archive);
  if (!deep.empty()) {
    throw Error(kModelNotLoaded, path + " is refused: its record " + deep +
                                     " is nested more than " + std::to_string(kMostNesting) +
                                     " deep, which no model is");
  }
  return open_torchscript(path, options);
}

}  // namespace runner
