#pragma once

#include <troupe/actors/short_mutex.hpp>
#include <troupe/messages/burst.hpp>
#include <troupe/messages/messages.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace troupe {

namespace internal {
class use_order;
}

/// A committed state and how many were published before it; one thread's own.
struct seen_state {
  std::shared_ptr<const entity_state> state{};  ///< null: not loaded yet, or not live any more
  std::uint64_t version = 0;
};

/// One live entity as others see it: its name, the actor that takes its requests, and the newest
/// committed state. The supervisor makes it and alone has it retire; its actor alone publishes;
/// any thread reads and sends. What is known of an entity while it is awake stands here, once.
class live_entity {
public:
  explicit live_entity(entity_ref name) : name_{std::move(name)} {}
  live_entity(const live_entity&) = delete;
  live_entity& operator=(const live_entity&) = delete;

  [[nodiscard]] const entity_ref& name() const noexcept { return name_; }

  // The newest committed state
  // ----------------------------------------------------------------------------------------------

  /// Null: its actor has ended, or trusts nothing any more.
  void publish(std::shared_ptr<const entity_state> state);

  /// Null until its actor has loaded, and when it has ended.
  [[nodiscard]] std::shared_ptr<const entity_state> read() const;

  /// The same, which is no use of it.
  [[nodiscard]] std::shared_ptr<const entity_state> look() const;

  /// The same to its actor, which alone publishes: no lock, and no use.
  [[nodiscard]] const std::shared_ptr<const entity_state>& published() const noexcept {
    return state_;
  }

  /// Brings what a thread has seen up to date: a look at one number while nothing was published.
  void refresh(seen_state& seen) const;

  // Requests
  // ----------------------------------------------------------------------------------------------

  /// Who it is; before anybody else knows of this.
  void begin(scope_actor actor) { actor_ = std::move(actor); }
  [[nodiscard]] const scope_actor& actor() const noexcept { return actor_; }

  /// Puts a request into the actor's mailbox; who is woken by it runs where `with` says, null: as
  /// any. False: the actor retires, `what` is as it was. An actor that crashed lets it go unread.
  template <class Message>
  [[nodiscard]] bool try_send(Message& what, compat::waker* with) const {
    if (!enter())
      return false;
    note_use();
    if (with != nullptr)
      with->anon_send(actor_, std::move(what));
    else
      compat::anon_send(actor_, std::move(what));
    leave();
    return true;
  }

  /// No more requests: tells the actor to retire, behind the last of them.
  void retire();
  /// The actor's last word, however it ends: nothing to read here, and requests go by the
  /// supervisor. One that is refused on its sender's own stack could be sent again from there for
  /// ever.
  void end();

  /// Whether it was read, or sent to, since this was asked last.
  [[nodiscard]] bool used_lately() const { return used_.exchange(false, relaxed); }

private:
  friend class internal::use_order;
  static constexpr auto relaxed = std::memory_order_relaxed;
  static constexpr std::uint32_t closed = 1U << 31;

  void note_use() const {
    if (!used_.load(relaxed))
      used_.store(true, relaxed);
  }
  /// Whoever sends is counted, so that the last one behind `retire` can tell the actor.
  bool enter() const;
  void leave() const;

  const entity_ref name_;
  scope_actor actor_;
  std::shared_ptr<const entity_state> state_;
  live_entity* before_ = nullptr;  // in the supervisor's order of use
  live_entity* behind_ = nullptr;
  std::atomic<std::uint64_t> version_ = 0;          // of `state_`; changes under the mutex
  mutable std::atomic<std::uint32_t> senders_ = 0;  // and whether it is closed
  mutable internal::short_mutex mutex_;
  mutable std::atomic<bool> used_ = false;

public:
  // The supervisor's.
  bool retiring = false;
  std::int64_t used_ms = 0;  ///< as of the last look
};

}  // namespace troupe
