#include "program/crash.h"

#include <utility>

#if !defined(_WIN32) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <unistd.h>

#include <csignal>
#include <memory>
#define RUNNER_CATCHES_CRASHES 1
#endif

namespace runner {

#ifdef RUNNER_CATCHES_CRASHES

namespace {

const int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
const std::size_t kStackSize = 65536;  // the usual one may have come to its end

std::string crash_text;
int crash_code = 1;
std::unique_ptr<char[]> crash_stack;
struct sigaction former[sizeof(kSignals) / sizeof(kSignals[0])];

extern "C" void end_with_text(int) {
  const auto written = write(STDERR_FILENO, crash_text.data(), crash_text.size());
  _exit(written < 0 ? crash_code : crash_code);
}

}  // namespace

CrashGuard::CrashGuard(std::string text, int code) {
  crash_text = std::move(text);
  crash_code = code;
  crash_stack.reset(new char[kStackSize]);
  stack_t stack = {};
  stack.ss_sp = crash_stack.get();
  stack.ss_size = kStackSize;
  sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_handler = end_with_text;
  action.sa_flags = SA_ONSTACK;
  for (std::size_t i = 0; i < sizeof(kSignals) / sizeof(kSignals[0]); ++i) {
    sigaction(kSignals[i], &action, &former[i]);
  }
}

CrashGuard::~CrashGuard() {
  for (std::size_t i = 0; i < sizeof(kSignals) / sizeof(kSignals[0]); ++i) {
    sigaction(kSignals[i], &former[i], nullptr);
  }
  stack_t none = {};
  none.ss_flags = SS_DISABLE;
  sigaltstack(&none, nullptr);
}

#else

CrashGuard::CrashGuard(std::string, int) {}
CrashGuard::~CrashGuard() {}

#endif

}  // namespace runner
