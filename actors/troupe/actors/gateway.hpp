#pragma once

#include <troupe/actors/directory.hpp>
#include <troupe/messages/lane.hpp>
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
  /// Whom a thread puts to work that has one of `lanes`, it runs itself.
  gateway(supervisor_actor supervisor, std::shared_ptr<directory> live,
          std::shared_ptr<compat::lanes> lanes = std::make_shared<compat::lanes>())
      : supervisor_{std::move(supervisor)},
        live_{std::move(live)},
        lanes_{std::move(lanes)} {}

  void send(host_command what) const;
  void send(host_read what) const;
  void send(host_change_set what) const;

private:
  template <class Message>
  void send_to(const entity_ref& entity, Message& what) const;

  supervisor_actor supervisor_;
  std::shared_ptr<directory> live_;
  std::shared_ptr<compat::lanes> lanes_;
};

}  // namespace troupe
