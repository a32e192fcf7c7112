#include <troupe/actors/internal/set_actor.hpp>
#include <troupe/actors/supervisor.hpp>
#include <troupe/messages/metrics.hpp>

#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <list>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace troupe {

namespace {

error draining() {
  return {errc::draining, "the node is shutting down; repeat the request elsewhere or later"};
}

class supervisor_behavior {
public:
  static inline const char* name = "troupe.supervisor";

  supervisor_behavior(supervisor_actor::pointer self, supervisor_options options)
      : self_{self},
        options_{std::move(options)} {}

  supervisor_actor::behavior_type make_behavior() {
    looked_ms_ = options_.now().ms;
    look_later();
    return {[this](command& command) { return route<command_result>(std::move(command)); },
            [this](get_state& query) { return route<state_snapshot>(std::move(query)); },
            [this](change_set& set) { return on_change_set(set); },
            [this](reserve_member& x) { return route<reservation>(std::move(x)); },
            [this](read_again& x) { return on_read_again(x); },
            [this](const ready_to_retire& offer) { on_ready_to_retire(offer); },
            [this](look_for_idle) { on_look_for_idle(); },
            [this](drain) { return on_drain(); }};
  }

private:
  template <class Answer, class Message>
  struct deferred {
    Message message;
    caf::typed_response_promise<Answer> promise;
  };
  using deferred_request =
      std::variant<deferred<command_result, command>, deferred<state_snapshot, get_state>,
                   deferred<reservation, reserve_member>>;

  /// A live entity. While it retires, requests wait here for its successor: at no time do two
  /// actors of one entity write.
  struct live_entity {
    scope_actor actor;
    std::list<entity_ref>::iterator use{};  // in `by_use_`, unless it retires
    std::shared_ptr<const published_state> published{};
    std::int64_t used_ms = 0;
    bool retiring = false;
    std::vector<deferred_request> waiting;
  };

  template <class Answer, class Message>
  caf::result<Answer> route(Message message) {
    auto promise = self_->make_response_promise<Answer>();
    if (draining_) {
      promise.deliver(to_caf(draining()));
      return promise;
    }
    if (auto ok = check_entity(message.entity); !ok) {
      promise.deliver(to_caf(std::move(ok.error())));
      return promise;
    }
    if (is_quarantined(message.entity)) {
      promise.deliver(
          to_caf({errc::quarantined, to_string(message.entity)
                                         + " crashed too often and is left alone for a minute"}));
      return promise;
    }
    auto& entity = find_or_activate(message.entity);
    touch(entity);
    if (entity.retiring)
      entity.waiting.push_back(deferred<Answer, Message>{std::move(message), promise});
    else
      promise.delegate(entity.actor, std::move(message));
    return promise;
  }

  /// Its actor ends by itself, and comes back here for each entity.
  caf::result<change_set_result> on_change_set(change_set& set) {
    if (draining_)
      return to_caf(draining());
    const auto actor = internal::spawn_set(self_->home_system(), supervisor_actor{self_},
                                           options_.store, options_.now);
    return compat::delegate(self_, actor, std::move(set));
  }

  /// One that is not live reads the disk when it wakes.
  caf::result<void> on_read_again(const read_again& what) {
    if (const auto at = entities_.find(what.entity); at != entities_.end())
      return compat::delegate(self_, at->second.actor, what);
    return caf::unit;
  }

  live_entity& find_or_activate(const entity_ref& ref) {
    if (const auto at = entities_.find(ref); at != entities_.end())
      return at->second;
    auto& entity = entities_[ref];
    activate(ref, entity);
    if (by_use_.size() > options_.max_live)
      hibernate(entities_.at(by_use_.front()));
    return entity;
  }

  void activate(const entity_ref& ref, live_entity& entity) {
    auto published = std::make_shared<published_state>();
    entity.retiring = false;
    entity.actor =
        spawn_scope(self_->home_system(), {ref, options_.store, supervisor_actor{self_}, published,
                                           relaxed_bytes_, options_.now, options_.hooks});
    entity.published = published;
    entity.used_ms = looked_ms_;
    entity.use = by_use_.insert(by_use_.end(), ref);
    options_.live->insert(ref, published);
    measured_.activations->inc();
    if (!crashes_.empty() && crashes_.contains(ref))
      measured_.restarts->inc();
    measured_.live->inc();
    monitors_.monitor(self_, entity.actor,
                      [this, ref](const caf::error& why) { on_down(ref, why); });
  }

  void on_down(const entity_ref& ref, const caf::error& why) {
    if (why != caf::error{} && why != caf::exit_reason::user_shutdown)
      on_crash(ref, why);
    options_.live->erase(ref);
    measured_.live->dec();
    auto node = entities_.extract(ref);
    if (!node)
      return;
    if (!node.mapped().retiring)
      by_use_.erase(node.mapped().use);
    auto waiting = std::move(node.mapped().waiting);
    if (draining_) {
      for (auto& request : waiting)
        std::visit([](auto& d) { d.promise.deliver(to_caf(draining())); }, request);
      return finish_drain();
    }
    if (waiting.empty())
      return;
    auto& entity = find_or_activate(ref);
    for (auto& request : waiting)
      std::visit([&](auto& d) { d.promise.delegate(entity.actor, std::move(d.message)); }, request);
  }

  // Sleep -------------------------------------------------------------------------------------

  void touch(live_entity& entity) {
    entity.used_ms = looked_ms_;
    if (!entity.retiring)
      by_use_.splice(by_use_.end(), by_use_, entity.use);
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
      auto& entity = entities_.at(by_use_.front());
      if (now - entity.used_ms < options_.idle_ms)
        break;
      if (entity.published->read_lately())
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
    if (const auto at = entities_.find(offer.entity); at != entities_.end())
      retire_entity(at->second);
  }

  void hibernate(live_entity& entity) {
    measured_.hibernations->inc();
    retire_entity(entity);
  }

  void retire_entity(live_entity& entity) {
    if (std::exchange(entity.retiring, true))
      return;
    by_use_.erase(entity.use);
    compat::send(self_, entity.actor, retire{});
  }

  caf::result<void> on_drain() {
    auto promise = self_->make_response_promise<void>();
    drained_.push_back(promise);
    if (!std::exchange(draining_, true)) {
      for (auto& [ref, entity] : entities_)
        retire_entity(entity);
    }
    finish_drain();
    return promise;
  }

  /// Once every session has ended: folds the journal, so that the next start has nothing to replay,
  /// and answers.
  void finish_drain() {
    if (!entities_.empty() || folding_)
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
  std::unordered_map<entity_ref, live_entity> entities_;
  std::list<entity_ref> by_use_;  // those that do not retire, the one used last at the end
  std::unordered_map<entity_ref, std::vector<std::int64_t>> crashes_;  // when, in the last minute
  std::shared_ptr<std::atomic<std::uint64_t>> relaxed_bytes_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
  std::int64_t looked_ms_ = 0;  // the last look's time, which is what uses until the next one get
  metrics measured_{metrics::of(self_->home_system())};
  compat::monitors monitors_;
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
