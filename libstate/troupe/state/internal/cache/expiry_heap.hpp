#pragma once

/// Which entry expires next. Not installed.

#include <troupe/state/internal/cache/pool.hpp>

#include <cstddef>
#include <cstdint>

namespace troupe::internal {

/// A 4-ary heap by time, then by the order of writing. Entries that never expire are not in it.
/// O(log n), O(1) for the next. (The order is 32 bits wide: after four thousand million writes
/// within a cache, entries of one millisecond may go in another order.)
class expiry_heap {
public:
  /// REQUIRES: the place is not in it.
  void insert(std::uint32_t place, std::int64_t at, std::uint32_t order);
  /// Does nothing when the place is not in it.
  void erase(std::uint32_t place) noexcept;

  /// The next that is due, or `none`.
  [[nodiscard]] std::uint32_t due(std::int64_t now) const noexcept {
    return size_ == 0 || heap_[0].at > now ? none : heap_[0].place;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t memory() const noexcept {
    return heap_.capacity() * sizeof(item) + slots_.capacity() * sizeof(slot);
  }

  /// Whether the place is in it with this time, and no child before its parent. For checks.
  [[nodiscard]] bool holds(std::uint32_t place, std::int64_t at) const noexcept;

private:
  struct item {
    std::int64_t at;
    std::uint32_t order;
    std::uint32_t place;
  };
  struct slot {
    std::uint32_t position = none;
  };
  static bool before(const item& a, const item& b) noexcept {
    return a.at != b.at ? a.at < b.at : a.order < b.order;
  }
  void put(std::size_t position, const item& what) noexcept;
  void rise(std::size_t position, item what) noexcept;
  void sink(std::size_t position, item what) noexcept;

  chunked<item> heap_;
  std::size_t size_ = 0;
  chunked<slot> slots_;  // of each place; apart from the entries, so that a move touches few lines
};

}  // namespace troupe::internal
