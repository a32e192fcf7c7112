#pragma once

#include <troupe/actors/directory.hpp>
#include <troupe/messages/messages.hpp>

#include <functional>
#include <memory>

namespace troupe {

/// Where the time comes from; tests bring their own.
using clock_source = std::function<timestamp()>;

inline constexpr std::size_t max_commands_in_flight = 64;  // of one session; then: busy

struct session_options {
  entity_ref entity;
  store_actor store;
  supervisor_actor supervisor;
  std::shared_ptr<published_state> published;
  clock_source now;
};

/// Starts the one live writer of a session. It loads its state from the store first; requests wait
/// meanwhile.
session_actor spawn_session(caf::actor_system& system, session_options options);

}  // namespace troupe
