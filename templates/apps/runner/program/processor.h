// What the processor of this machine can do.
#pragma once

#include <string>
#include <vector>

namespace runner {

// "x86_64", "aarch64"; empty where that is not known.
const char* machine_name();

// Which of these extensions the processor, or its system, lacks; named as in gcc's -m options:
// "avx512f". Names that are not known here are passed over.
std::vector<std::string> missing_extensions(const std::vector<std::string>& wanted);

}  // namespace runner
