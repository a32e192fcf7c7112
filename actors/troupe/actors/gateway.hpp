#pragma once

#include <troupe/messages/messages.hpp>

namespace troupe {

/// Starts the actor that carries requests of host threads to the supervisor and calls back with the
/// answers. A request that an ending actor did not read is sent again, a few times.
gateway_actor spawn_gateway(caf::actor_system& system, supervisor_actor supervisor);

}  // namespace troupe
