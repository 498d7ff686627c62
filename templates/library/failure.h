// What goes wrong, as codes with a text: no exception leaves the library.
#pragma once

#include <exception>
#include <string>

#include "library.h"

namespace tsl_library {

struct Failure {
  int status;
  std::string text;
};

// Keeps the text for tsl_last_error(), and gives the status, of the exception that is being
// handled.
int fail() noexcept;

// From now on a fork of this process is known as one.
void watch_forks();

// Throws Failure in a fork of a process that used libtorch, whose threads are not there.
void refuse_fork();

template <typename Function>
int guarded(const Function& function) noexcept {
  try {
    refuse_fork();
    function();
    return TSL_OK;
  } catch (...) {
    return fail();
  }
}

// Throws Failure where a pointer is missing.
template <typename Pointer>
Pointer* given(Pointer* pointer, const char* name) {
  if (pointer == nullptr) throw Failure{TSL_BAD_ARGUMENT, std::string(name) + " is NULL"};
  return pointer;
}

}  // namespace tsl_library
