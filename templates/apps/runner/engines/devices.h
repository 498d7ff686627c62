// The places where tensors live.
#pragma once

#include <string>

#include "values/torch_headers.h"

namespace runner {

// Throws Error: kUsage for what is no device, kDeviceUnavailable for what this program cannot use.
at::Device parse_device(const std::string& text);

// Waits until the device has done what the calling thread asked for.
void synchronize(const at::Device& device);

}  // namespace runner
