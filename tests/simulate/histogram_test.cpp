#include "simulate/histogram.hpp"

#include "simulate/random.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace troupe::simulate;

TEST_CASE("quantiles of a histogram are those of the sorted values to one part in 64") {
  histogram h;
  std::vector<std::uint64_t> all;
  random_source random{9};
  for (int i = 0; i < 50'000; ++i) {
    all.push_back(static_cast<std::uint64_t>(std::exp(random.unit() * 25)));
    h.add(all.back());
  }
  std::ranges::sort(all);
  for (const double part : {0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = std::max<std::size_t>(
        1, static_cast<std::size_t>(part * static_cast<double>(all.size()) + 0.5));
    const auto exact = all[rank - 1];
    CHECK(h.at(part) >= exact);
    CHECK(static_cast<double>(h.at(part)) <= static_cast<double>(exact) * (1 + 1.0 / 64) + 1);
  }
  CHECK(h.highest() == all.back());
  CHECK(h.total() == all.size());
}

TEST_CASE("a histogram's buckets hold every value once and two of them add up") {
  histogram a, b;
  for (const std::uint64_t ns : {0ull, 1ull, 63ull, 64ull, 127ull, 128ull, 1'000'000ull, ~0ull})
    a.add(ns);
  b.add(64, 10);
  a += b;
  std::uint64_t sum = 0, before = 0;
  for (const auto& one : a.buckets()) {
    CHECK((one.up_to_ns > before || sum == 0));
    before = one.up_to_ns;
    sum += one.count;
  }
  CHECK(sum == 18);
  CHECK(a.at(0.5) == 64);
  CHECK(a.at(1.0) >= (1ull << 42) - 1);
  CHECK(histogram{}.at(0.99) == 0);
}
