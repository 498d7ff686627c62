// Torch's exceptions as the program's.
#pragma once

#include <exception>
#include <string>

#include "program/error.h"

namespace runner {

// The text of an exception without C++ stack. Old releases throw some that are no c10::Error.
std::string message_of(const std::exception& exception);

// The line of a message that says what is wrong.
std::string essential_line(const std::string& message);

// Why a model could not be loaded, as far as can be told from the exception and the file.
Error load_error(const std::string& path, const std::exception& exception);

}  // namespace runner
