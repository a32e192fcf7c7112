#pragma once

#include <troupe/actors/directory.hpp>
#include <troupe/messages/messages.hpp>

#include <memory>
#include <utility>

namespace troupe {

/// The host threads' way in: straight into the mailbox of a live entity's actor, else by the
/// supervisor. Each request carries its callback to whoever answers it. Any thread may send; what
/// one thread sends to an entity arrives in that order.
///
/// What an actor did not read before it ended is answered `busy`: nothing was written. It is not
/// sent again, since it would overtake what the host sent after it.
class gateway {
public:
  gateway(supervisor_actor supervisor, std::shared_ptr<directory> live)
      : supervisor_{std::move(supervisor)},
        live_{std::move(live)} {}

  void send(host_command what) const;
  void send(host_read what) const;
  void send(host_change_set what) const;

private:
  template <class Message>
  void send_to(const entity_ref& entity, Message& what) const;

  supervisor_actor supervisor_;
  std::shared_ptr<directory> live_;
};

/// For a thread that takes many requests in one go, such as the loop of a server: while it lives,
/// the actors that this thread's requests wake do not begin before `hand_over`, or before they are
/// sixteen. That is a lock and a wake-up for all of them in place of one for each. Whoever lets one
/// live calls `hand_over` on the same thread soon, and before the runtime ends.
class gathering {
public:
  gathering() noexcept;
  gathering(const gathering&) = delete;
  gathering& operator=(const gathering&) = delete;
  ~gathering();

  /// Whether an actor that this thread woke waits for `hand_over`.
  [[nodiscard]] static bool waits() noexcept;
  static void hand_over();

private:
  bool before_;
};

}  // namespace troupe
