#include <troupe/actors/event_hub.hpp>
#include <troupe/actors/internal/reactions.hpp>

#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

namespace troupe::internal {

namespace {

using reaction_actor = caf::typed_actor<caf::result<void>(caf::tick_atom)>;

constexpr int most_calls = 16;  // of one turn; then: other actors have theirs

/// Takes from its own subscription; one that is too slow reads from the journal what it missed.
class reaction_behavior {
public:
  static inline const char* name = "troupe.after_hook";

  reaction_behavior(reaction_actor::pointer self, event_hub_actor hub,
                    std::shared_ptr<const commit_feed> feed, change_hooks::after_hook hook)
      : self_{self},
        hub_{std::move(hub)},
        feed_{std::move(feed)},
        hook_{std::move(hook)} {
    listen({});
  }

  reaction_actor::behavior_type make_behavior() {
    return {[this](caf::tick_atom) { on_tick(); }};
  }

private:
  void on_tick() {
    for (int left = most_calls; left > 0; --left) {
      auto next = from_.try_next();
      if (!next)
        return on_end(next.error());
      if (!*next)
        return;  // the next one wakes it
      handle(std::move(**next));
    }
    compat::send(self_, reaction_actor{self_}, caf::tick_atom_v);
  }

  void handle(event_delivery what) {
    if (const auto* gap = std::get_if<event_gap>(&what.what)) {
      resume_ = gap->cursor;
      if (gap->why == event_gap::cause::not_kept)
        spdlog::error("a hook was so slow that the journal does not hold any more what it missed");
      return;
    }
    const auto& change = *std::get<std::shared_ptr<const committed_change>>(what.what);
    try {
      hook_.call(change);
    } catch (const std::exception& why) {
      spdlog::error("a hook after a change of {} threw: {}", to_string(change.entity), why.what());
    } catch (...) {
      spdlog::error("a hook after a change of {} threw", to_string(change.entity));
    }
  }

  void on_end(const error& why) {
    if (why.code == errc::busy && !resume_.empty())
      return listen(std::exchange(resume_, {}));
    if (why.code != errc::draining)
      spdlog::error("a hook after changes is not called any more: {}", why.message);
    self_->quit();
  }

  /// From a cursor, or from now on.
  void listen(const std::string& after) {
    subscribe_options how{.filter = hook_.filter};
    if (!after.empty())
      how.after = after;
    how.wake = [self = self_->address()] {
      if (const auto to = caf::actor_cast<reaction_actor>(self))
        compat::anon_send(to, caf::tick_atom_v);
    };
    auto from = subscribe(hub_, *feed_, std::move(how));
    if (!from)
      return on_end(from.error());
    from_ = *std::move(from);
  }

  reaction_actor::pointer self_;
  event_hub_actor hub_;
  std::shared_ptr<const commit_feed> feed_;
  change_hooks::after_hook hook_;
  subscription from_;
  std::string resume_;  // where it was cut off
};

}  // namespace

std::vector<caf::actor> spawn_after_hooks(caf::actor_system& system, const event_hub_actor& hub,
                                          const std::shared_ptr<const commit_feed>& feed,
                                          const change_hooks& hooks) {
  using actor = caf::stateful_actor<reaction_behavior, reaction_actor::base>;
  std::vector<caf::actor> out;
  for (const auto& hook : hooks.after)
    out.push_back(caf::actor_cast<caf::actor>(system.spawn<actor>(hub, feed, hook)));
  return out;
}

}  // namespace troupe::internal
