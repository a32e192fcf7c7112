#include <troupe/actors/gateway.hpp>

#include <caf/actor_system.hpp>

#include <optional>
#include <utility>

namespace troupe {

namespace {

/// Those whom one thread's requests woke.
struct woken_actors {
  bool gathers = false;
  caf::actor_system* system = nullptr;
  std::optional<compat::burst> all{};
};
thread_local woken_actors woken;

/// Null: each is woken at once.
compat::burst* burst_of(const scope_actor& actor) {
  if (!woken.gathers)
    return nullptr;
  if (auto* its = &actor->home_system(); woken.system != its) {
    woken.all.emplace(*its);
    woken.system = its;
  }
  return &*woken.all;
}

}  // namespace

gathering::gathering() noexcept : before_{std::exchange(woken.gathers, true)} {}

gathering::~gathering() {
  woken.gathers = before_;
}

bool gathering::waits() noexcept {
  return woken.all && !woken.all->empty();
}

void gathering::hand_over() {
  if (woken.all)
    woken.all->hand_over();
}

/// REQUIRES: `entity` is a part of `what`.
template <class Message>
void gateway::send_to(const entity_ref& entity, Message& what) const {
  what.done.expect_reader();
  auto& detours = live_->detours_of(entity);
  if (detours.none())
    if (const auto awake = live_->find(entity);
        awake && awake->try_send(what, burst_of(awake->actor())))
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
