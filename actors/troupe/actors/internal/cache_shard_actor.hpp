#pragma once

/// The one writer of a shard of the result cache. Not installed.

#include <troupe/actors/internal/cache_shard.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

namespace troupe::internal {

inline constexpr std::size_t max_cache_tags = 64;            // of an entry; then: too_many_elements
inline constexpr std::size_t max_cache_label_bytes = 1'024;  // of one label; then: too_large
inline constexpr std::size_t sweep_slice =
    1'000;  // entries that go at once; then: the next message
inline constexpr std::size_t sweep_under_lock = 100;    // of them while readers wait
inline constexpr std::size_t max_save_keys = 500;       // of one save; then: the next
inline constexpr std::size_t max_save_bytes = 1 << 20;  // of one save, about; then: the next

struct cache_shard_actor_options {
  std::shared_ptr<cache_shard> entries;  ///< shared with readers
  std::function<timestamp()> now;
  std::optional<std::chrono::milliseconds> default_ttl{};
  std::size_t compress_from = SIZE_MAX;
  bool content_invalidation = true;
  std::chrono::milliseconds sweep_interval{5'000};
  std::chrono::milliseconds save_interval{500};
  cache_store_actor store{};  ///< none: nothing is saved; else entries of the last run are awaited
};

cache_shard_actor spawn_cache_shard(caf::actor_system& system, cache_shard_actor_options options);

}  // namespace troupe::internal
