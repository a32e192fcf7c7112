#pragma once

#include <troupe/actors/directory.hpp>
#include <troupe/actors/session.hpp>
#include <troupe/messages/messages.hpp>

#include <memory>

namespace troupe {

struct supervisor_options {
  store_actor store;
  std::shared_ptr<directory> live;  ///< shared with readers; the supervisor alone changes it
  clock_source now;
};

/// Starts the one actor that wakes sessions, hands requests on to them and restarts what crashed.
supervisor_actor spawn_supervisor(caf::actor_system& system, supervisor_options options);

}  // namespace troupe
