#pragma once

#include <troupe/messages/messages.hpp>

namespace troupe {

/// Starts the actor that carries requests of host threads to the supervisor and calls back with
/// the answers. What an actor did not read before it crashed is answered `busy`: nothing was
/// written. It is not sent again, since it would overtake what the host sent after it.
gateway_actor spawn_gateway(caf::actor_system& system, supervisor_actor supervisor);

}  // namespace troupe
