#pragma once

/// What maintenance.cpp and faults.cpp see of a runtime. Not installed.

#include <troupe/actors/directory.hpp>
#include <troupe/messages/store_messages.hpp>

#include <functional>
#include <memory>

namespace troupe::internal {

struct node_parts {
  caf::actor_system& system;
  maintained_store_actor store;
  supervisor_actor supervisor;
  std::shared_ptr<const directory> live;
  std::shared_ptr<void> asking;   ///< `close` waits until its last copy is gone
  std::function<bool()> goes_on;  ///< false once the runtime closes
};

}  // namespace troupe::internal
