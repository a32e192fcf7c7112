#pragma once

/// What the cache is built of: stable numbered places, and chains through them. Not installed.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace troupe::internal {

inline constexpr std::uint32_t none = UINT32_MAX;

/// An array in chunks: growing moves nothing, so it takes no longer at a million. Chunks double up
/// to the full size, so that a cache of a handful of entries is small.
template <class T>
class chunked {
public:
  [[nodiscard]] T& operator[](std::size_t at) noexcept {
    const auto where = place_of(at);
    return chunks_[where.chunk][where.offset];
  }
  [[nodiscard]] const T& operator[](std::size_t at) const noexcept {
    const auto where = place_of(at);
    return chunks_[where.chunk][where.offset];
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// Makes room for one chunk more, of default values.
  void grow() {
    const auto more = capacity_ == 0 ? first : capacity_ < full ? capacity_ : full;
    chunks_.push_back(std::make_unique<T[]>(more));
    capacity_ += more;
  }

private:
  static constexpr std::size_t first = 16, full = 256;
  static constexpr std::size_t small_chunks = 5;  // 16, 16, 32, 64, 128: together one full chunk

  struct position {
    std::size_t chunk, offset;
  };
  static position place_of(std::size_t at) noexcept {
    if (at >= full)
      return {at / full + small_chunks - 1, at % full};
    if (at < first)
      return {0, at};
    return {static_cast<std::size_t>(std::bit_width(at)) - 4, at - std::bit_floor(at)};
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t capacity_ = 0;
};

/// Places 0, 1, 2 ..., given out and taken back. T has a `next`, by which free places are chained;
/// the last one freed is the first taken.
template <class T>
class pool {
public:
  [[nodiscard]] T& operator[](std::uint32_t at) noexcept { return places_[at]; }
  [[nodiscard]] const T& operator[](std::uint32_t at) const noexcept { return places_[at]; }

  [[nodiscard]] std::uint32_t take() {
    if (free_ != none) {
      const auto out = free_;
      free_ = places_[out].next;
      return out;
    }
    if (used_ == places_.capacity())
      places_.grow();
    return used_++;
  }

  void give_back(std::uint32_t at) {
    places_[at] = T{};
    places_[at].next = free_;
    free_ = at;
  }

  [[nodiscard]] std::size_t memory() const noexcept { return places_.capacity() * sizeof(T); }

private:
  chunked<T> places_;
  std::uint32_t used_ = 0;
  std::uint32_t free_ = none;
};

/// A doubly linked chain through the `prev` and `next` of a pool's places. The front is the newest.
struct chain {
  std::uint32_t front = none;
  std::uint32_t back = none;

  template <class Nodes>
  void push_front(Nodes& nodes, std::uint32_t at) noexcept {
    nodes[at].prev = none;
    nodes[at].next = front;
    (front == none ? back : nodes[front].prev) = at;
    front = at;
  }

  template <class Nodes>
  void erase(Nodes& nodes, std::uint32_t at) noexcept {
    const auto before = nodes[at].prev, after = nodes[at].next;
    (before == none ? front : nodes[before].next) = after;
    (after == none ? back : nodes[after].prev) = before;
  }
};

}  // namespace troupe::internal
