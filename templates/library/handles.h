// Numbers that stand for things, so that one that is gone is known from one that is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace tsl_library {

// Each number has a kind (2 bits), a generation (26 bits) and a place in a table (24 bits), so it
// fits into a double. A place that is used again has another generation; the first one differs from
// library to library.
template <typename T>
class Handles {
 public:
  explicit Handles(std::uint64_t kind)
      : kind_(kind),
        first_((reinterpret_cast<std::uintptr_t>(this) >> 4) * 2654435761u & kMostGenerations) {}

  // 0 if there are too many.
  std::uint64_t add(std::shared_ptr<T> thing) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) {
      if (slots_.size() == kMostSlots) return 0;
      // So that remove() never fails.
      if (free_.capacity() <= slots_.size()) free_.reserve(2 * slots_.size() + 16);
      slots_.push_back({nullptr, first_});
      free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
    }
    const std::uint32_t place = free_.back();
    free_.pop_back();
    slots_[place].thing = std::move(thing);
    return kind_ << 50 | slots_[place].generation << 24 | place;
  }

  // Null if the number stands for nothing.
  std::shared_ptr<T> find(std::uint64_t number) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::size_t place = place_of(number);
    return place == kNowhere ? nullptr : slots_[place].thing;
  }

  // What it stood for; null if nothing.
  std::shared_ptr<T> remove(std::uint64_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const std::size_t place = place_of(number);
    if (place == kNowhere) return nullptr;
    std::shared_ptr<T> thing = std::move(slots_[place].thing);
    slots_[place].thing = nullptr;
    slots_[place].generation = (slots_[place].generation + 1) & kMostGenerations;
    free_.push_back(static_cast<std::uint32_t>(place));
    return thing;
  }

 private:
  struct Slot {
    std::shared_ptr<T> thing;
    std::uint64_t generation;
  };

  static const std::uint64_t kMostGenerations = (1u << 26) - 1;
  static const std::size_t kMostSlots = 1u << 24;
  static const std::size_t kNowhere = ~static_cast<std::size_t>(0);

  std::size_t place_of(std::uint64_t number) const {
    const std::size_t place = number & (kMostSlots - 1);
    if (number >> 50 != kind_ || place >= slots_.size()) return kNowhere;
    const Slot& slot = slots_[place];
    const bool same = (number >> 24 & kMostGenerations) == slot.generation;
    return same && slot.thing ? place : kNowhere;
  }

  const std::uint64_t kind_;
  const std::uint64_t first_;
  mutable std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace tsl_library
