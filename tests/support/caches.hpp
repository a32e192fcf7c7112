#pragma once

/// Keys and traces for tests and benchmarks of the cache.

#include <troupe/state/cache.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace troupe::testing {

/// A key for a number: mixed as SHA-256 would mix it, and cheaper.
inline cache_key key_of(std::uint64_t n) {
  cache_key out;
  for (std::size_t i = 0; i < 4; ++i) {
    auto x = n * 4 + i + 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    x ^= x >> 31;
    std::memcpy(out.digest.bytes.data() + 8 * i, &x, 8);
  }
  return out;
}

/// Draws 0 .. n-1, number k with weight 1 / (k + 1)^s.
class zipf {
public:
  zipf(std::size_t n, double s) : sums_(n) {
    double sum = 0;
    for (std::size_t k = 0; k < n; ++k)
      sums_[k] = sum += 1 / std::pow(static_cast<double>(k + 1), s);
  }
  std::uint64_t operator()(std::mt19937_64& random) const {
    const auto x = static_cast<double>(random() >> 11) * 0x1p-53 * sums_.back();
    return static_cast<std::uint64_t>(std::lower_bound(sums_.begin(), sums_.end(), x)
                                      - sums_.begin());
  }

private:
  std::vector<double> sums_;
};

/// Requests of a skewed workload over `n` keys, s = 0.99, broken every 20 * n / 100 requests by a
/// scan of n / 10 keys that are never asked for again.
inline std::vector<std::uint64_t> zipf_with_scans(std::size_t n, std::size_t requests,
                                                  std::uint64_t seed) {
  const zipf draw{n, 0.99};
  std::mt19937_64 random{seed};
  std::vector<std::uint64_t> out;
  out.reserve(requests);
  std::uint64_t scanned = n;
  while (out.size() < requests) {
    for (std::size_t i = 0; i < n / 5; ++i)
      out.push_back(draw(random));
    for (std::size_t i = 0; i < n / 10; ++i)
      out.push_back(scanned++);
  }
  out.resize(requests);
  return out;
}

/// Hit ratio where every miss is followed by a set.
template <class Cache>
double hit_ratio_of(Cache& cache, const std::vector<std::uint64_t>& trace) {
  for (const auto n : trace) {
    if (!cache.get(key_of(n), {}))
      (void)cache.set(key_of(n), {.output = n}, {}, {});
  }
  return cache.stats().hit_ratio();
}

}  // namespace troupe::testing
