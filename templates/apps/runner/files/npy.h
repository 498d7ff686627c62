// Reading and writing NumPy's .npy files.
#pragma once

#include <string>

#include "values/value.h"

namespace runner {

// Format versions 1 to 3, C and Fortran order, little endian. Throws Error (kUsage).
Tensor read_npy(const std::string& path);

// Throws Error (kRunFailed), also for a dtype that NumPy does not have (bfloat16).
void write_npy(const Tensor& tensor, const std::string& path);

// NumPy's code of a dtype, without the byte order: "f4".
bool find_npy_element(const std::string& code, Element* element);

}  // namespace runner
