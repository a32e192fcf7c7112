#pragma once

/// The interface that every responder has, as an actor.

#include <troupe/messages/messages.hpp>
#include <troupe/runtime/runtime_actor.hpp>

#include "responders/responder.hpp"

namespace troupe::responders {

/// Answers one prompt; as many as it likes at a time. Must not block its thread while it waits.
/// Errors: those of `responder::ask`.
using responder_actor = caf::typed_actor<caf::result<reply>(prompt)>;

/// The system that a runtime's actors are in.
[[nodiscard]] inline caf::actor_system& system_of(const runtime& of) {
  return actor_of(of).home_system();
}

/// The handle of an actor that goes by `name`, which outlives it.
[[nodiscard]] responder handle_of(responder_actor who, const char* name);

}  // namespace troupe::responders

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::responders::prompt)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::responders::reply)

CAF_BEGIN_TYPE_ID_BLOCK(troupe_responders, ::troupe::first_host_type_id)
  CAF_ADD_TYPE_ID(troupe_responders, (troupe::responders::prompt))
  CAF_ADD_TYPE_ID(troupe_responders, (troupe::responders::reply))
  CAF_ADD_TYPE_ID(troupe_responders, (troupe::responders::responder_actor))
CAF_END_TYPE_ID_BLOCK(troupe_responders)
