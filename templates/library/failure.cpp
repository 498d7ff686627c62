#include "failure.h"

#include <atomic>
#include <mutex>
#include <new>

#include "engines/failures.h"
#include "program/error.h"

#ifndef _WIN32
#include <pthread.h>
#endif

namespace tsl_library {
namespace {

std::string& last_error() {
  thread_local std::string text;
  return text;
}

std::atomic<bool> is_fork{false};

// The runner's messages speak of a program and its options; these are fields of tsl_options here.
std::string of_library(std::string text) {
  const std::string program = "this program";
  for (std::size_t at = 0; (at = text.find(program, at)) != std::string::npos;) {
    text.replace(at, program.size(), "this library");
  }
  for (std::size_t at = 0; (at = text.find("--", at)) != std::string::npos;) {
    const bool begins = at == 0 || text[at - 1] == ' ';
    if (begins) text.erase(at, 2);
    at += begins ? 0 : 2;
  }
  return text;
}

int keep(int status, const std::string& text) {
  last_error() = text;
  return status;
}

}  // namespace

int fail() noexcept {
  try {
    try {
      throw;
    } catch (const Failure& failure) {
      return keep(failure.status, failure.text);
    } catch (const runner::Error& error) {
      const std::string hint = error.hint.empty() ? "" : " (" + error.hint + ")";
      return keep(error.code, of_library(error.what() + hint));
    } catch (const std::bad_alloc&) {
      return keep(TSL_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception& exception) {
      const std::string text = runner::essential_line(runner::message_of(exception));
      const bool full = text.find("not enough memory") != std::string::npos ||
                        text.find("out of memory") != std::string::npos;
      return keep(full ? TSL_OUT_OF_MEMORY : TSL_INTERNAL, text);
    } catch (...) {
      return keep(TSL_INTERNAL, "something was thrown that is no exception");
    }
  } catch (...) {  // no memory for the text
    last_error().clear();
    return TSL_OUT_OF_MEMORY;
  }
}

void watch_forks() {
#ifndef _WIN32
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, [] { is_fork = true; }); });
#endif
}

void refuse_fork() {
  if (is_fork) {
    throw Failure{TSL_FORKED,
                  "this process is a fork of one that had opened a model, whose threads it lacks: "
                  "fork first and open the model then, or start a new process"};
  }
}

}  // namespace tsl_library

const char* tsl_last_error(void) { return tsl_library::last_error().c_str(); }
