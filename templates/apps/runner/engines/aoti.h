// The engine for .pt2 packages that AOTInductor compiled.
#pragma once

#include <memory>
#include <string>

#include "engines/engine.h"

namespace runner {

// Needs libtorch 2.6, the first release with a loader for them; says so where it is older.
std::unique_ptr<Engine> open_aoti(const std::string& path, const Archive& archive,
                                  const LoadOptions& options);

}  // namespace runner
