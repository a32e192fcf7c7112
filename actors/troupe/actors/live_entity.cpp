#include <troupe/actors/live_entity.hpp>

#include <mutex>

namespace troupe {

void live_entity::publish(std::shared_ptr<const entity_state> state) {
  {
    const std::lock_guard lock{mutex_};
    state_.swap(state);
    version_.store(version_.load(relaxed) + 1, std::memory_order_release);
  }
  // What was published before ends here, outside the lock: it may be the last owner of a long
  // history.
}

std::shared_ptr<const entity_state> live_entity::read() const {
  note_use();
  return look();
}

std::shared_ptr<const entity_state> live_entity::look() const {
  const std::lock_guard lock{mutex_};
  return state_;
}

void live_entity::refresh(seen_state& seen) const {
  note_use();
  if (version_.load(std::memory_order_acquire) == seen.version)
    return;
  seen_state now;
  {
    const std::lock_guard lock{mutex_};
    now = {state_, version_.load(relaxed)};
  }
  seen = std::move(now);
}

bool live_entity::enter() const {
  auto senders = senders_.load(relaxed);
  do {
    if ((senders & closed) != 0)
      return false;
  } while (
      !senders_.compare_exchange_weak(senders, senders + 1, std::memory_order_acq_rel, relaxed));
  return true;
}

void live_entity::leave() const {
  if (senders_.fetch_sub(1, std::memory_order_acq_rel) == (closed | 1))
    compat::anon_send(actor_, troupe::retire{});
}

void live_entity::retire() {
  if (senders_.fetch_or(closed, std::memory_order_acq_rel) == 0)
    compat::anon_send(actor_, troupe::retire{});
}

void live_entity::end() {
  publish(nullptr);
  senders_.fetch_or(closed, std::memory_order_acq_rel);
}

}  // namespace troupe
