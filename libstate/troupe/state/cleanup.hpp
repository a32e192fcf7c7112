#pragma once

#include <troupe/state/ids.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace troupe {

/// Deletes what nobody needs any more. Each deletion is a command like any other: a change in the
/// journal, refused when the entity was changed meanwhile.
struct cleanup {
  std::string name_space = "default";
  std::vector<entity_kind> kinds{entity_kind::session};  ///< in this order
  /// Goes when it was not changed so long. An entity with a ttl of its own goes by that instead.
  /// 0: only those with a ttl.
  std::chrono::milliseconds max_age{0};
  std::string tag{};  ///< only those that have it; empty: all
};

/// Of one walk. What was spared is looked at again by the next.
struct cleanup_report {
  std::uint64_t looked_at = 0;  ///< entities whose header was read
  std::uint64_t deleted = 0;
  std::uint64_t awake = 0;    ///< old enough and spared: used within `runtime_options::idle`
  std::uint64_t forked = 0;   ///< and spared: a live fork can still be merged into it
  std::uint64_t changed = 0;  ///< and spared: changed since the walk saw it
  std::uint64_t failed = 0;   ///< the deletion was refused, as by `busy` or `store_failed`
  friend bool operator==(const cleanup_report&, const cleanup_report&) = default;
};

/// Cleans up again and again.
struct cleanup_policy {
  cleanup what{};
  std::chrono::milliseconds every{600'000};  ///< from the end of one walk to the next
};

}  // namespace troupe
