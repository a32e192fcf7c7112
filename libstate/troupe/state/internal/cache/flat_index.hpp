#pragma once

/// A hash table from 32 bits of a hash to the number of a place. Not installed.

#include <troupe/state/internal/cache/pool.hpp>

#include <bit>
#include <cstdint>
#include <vector>

namespace troupe::internal {

/// Open addressing, linear probing, eight bytes a cell; deleting moves what follows back, so there
/// are no tombstones and a look-up never gets slower with age. The home of a hash is given by its
/// highest bits: growing reads and writes the cells in order, without looking at what they stand
/// for. At most three quarters full.
class flat_index {
public:
  /// The place with this hash that `same(place)` accepts, or `none`.
  template <class Same>
  [[nodiscard]] std::uint32_t find(std::uint32_t hash, Same&& same) const {
    if (cells_.empty())
      return none;
    for (auto at = home(hash); cells_[at].place != none; at = after(at)) {
      if (cells_[at].hash == hash && same(cells_[at].place))
        return cells_[at].place;
    }
    return none;
  }

  /// REQUIRES: the place is not in it.
  void insert(std::uint32_t hash, std::uint32_t place) {
    if (4 * (size_ + 1) > 3 * cells_.size())
      grow();
    put({hash, place});
    ++size_;
  }

  /// REQUIRES: the place is in it, with this hash.
  void erase(std::uint32_t hash, std::uint32_t place) noexcept {
    auto hole = home(hash);
    while (cells_[hole].place != place)
      hole = after(hole);
    for (auto at = after(hole); cells_[at].place != none; at = after(at)) {
      // What stands behind may fill the hole when its home is not between the hole and itself.
      if (distance(home(cells_[at].hash), at) >= distance(hole, at)) {
        cells_[hole] = cells_[at];
        hole = at;
      }
    }
    cells_[hole] = {};
    --size_;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t memory() const noexcept { return cells_.capacity() * sizeof(cell); }

private:
  struct cell {
    std::uint32_t hash = 0;
    std::uint32_t place = none;
  };

  [[nodiscard]] std::size_t home(std::uint32_t hash) const noexcept { return hash >> shift_; }
  [[nodiscard]] std::size_t after(std::size_t at) const noexcept {
    return (at + 1) & (cells_.size() - 1);
  }
  [[nodiscard]] std::size_t distance(std::size_t from, std::size_t to) const noexcept {
    return (to - from) & (cells_.size() - 1);
  }

  void put(cell what) noexcept {
    auto at = home(what.hash);
    while (cells_[at].place != none)
      at = after(at);
    cells_[at] = what;
  }

  void grow() {
    std::vector<cell> old(cells_.empty() ? 16 : 2 * cells_.size());
    old.swap(cells_);
    shift_ = 32 - std::countr_zero(cells_.size());
    for (const auto& c : old) {
      if (c.place != none)
        put(c);
    }
  }

  std::vector<cell> cells_;
  std::size_t size_ = 0;
  int shift_ = 28;
};

}  // namespace troupe::internal
