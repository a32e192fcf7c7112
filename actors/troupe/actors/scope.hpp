#pragma once

#include <troupe/actors/hooks.hpp>
#include <troupe/actors/live_entity.hpp>
#include <troupe/messages/messages.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

namespace troupe {

/// Where the time comes from; tests bring their own.
using clock_source = std::function<timestamp()>;

inline constexpr std::size_t max_commands_in_flight = 64;    // of one entity; then: busy
inline constexpr std::size_t max_unwritten_bytes = 1 << 20;  // of one entity's `memory` changes;
                                                             // then: they are sent to the journal
inline constexpr std::size_t max_relaxed_bytes = 1 << 20;    // answered and not synced, of all
                                                             // entities; then: as `durable`
inline constexpr std::int64_t max_relaxed_ms = 50;  // the same of one entity; then: as `durable`
inline constexpr std::size_t max_unfolded_changes = 64;  // of one that ends; then: they are folded

/// What all entities of a node share.
struct scope_surroundings {
  store_actor store;
  supervisor_actor supervisor;
  clock_source now;
  std::shared_ptr<const change_hooks> hooks{};   ///< may be null
  std::atomic<std::uint64_t> relaxed_bytes = 0;  ///< answered, not synced
};

/// Starts the one live writer of an entity of any scope. It loads its state from the store first;
/// requests wait meanwhile.
scope_actor spawn_scope(caf::actor_system& system, std::shared_ptr<live_entity> entity,
                        std::shared_ptr<scope_surroundings> around);

}  // namespace troupe
