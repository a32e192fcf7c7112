#include <troupe/actors/gateway.hpp>

#include <utility>

namespace troupe {

/// REQUIRES: `entity` is a part of `what`.
template <class Message>
void gateway::send_to(const entity_ref& entity, Message& what) const {
  what.done.expect_reader();
  auto& detours = live_->detours_of(entity);
  if (detours.none())
    if (const auto awake = live_->find(entity);
        awake && awake->try_send(what, compat::lane::here(*lanes_)))
      return;
  detours.begin();
  compat::anon_send(supervisor_, std::move(what));
}

void gateway::send(host_command what) const {
  send_to(what.envelope.entity, what);
}

void gateway::send(host_read what) const {
  send_to(what.query.entity, what);
}

void gateway::send(host_change_set what) const {
  what.done.expect_reader();
  compat::anon_send(supervisor_, std::move(what));
}

}  // namespace troupe
