#pragma once

/// Random values for properties. `holds` runs one; the seed is printed and RC_PARAMS="seed=..."
/// repeats it.

#include "naive.hpp"
#include "printing.hpp"
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

/// `holds("an append adds", [](std::uint8_t x) { RC_ASSERT(...); });`
template <class F>
void holds(const std::string& what, F&& property) {
  CHECK_MESSAGE(rc::check(what, std::forward<F>(property)), "property does not hold: ", what);
}

inline void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6), put(0x80 | (c & 63));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
  } else {
    put(0xf0 | c >> 18), put(0x80 | (c >> 12 & 63)), put(0x80 | (c >> 6 & 63)),
        put(0x80 | (c & 63));
  }
}

/// Text with all that is hard about text: NUL, quotes, control characters, every length of UTF-8.
inline rc::Gen<std::string> any_text() {
  using namespace rc;
  const auto point = gen::oneOf(
      gen::inRange<std::uint32_t>('a', 'f'), gen::inRange<std::uint32_t>(0, 0x80),
      gen::element<std::uint32_t>(0, '"', '\\', '/', '~', 0x1f, 0x20, 0x7f, 0x80, 0x7ff, 0x800,
                                  0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff),
      gen::inRange<std::uint32_t>(0x80, 0xd800), gen::inRange<std::uint32_t>(0xe000, 0x110000));
  return gen::map(gen::scale(0.5, gen::container<std::vector<std::uint32_t>>(point)),
                  [](const auto& points) {
                    std::string out;
                    for (const auto c : points)
                      append_utf8(out, c);
                    return out;
                  });
}

inline rc::Gen<double> any_real() {
  using namespace rc;
  const auto bits =
      gen::map(gen::resize(100, gen::inRange<std::uint64_t>(0, ~0ull)), [](std::uint64_t x) {
        const auto out = std::bit_cast<double>(x);
        return std::isfinite(out) ? out : 0.5;
      });
  return gen::oneOf(bits, gen::element(0.0, -0.0, 1.0, -1.0, 0.1, 1e300, 5e-324, 1e21, 1e22,
                                       123456789012345680000.0, 9007199254740993.0,
                                       1.7976931348623157e308, 2.2250738585072014e-308));
}

inline rc::Gen<value> any_integer() {
  using namespace rc;
  using edges = std::numeric_limits<std::int64_t>;
  const auto near = gen::map(
      gen::pair(gen::inRange(0, 64), gen::inRange(-2, 3)),
      [](const auto& x) { return (1ull << x.first) + static_cast<std::uint64_t>(x.second); });
  return gen::oneOf(
      gen::map(near, [](std::uint64_t x) { return value{x}; }),
      gen::map(near, [](std::uint64_t x) { return value{static_cast<std::int64_t>(x)}; }),
      gen::map(gen::arbitrary<std::int64_t>(), [](std::int64_t x) { return value{x}; }),
      gen::element(value{edges::min()}, value{edges::max()}, value{~0ull}));
}

inline rc::Gen<value> any_scalar() {
  using namespace rc;
  return gen::oneOf(gen::just(value{}),
                    gen::map(gen::arbitrary<bool>(), [](bool x) { return value{x}; }),
                    any_integer(), gen::map(any_real(), [](double x) { return value{x}; }),
                    gen::map(any_text(), [](const std::string& x) { return value{x}; }));
}

/// A few short keys, so that maps meet each other's.
inline rc::Gen<std::string> any_key() {
  return rc::gen::oneOf(rc::gen::element<std::string>("a", "b", "c", "", "__proto__", "a/b~c"),
                        any_text());
}

inline members unique_members(const std::vector<std::pair<std::string, value>>& from) {
  std::set<std::string> seen;
  members out;
  for (const auto& x : from) {
    if (seen.insert(x.first).second)
      out.push_back(x);
  }
  return out;
}

inline rc::Gen<value> any_value(int depth = 3);

inline rc::Gen<value> any_map(int depth = 3) {
  using namespace rc;
  return gen::map(gen::resize(5, gen::container<std::vector<std::pair<std::string, value>>>(
                                     gen::pair(any_key(), any_value(depth - 1)))),
                  [](const auto& entries) { return map_of(unique_members(entries)); });
}

/// Anything JSON can say. (JSON has no binary.)
inline rc::Gen<value> any_value(int depth) {
  using namespace rc;
  if (depth <= 0)
    return any_scalar();
  return gen::oneOf(
      any_scalar(),
      gen::map(gen::resize(6, gen::container<std::vector<value>>(any_value(depth - 1))),
               [](const std::vector<value>& items) { return array_of(items); }),
      any_map(depth));
}

}  // namespace troupe::testing

template <>
struct rc::Arbitrary<troupe::value> {
  static Gen<troupe::value> arbitrary() { return troupe::testing::any_value(); }
};
