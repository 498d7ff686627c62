// A crash while a model is read ends the program with a sentence and an exit code.
#pragma once

#include <string>

namespace runner {

// While it lives, a signal that would kill the process (SIGSEGV, SIGABRT, ...) prints a text and
// ends the process with a code. For what nobody can bound: libtorch has been seen to follow null
// pointers in code that its own parser takes. One at a time, in the main thread; where there are no
// such signals, and with a sanitizer, which reports better, it does nothing.
class CrashGuard {
 public:
  CrashGuard(std::string text, int code);
  ~CrashGuard();
  CrashGuard(const CrashGuard&) = delete;
  CrashGuard& operator=(const CrashGuard&) = delete;
};

}  // namespace runner
