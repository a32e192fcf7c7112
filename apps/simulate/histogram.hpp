#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace troupe::simulate {

/// Counts durations in nanoseconds, each to better than one part in 64, from 1 ns to 36 minutes
/// and more, in 19 KiB: a histogram of high dynamic range. A value; one thread.
class histogram {
public:
  void add(std::uint64_t ns, std::uint64_t times = 1) noexcept {
    counts_[index_of(ns)] += times;
    total_ += times;
    sum_ += static_cast<double>(ns) * static_cast<double>(times);
    highest_ = std::max(highest_, ns);
  }

  histogram& operator+=(const histogram& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      counts_[i] += other.counts_[i];
    total_ += other.total_;
    sum_ += other.sum_;
    highest_ = std::max(highest_, other.highest_);
    return *this;
  }

  void clear() noexcept { *this = {}; }

  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
  [[nodiscard]] std::uint64_t highest() const noexcept { return highest_; }
  [[nodiscard]] double mean() const noexcept {
    return total_ == 0 ? 0 : sum_ / static_cast<double>(total_);
  }

  /// The least duration that at least this part of all does not exceed, at most one part in 64 too
  /// large; 0 where there is none. REQUIRES: 0 <= part <= 1.
  [[nodiscard]] std::uint64_t at(double part) const noexcept {
    auto left = static_cast<std::uint64_t>(part * static_cast<double>(total_) + 0.5);
    left = left == 0 ? 1 : left;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] >= left)
        return std::min(upper_of(i), highest_);
      left -= counts_[i];
    }
    return highest_;
  }

  struct bucket {
    std::uint64_t up_to_ns, count;
  };
  /// Those that hold something, ascending.
  [[nodiscard]] std::vector<bucket> buckets() const {
    std::vector<bucket> out;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if (counts_[i] > 0)
        out.push_back({upper_of(i), counts_[i]});
    return out;
  }

private:
  static constexpr unsigned bits = 6;  // 64 steps in each doubling
  static constexpr unsigned doublings = 36;

  static constexpr std::size_t index_of(std::uint64_t ns) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(ns));
    if (width <= bits)
      return static_cast<std::size_t>(ns);
    const auto shift = width - bits - 1;
    if (shift >= doublings)
      return (std::size_t{doublings} << bits) + (std::size_t{1} << bits) - 1;
    return (std::size_t{shift + 1} << bits)
           + static_cast<std::size_t>((ns >> shift) - (1u << bits));
  }
  static constexpr std::uint64_t upper_of(std::size_t index) noexcept {
    const auto step = index >> bits;
    const auto part = static_cast<std::uint64_t>(index & ((1u << bits) - 1));
    if (step == 0)
      return part;
    return ((part + (1u << bits) + 1) << (step - 1)) - 1;
  }

  std::array<std::uint64_t, (std::size_t{doublings} + 1) << bits> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t highest_ = 0;
  double sum_ = 0;
};

}  // namespace troupe::simulate
