#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

/// Chance that is the same with every compiler and library: the distributions of <random> are not.
namespace troupe::simulate {

/// One step of SplitMix64: spreads a seed, or hashes a number.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// xoshiro256**. A value; one thread.
class random_source {
public:
  explicit random_source(std::uint64_t seed) noexcept {
    for (auto& word : words_)
      word = seed = mix(seed);
  }

  std::uint64_t next() noexcept {
    const auto rotated = [](std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); };
    const auto out = rotated(words_[1] * 5, 7) * 9;
    const auto shifted = words_[1] << 17;
    words_[2] ^= words_[0];
    words_[3] ^= words_[1];
    words_[1] ^= words_[2];
    words_[0] ^= words_[3];
    words_[2] ^= shifted;
    words_[3] = rotated(words_[3], 45);
    return out;
  }

  /// In [0, 1).
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// In [0, bound). REQUIRES: bound > 0.
  std::uint64_t below(std::uint64_t bound) noexcept {
    return static_cast<std::uint64_t>(unit() * static_cast<double>(bound));
  }
  bool chance(double p) noexcept { return unit() < p; }
  /// With this mean; 0 for a mean of 0.
  double exponential(double mean) noexcept { return -mean * std::log1p(-unit()); }
  /// 0, 1, 2 ... with this mean, each as likely to be followed by one more.
  std::uint64_t geometric(double mean) noexcept {
    if (mean <= 0)
      return 0;
    return static_cast<std::uint64_t>(std::log1p(-unit()) / std::log(mean / (1 + mean)));
  }
  /// The fraction of a whole and one more with the rest's chance: 2.3 is 2 or, three times in ten,
  /// 3.
  std::uint64_t times(double mean) noexcept {
    const auto whole = std::floor(mean);
    return static_cast<std::uint64_t>(whole) + (chance(mean - whole) ? 1 : 0);
  }

private:
  std::array<std::uint64_t, 4> words_{};
};

/// A distribution as its quantiles at equal steps from 0 to 1, read between them on a logarithmic
/// scale, as sizes and waits are distributed.
class quantiles {
public:
  quantiles() = default;
  /// REQUIRES: at least one, ascending, none negative.
  explicit quantiles(std::vector<double> at) : at_{std::move(at)} {}

  [[nodiscard]] double draw(random_source& random) const noexcept {
    if (at_.size() < 2)
      return at_.empty() ? 0 : at_.front();
    const auto where = random.unit() * static_cast<double>(at_.size() - 1);
    const auto low = static_cast<std::size_t>(where);
    const auto part = where - static_cast<double>(low);
    return std::expm1(std::log1p(at_[low]) * (1 - part) + std::log1p(at_[low + 1]) * part);
  }

  /// By drawing: the scale between the quantiles is not the one that means are made of.
  [[nodiscard]] double mean() const noexcept {
    random_source random{1};
    double sum = 0;
    constexpr int draws = 20'000;
    for (int i = 0; i < draws; ++i)
      sum += draw(random);
    return sum / draws;
  }

  [[nodiscard]] std::span<const double> values() const noexcept { return at_; }
  friend bool operator==(const quantiles&, const quantiles&) = default;

private:
  std::vector<double> at_;
};

/// Zipf's law over 0 .. size-1, 0 the most popular, by inversion of the continuous law that it
/// approximates: no table, so a million and a million and one cost the same.
class zipf {
public:
  explicit zipf(double exponent) noexcept
      : power_{1 - (std::abs(exponent - 1) < 1e-6 ? 1 - 1e-6 : exponent)} {}

  /// REQUIRES: size > 0.
  [[nodiscard]] std::uint64_t draw(random_source& random, std::uint64_t size) const noexcept {
    const auto n = static_cast<double>(size);
    const auto top = std::pow(n + 1, power_) - 1;
    const auto x = std::pow(random.unit() * top + 1, 1 / power_) - 1;
    return std::min(static_cast<std::uint64_t>(x < 0 ? 0 : x), size - 1);
  }

private:
  double power_;
};

}  // namespace troupe::simulate
