#pragma once

/// One change set on its way. Not installed.

#include <troupe/actors/scope.hpp>
#include <troupe/messages/messages.hpp>

namespace troupe::internal {

/// Starts the actor that carries out one set and ends with its answer. Errors of the set: those of
/// `checked_order`, of its commands (`refusal_of`), of the supervisor and of the store.
set_actor spawn_set(caf::actor_system& system, supervisor_actor supervisor, store_actor store,
                    clock_source now);

}  // namespace troupe::internal
