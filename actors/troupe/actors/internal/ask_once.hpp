#pragma once

/// One question from a host thread to an actor that is not the gateway. Not installed.

#include <troupe/messages/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include <utility>

namespace troupe::internal {

/// Calls `done` on a runtime thread: with the answer, or with what `from_caf` makes of the error.
/// The one who asks is an actor that lives as long as the question.
template <class Answer, class Handle, class Message>
void ask_once(caf::actor_system& system, const Handle& whom, Message what,
              completion<Answer> done) {
  system.spawn([whom, what = std::move(what), done](caf::event_based_actor* self) {
    compat::request(self, whom, what)
        .then([done](const Answer& answer) { done(answer); },
              [done](const caf::error& why) { done(tl::unexpected(from_caf(why))); });
  });
}

}  // namespace troupe::internal
