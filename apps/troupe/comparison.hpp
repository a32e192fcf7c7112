#pragma once

#include <troupe/state/value.hpp>

#include "troupe/conversations.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace troupe::cli {

/// What came back, held against what was written. Values of different types differ, as do texts by
/// one byte, -0.0 and 0.0; the order of a map's keys does not matter.
struct comparison {
  std::uint64_t sessions = 0;
  std::uint64_t items = 0;         ///< compared, each with its number and its fields
  std::uint64_t bytes = 0;         ///< of their fields, as msgpack
  std::uint64_t extra = 0;         ///< items behind the expected ones, where these are allowed
  std::uint64_t mismatches = 0;    ///< items and sessions that are not as they should be
  std::vector<std::string> first;  ///< some of them in words, safe for a terminal
  bool complete = false;           ///< not cut short by Ctrl-C
  std::chrono::nanoseconds elapsed{};

  static constexpr std::size_t max_described = 10;

  void mismatch(const std::string& session, std::string what);
  comparison& operator+=(const comparison& other);
};

enum class extra_items : bool { forbidden, allowed };

/// Compares one session as its items come, in their order.
class session_check {
public:
  /// The first `count` messages of `told` are expected. Both arguments outlive this.
  session_check(comparison& result, const conversation& told, std::size_t count, extra_items extra);

  void user(std::string_view found);
  void item(std::uint64_t seq, value_view fields);
  void finish();
  void missing();  ///< there is no such session; instead of `finish`

private:
  comparison& result_;
  const conversation& told_;
  std::size_t count_;
  extra_items extra_;
  std::size_t found_ = 0;
};

/// Where two values differ first, as a JSON pointer and the two values there, shortened. Empty when
/// they are equal.
[[nodiscard]] std::string first_difference(value_view expected, value_view found);

}  // namespace troupe::cli
