#pragma once

#include <troupe/state/decide.hpp>
#include <troupe/state/expected.hpp>
#include <troupe/state/items.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {
class runtime;
}

/// Who answers the messages of a session. Each kind of responder is an actor behind one interface
/// (responder_actor.hpp); this is the way to it for those who are no actors.
namespace troupe::responders {

/// What is to be answered.
struct prompt {
  /// The session; its newest item is what is to be answered.
  std::shared_ptr<const entity_state> session{};
  std::size_t first = 0;  ///< index of the oldest item that counts
  timestamp now{};
  /// Called with each piece of the answer's text as it comes, on any thread; must not block. Empty:
  /// nobody listens.
  std::function<void(std::string_view)> on_text{};
};

/// The answer: not yet a part of the session.
struct reply {
  std::string text{};
  std::vector<tool_call> tool_calls{};  ///< what the agent is asked to do before it goes on
  usage_counters used{};                ///< zeros where the responder counts none
};

/// A handle that copies cheaply; the copies are one responder. Any thread.
class responder {
public:
  responder() = default;  ///< answers nothing: `not_supported`

  /// `done` is called once, on an actor's thread or on this one, and must not block. Errors:
  /// `responder_failed`, `responder_timeout`, `busy`, `draining`, `not_supported`.
  void ask(prompt what, std::function<void(expected<reply>)> done) const;

  /// "builtin" or "openai"; empty without one.
  [[nodiscard]] std::string_view name() const noexcept;

  /// Breaks off what is being answered (`draining`) and waits until all callbacks are done. Before
  /// the runtime is closed. Again is harmless.
  void close() const;

  class impl;  ///< internal
  explicit responder(std::shared_ptr<impl> self) : impl_{std::move(self)} {}

private:
  std::shared_ptr<impl> impl_;
};

/// Before the first runtime of a process that has responders. Again is harmless.
void init_messages();

/// Answers from the session's own history, variables and todos, always the same, and says that it
/// is the built-in one. Needs no network. An actor of the runtime's system.
responder spawn_builtin(const runtime& of);

}  // namespace troupe::responders
