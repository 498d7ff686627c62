// The memory that small tensors lie in is kept for the next ones, by each thread for itself. malloc
// has no such lists for aligned memory, and takes a tenth of a small call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "values/torch_headers.h"

#if TORCH_AT_LEAST(2, 6)  // before it allocators are written otherwise
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#endif

namespace runner {

#if TORCH_AT_LEAST(2, 6)

// Each block begins with what tells its size, for a tensor may end in another thread.
class SmallBlocks final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t n) override {
    char* data = nullptr;
    if (n != 0) {
      const std::size_t units = (n - 1) / kUnit + 1;
      const std::size_t kind = units < kKinds ? units : 0;
      Kept& kept = of_this_thread()[kind];
      char* block = nullptr;
      if (kept.count != 0) {
        block = kept.blocks[--kept.count];
      } else {
        const bool is_sane = n < PTRDIFF_MAX - 2 * kUnit;  // else alloc_cpu refuses it
        block = static_cast<char*>(c10::alloc_cpu(is_sane ? (units + 1) * kUnit : n));
        std::memcpy(block, &kind, sizeof(kind));
      }
      data = block + kUnit;
    }
    return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

  void copy_data(void* target, const void* source, std::size_t n) const override {
    default_copy_data(target, source, n);
  }

 private:
  static constexpr std::size_t kUnit = 64;   // bytes; what libtorch aligns to
  static constexpr std::size_t kKinds = 17;  // by the number of units; 0 are large ones
  static constexpr std::size_t kMost = 8;    // of each kind

  struct Kept {
    std::size_t count;
    char* blocks[kMost];
  };

  static Kept* of_this_thread() {
    static thread_local Kept kept[kKinds];
    return kept;
  }

  static void give_back(void* data) {
    if (data == nullptr) return;
    char* const block = static_cast<char*>(data) - kUnit;
    std::size_t kind = 0;
    std::memcpy(&kind, block, sizeof(kind));
    Kept& kept = of_this_thread()[kind];
    if (kind != 0 && kept.count < kMost) {
      kept.blocks[kept.count++] = block;
    } else {
      c10::free_cpu(block);
    }
  }
};

// For the whole process, which must be our own.
inline void keep_small_blocks() {
  static SmallBlocks* const blocks = new SmallBlocks;
  c10::SetCPUAllocator(blocks, /*priority=*/1);
}

#else

inline void keep_small_blocks() {}

#endif

}  // namespace runner
