#pragma once

#include <troupe/state/digest.hpp>
#include <troupe/state/value.hpp>

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// Names one cached result: a SHA-256 over everything the result depends on. Two keys are equal
/// just when every part is; nobody finds two parts that run into each other, and nobody reads the
/// request back from the key. A value. `to_hex(key.digest)` is its text.
struct cache_key {
  sha256 digest;

  friend auto operator<=>(const cache_key&, const cache_key&) = default;
  friend bool operator==(const cache_key&, const cache_key&) = default;
};

/// What a result depends on.
struct cache_key_parts {
  std::string_view name_space;
  std::optional<std::string_view> user;  ///< none: one result for all users of the namespace
  std::string_view agent;
  value_view request;      ///< order of map keys does not matter, types do
  value_view permissions;  ///< likewise: another set of permissions is another result
};

/// The key of these parts. Fixed for ever: keys stand on disk (the layout is version 1 of
/// `troupe/cache-key`). 1.3 us for a request of 1 KB.
[[nodiscard]] cache_key make_cache_key(const cache_key_parts& parts);

/// Where a result is kept: it is found under its key in its own namespace and in no other.
struct cache_id {
  std::string name_space;
  cache_key key;

  friend bool operator==(const cache_id&, const cache_id&) = default;
};

[[nodiscard]] cache_id make_cache_id(const cache_key_parts& parts);

}  // namespace troupe
