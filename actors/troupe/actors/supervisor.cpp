#include <troupe/actors/internal/set_actor.hpp>
#include <troupe/actors/internal/use_order.hpp>
#include <troupe/actors/supervisor.hpp>
#include <troupe/messages/metrics.hpp>

#include <spdlog/spdlog.h>

#include <chrono>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace troupe {

namespace {

error draining() {
  return {errc::draining, "the node is shutting down; repeat the request elsewhere or later"};
}

// What is handed on. Each can be refused instead, and names its entity.

const entity_ref& entity_of(const command& what) {
  return what.entity;
}
const entity_ref& entity_of(const get_state& what) {
  return what.entity;
}
const entity_ref& entity_of(const reserve_member& what) {
  return what.entity;
}
const entity_ref& entity_of(const host_command& what) {
  return what.envelope.entity;
}
const entity_ref& entity_of(const host_read& what) {
  return what.query.entity;
}

/// From an actor, which the entity's answers.
template <class Answer, class Message>
struct asked {
  Message what;
  caf::typed_response_promise<Answer> promise;

  void refuse(const error& why, directory&) { promise.deliver(to_caf(why)); }
  void hand_to(const scope_actor& actor, directory&) { promise.delegate(actor, std::move(what)); }
};

/// From the gateway, with its callback. What the host sends behind it may go straight to the
/// entity's actor once this is there.
template <class Message>
struct sent {
  Message what;

  void refuse(const error& why, directory& live) {
    live.detours_of(entity_of(what)).end();
    what.done(tl::unexpected(why));
  }
  void hand_to(const scope_actor& actor, directory& live) {
    auto& detours = live.detours_of(entity_of(what));
    compat::anon_send(actor, std::move(what));
    detours.end();
  }
};

class supervisor_behavior {
public:
  static inline const char* name = "troupe.supervisor";

  supervisor_behavior(supervisor_actor::pointer self, supervisor_options options)
      : self_{self},
        options_{std::move(options)} {}

  supervisor_actor::behavior_type make_behavior() {
    around_ = std::make_shared<scope_surroundings>(options_.store, supervisor_actor{self_},
                                                   options_.now, options_.hooks);
    looked_ms_ = options_.now().ms;
    look_later();
    return {[this](host_command& x) { route(sent<host_command>{std::move(x)}); },
            [this](host_read& x) { route(sent<host_read>{std::move(x)}); },
            [this](host_change_set& x) { on_host_change_set(x); },
            [this](command& x) { return route_for<command_result>(std::move(x)); },
            [this](get_state& x) { return route_for<state_snapshot>(std::move(x)); },
            [this](change_set& x) { return on_change_set(x); },
            [this](reserve_member& x) { return route_for<reservation>(std::move(x)); },
            [this](const read_again& x) { return on_read_again(x); },
            [this](const ready_to_retire& offer) { on_ready_to_retire(offer); },
            [this](const entity_ended& x) { on_ended(*x.entity, x.why); },
            [this](look_for_idle) { on_look_for_idle(); },
            [this](drain) { return on_drain(); }};
  }

private:
  /// While an entity retires, requests wait for its successor: at no time do two actors of one
  /// entity write.
  using waiting_request =
      std::variant<asked<command_result, command>, asked<state_snapshot, get_state>,
                   asked<reservation, reserve_member>, sent<host_command>, sent<host_read>>;

  template <class Request>
  void route(Request request) {
    const auto& ref = entity_of(request.what);
    if (const auto why = refusal_of(ref))
      return request.refuse(*why, *options_.live);
    auto& entity = find_or_activate(ref);
    touch(entity);
    if (entity.retiring)
      waiting_[&entity].push_back(std::move(request));
    else
      request.hand_to(entity.actor(), *options_.live);
  }

  template <class Answer, class Message>
  caf::result<Answer> route_for(Message what) {
    auto promise = self_->make_response_promise<Answer>();
    route(asked<Answer, Message>{std::move(what), promise});
    return promise;
  }

  [[nodiscard]] std::optional<error> refusal_of(const entity_ref& ref) const {
    if (draining_)
      return draining();
    if (auto ok = check_entity(ref); !ok)
      return std::move(ok.error());
    if (is_quarantined(ref))
      return error{errc::quarantined,
                   to_string(ref) + " crashed too often and is left alone for a minute"};
    return {};
  }

  /// A set's actor ends by itself, and comes back here for each entity.
  [[nodiscard]] set_actor spawn_set() {
    return internal::spawn_set(self_->home_system(), supervisor_actor{self_}, options_.store,
                               options_.now);
  }
  caf::result<change_set_result> on_change_set(change_set& set) {
    if (draining_)
      return to_caf(draining());
    return compat::delegate(self_, spawn_set(), std::move(set));
  }
  void on_host_change_set(host_change_set& what) {
    if (draining_)
      return what.done(tl::unexpected(draining()));
    compat::send(self_, spawn_set(), std::move(what));
  }

  /// One that is not live reads the disk when it wakes.
  caf::result<void> on_read_again(const read_again& what) {
    if (const auto entity = options_.live->find(what.entity))
      return compat::delegate(self_, entity->actor(), what);
    return caf::unit;
  }

  /// What it returns lives in the directory.
  live_entity& find_or_activate(const entity_ref& ref) {
    if (const auto awake = options_.live->find(ref))
      return *awake;
    auto& entity = activate(ref);
    if (by_use_.size() > options_.max_live)
      hibernate(least_used_but(entity));
    return entity;
  }

  live_entity& activate(const entity_ref& ref) {
    auto entity = std::make_shared<live_entity>(ref);
    entity->begin(spawn_scope(self_->home_system(), entity, around_));
    entity->used_ms = looked_ms_;
    by_use_.push_back(*entity);
    ++awake_;
    measured_.activations->inc();
    if (!crashes_.empty() && crashes_.contains(ref))
      measured_.restarts->inc();
    measured_.live->inc();
    auto& out = *entity;
    options_.live->insert(std::move(entity));
    return out;
  }

  void on_ended(live_entity& entity, const caf::error& why) {
    if (why != caf::error{} && why != caf::exit_reason::user_shutdown)
      on_crash(entity.name(), why);
    options_.live->erase(entity);
    measured_.live->dec();
    --awake_;
    if (!entity.retiring)
      by_use_.erase(entity);
    auto node = waiting_.extract(&entity);
    auto waiting = node ? std::move(node.mapped()) : std::vector<waiting_request>{};
    if (draining_) {
      for (auto& request : waiting)
        std::visit([&](auto& x) { x.refuse(draining(), *options_.live); }, request);
      return finish_drain();
    }
    if (waiting.empty())
      return;
    auto& next = find_or_activate(entity.name());
    for (auto& request : waiting)
      std::visit([&](auto& x) { x.hand_to(next.actor(), *options_.live); }, request);
  }

  // Sleep -------------------------------------------------------------------------------------

  void touch(live_entity& entity) {
    entity.used_ms = looked_ms_;
    if (!entity.retiring)
      by_use_.move_to_end(entity);
  }

  /// What hosts send and read does not come by here: one that was used so goes to the end.
  live_entity& least_used_but(live_entity& newest) {
    for (auto left = by_use_.size(); left > 1 && by_use_.front().used_lately(); --left)
      touch(by_use_.front());
    if (&by_use_.front() == &newest)
      touch(newest);
    return by_use_.front();
  }

  void look_later() {
    if (options_.look_every_ms > 0)
      compat::send_after(self_, supervisor_actor{self_},
                         std::chrono::milliseconds{options_.look_every_ms}, look_for_idle{});
  }

  /// From the one that was used least lately on; one that was read meanwhile goes to the end.
  void on_look_for_idle() {
    if (draining_)
      return;
    const auto now = looked_ms_ = options_.now().ms;
    for (auto left = by_use_.size(); left > 0 && options_.idle_ms > 0; --left) {
      auto& entity = by_use_.front();
      if (now - entity.used_ms < options_.idle_ms)
        break;
      if (entity.used_lately())
        touch(entity);
      else
        hibernate(entity);
    }
    look_later();
  }

  // Crashes -----------------------------------------------------------------------------------

  void on_crash(const entity_ref& ref, const caf::error& why) {
    const auto now = options_.now().ms;
    const auto over = [&](std::int64_t at) { return now - at >= quarantine_ms; };
    std::erase_if(crashes_, [&](const auto& x) { return over(x.second.back()); });
    auto& times = crashes_[ref];
    std::erase_if(times, over);
    times.push_back(now);
    measured_.crashes->inc();
    if (times.size() > max_crashes)
      measured_.quarantines->inc();
    spdlog::error("{} crashed and {}: {}", to_string(ref),
                  times.size() > max_crashes ? "is left alone for a minute"
                                             : "wakes from the store when it is asked for",
                  caf::to_string(why));
  }

  [[nodiscard]] bool is_quarantined(const entity_ref& ref) const {
    if (crashes_.empty())
      return false;
    const auto found = crashes_.find(ref);
    return found != crashes_.end() && found->second.size() > max_crashes
           && options_.now().ms - found->second.back() < quarantine_ms;
  }

  // The end -----------------------------------------------------------------------------------

  void on_ready_to_retire(const ready_to_retire& offer) {
    if (const auto entity = options_.live->find(offer.entity))
      retire_entity(*entity);
  }

  void hibernate(live_entity& entity) {
    measured_.hibernations->inc();
    retire_entity(entity);
  }

  void retire_entity(live_entity& entity) {
    if (std::exchange(entity.retiring, true))
      return;
    by_use_.erase(entity);
    entity.retire();
  }

  caf::result<void> on_drain() {
    auto promise = self_->make_response_promise<void>();
    drained_.push_back(promise);
    if (!std::exchange(draining_, true)) {
      while (!by_use_.empty())
        retire_entity(by_use_.front());
    }
    finish_drain();
    return promise;
  }

  /// Once every session has ended: folds the journal, so that the next start has nothing to replay,
  /// and answers.
  void finish_drain() {
    if (awake_ != 0 || folding_)
      return;
    folding_ = true;
    const auto done = [this] {
      for (auto& promise : std::exchange(drained_, {}))
        promise.deliver();
      folding_ = false;
    };
    compat::request(self_, options_.store, materialise_all{})
        .then(done, [done](const caf::error& why) {
          spdlog::warn("the journal was not folded and will be replayed at the next start: {}",
                       from_caf(why).message);
          done();
        });
  }

  supervisor_actor::pointer self_;
  supervisor_options options_;
  std::shared_ptr<scope_surroundings> around_;
  std::size_t awake_ = 0;       // entities that have an actor, those that retire included
  internal::use_order by_use_;  // those that do not retire
  std::unordered_map<live_entity*, std::vector<waiting_request>> waiting_;  // for a successor
  std::unordered_map<entity_ref, std::vector<std::int64_t>> crashes_;  // when, in the last minute
  std::int64_t looked_ms_ = 0;  // the last look's time, which is what uses until the next one get
  metrics measured_{metrics::of(self_->home_system())};
  std::vector<caf::typed_response_promise<void>> drained_;
  bool draining_ = false;
  bool folding_ = false;
};

}  // namespace

expected<void> check_entity(const entity_ref& entity) {
  for (const auto* name : {&entity.id, &entity.name_space}) {
    if (auto ok = checked_id(*name); !ok)
      return tl::unexpected(std::move(ok.error()));
  }
  return {};
}

supervisor_actor spawn_supervisor(caf::actor_system& system, supervisor_options options) {
  return system.spawn<caf::stateful_actor<supervisor_behavior, supervisor_actor::base>>(
      std::move(options));
}

}  // namespace troupe
