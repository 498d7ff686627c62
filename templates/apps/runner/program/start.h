// What a program does before the libraries that it needs are initialized; included once, by the
// program's own source, for a shared library must not do that.
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || \
    __has_feature(thread_sanitizer)
#define RUNNER_HAS_A_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RUNNER_HAS_A_SANITIZER 1
#endif

#include <stdlib.h>

#if defined(__GLIBC__) && !defined(RUNNER_HAS_A_SANITIZER)
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

// The heap begins with huge pages, for otherwise libtorch, which allocates 50 MB to register its
// operators, runs into 12,000 page faults: a sixth of the time to the first output. Where the
// system has none, nothing changes but the steps in which the heap grows. The thresholds are those
// that malloc itself arrives at as soon as a large tensor is freed; they must be named, since it
// does not look for them any more once a step is set.
static void ts_prepare_heap(int, char**, char**) {
  const uintptr_t page = 2 << 20;
  const int size = 48 << 20;
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_TOP_PAD, size);
  const uintptr_t begin = (uintptr_t)malloc(1);
  const uintptr_t end = (uintptr_t)sbrk(0);
  mallopt(M_TOP_PAD, 1 << 20);
  const uintptr_t first = (begin + page - 1) / page * page;
  if (begin != 0 && first < end && end - begin <= 2 * (uintptr_t)size) {  // else malloc is another
    madvise((void*)first, end - first, MADV_HUGEPAGE);
  }
}

__attribute__((section(".preinit_array"),
               used)) static void (*const ts_preparation)(int, char**, char**) = ts_prepare_heap;
#endif
