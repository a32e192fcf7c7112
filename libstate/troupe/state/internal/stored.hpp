#pragma once

/// How facts are read from the values of entries: what is missing or of another type reads as
/// empty, so that a damaged or hostile snapshot is never a fault of its reader. Not installed.

#include <troupe/state/time.hpp>
#include <troupe/state/value.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::internal {

/// The time to read sections by that never expire: all but the key-value state.
inline constexpr timestamp always{};

/// Of a policy; then: `invalid_value`, and one that was imported with more keeps so many. Who reads
/// an earlier revision has that many changes read and applied, while others wait for the store.
inline constexpr std::uint64_t max_keep_revisions = 10'000;

inline std::string text_at(value_view map, std::string_view key) {
  const auto found = map.find(key);
  return std::string{found ? found->as_string().value_or("") : ""};
}

inline std::uint64_t number_at(value_view map, std::string_view key) {
  const auto found = map.find(key);
  return found ? found->as_uint64().value_or(0) : 0;
}

}  // namespace troupe::internal
