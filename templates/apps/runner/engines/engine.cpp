#include "engines/engine.h"

#include "engines/aoti.h"
#include "engines/torchscript.h"
#include "files/model_check.h"
#include "files/package.h"
#include "program/error.h"

namespace runner {

Value Engine::call(const std::string&, const SharedValues&) {
  throw Error(kUsage, "a model of this kind can be called by programs only");
}

// A further engine is a further case here.
std::unique_ptr<Engine> open_engine(const std::string& path, const Archive& archive,
                                    const LoadOptions& options) {
  if (is_package(archive)) return open_aoti(path, archive, options);
  const Diagnosis diagnosis = why_not_torchscript(archive);
  if (!diagnosis.message.empty()) {
    throw Error(kModelNotLoaded, path + " is not a TorchScript model: " + diagnosis.message,
                diagnosis.hint);
  }
  const std::string problem = why_unreadable(path, archive);
  if (!problem.empty()) throw Error(kModelNotLoaded, path + " is refused: " + problem);
  return open_torchscript(path, options);
}

}  // namespace runner
