#pragma once

/// The hooks after a change. Not installed.

#include <troupe/actors/hooks.hpp>
#include <troupe/messages/event_messages.hpp>

#include <memory>
#include <vector>

namespace troupe::internal {

/// Starts an actor for each hook after a change. REQUIRES: filters that `check_filter` passes. Each
/// ends when its stream does: drain the hub, and wait for them; or when nobody
/// holds it any more.
std::vector<caf::actor> spawn_after_hooks(caf::actor_system& system, const event_hub_actor& hub,
                                          const std::shared_ptr<const commit_feed>& feed,
                                          const change_hooks& hooks);

}  // namespace troupe::internal
