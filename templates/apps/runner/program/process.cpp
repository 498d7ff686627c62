#include "program/process.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RUNNER_IS_PLAIN 1
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#endif

namespace runner {

#ifdef RUNNER_IS_PLAIN
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
// What libtorch allocates before main() to register its operators is about as much.
constexpr std::size_t kHeap = std::size_t{48} << 20;

// Before any library is initialized: the heap begins with huge pages, for otherwise libtorch runs
// into 12,000 page faults, a sixth of the time to the first output. Where the system has none,
// nothing changes but the heap's steps. The thresholds are those that malloc itself arrives at once
// a large tensor was freed.
void prepare_heap(int, char**, char**) {
  mallopt(M_TOP_PAD, static_cast<int>(kHeap));
  mallopt(M_MMAP_THRESHOLD, static_cast<int>(kHeap / 3 * 2));
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(kHeap / 3 * 4));
  const auto begin = reinterpret_cast<std::uintptr_t>(std::malloc(1));
  const auto end = reinterpret_cast<std::uintptr_t>(sbrk(0));
  const auto first = (begin + kHugePage - 1) / kHugePage * kHugePage;
  mallopt(M_TOP_PAD, 1 << 20);
  if (begin < first && first < end) {  // else malloc is somebody else's
    madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
  }
}

__attribute__((section(".preinit_array"), used)) void (*const preparation)(int, char**,
                                                                           char**) = prepare_heap;

}  // namespace
#endif

void leave(int code) {
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
#ifdef RUNNER_IS_PLAIN
  if (std::getenv("LD_PRELOAD") == nullptr)
    std::_Exit(code);  // else a profiler may have something to write
#endif
  std::exit(code);
}

}  // namespace runner
