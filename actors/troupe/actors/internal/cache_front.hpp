#pragma once

/// The result cache to other actors. Not installed.

#include <troupe/messages/cache_messages.hpp>

#include <functional>
#include <vector>

namespace troupe::internal {

struct cache_front_options {
  std::vector<cache_shard_actor> shards;
  std::function<std::size_t(const cache_key&)> shard_of;
  std::function<result_cache_stats(const get_cache_stats&)> stats;
  cache_store_actor store{};  ///< none: nothing is loaded
};

/// Starts the actor that hands requests on to the shards, and what the last run saved. It ends when
/// a shard does.
cache_actor spawn_cache_front(caf::actor_system& system, cache_front_options options);

}  // namespace troupe::internal
