// The engine for TorchScript archives.
#pragma once

#include <memory>
#include <string>

#include "engines/engine.h"

namespace runner {

std::unique_ptr<Engine> open_torchscript(const std::string& path, const LoadOptions& options);

}  // namespace runner
