#include <troupe/actors/supervisor.hpp>

#include <spdlog/spdlog.h>

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
    return {[this](command& command) { return route<command_result>(std::move(command)); },
            [this](get_state& query) { return route<state_snapshot>(std::move(query)); },
            [this](const ready_to_retire& offer) { on_ready_to_retire(offer); },
            [this](drain) { return on_drain(); }};
  }

private:
  template <class Answer, class Message>
  struct deferred {
    Message message;
    caf::typed_response_promise<Answer> promise;
  };
  using deferred_request =
      std::variant<deferred<command_result, command>, deferred<state_snapshot, get_state>>;

  /// A live entity. While it retires, requests wait here for its successor: at no time do two
  /// actors of one entity write.
  struct live_entity {
    session_actor actor;
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
    auto& entity = find_or_activate(message.entity);
    if (entity.retiring)
      entity.waiting.push_back(deferred<Answer, Message>{std::move(message), promise});
    else
      promise.delegate(entity.actor, std::move(message));
    return promise;
  }

  live_entity& find_or_activate(const entity_ref& ref) {
    if (const auto at = entities_.find(ref); at != entities_.end())
      return at->second;
    auto& entity = entities_[ref];
    activate(ref, entity);
    return entity;
  }

  void activate(const entity_ref& ref, live_entity& entity) {
    auto published = std::make_shared<published_state>();
    entity.retiring = false;
    entity.actor =
        spawn_session(self_->home_system(),
                      {ref, options_.store, supervisor_actor{self_}, published, options_.now});
    options_.live->insert(ref, published);
    monitors_.monitor(self_, entity.actor,
                      [this, ref](const caf::error& why) { on_down(ref, why); });
  }

  void on_down(const entity_ref& ref, const caf::error& why) {
    if (why != caf::error{} && why != caf::exit_reason::user_shutdown)
      spdlog::error("session {} crashed and wakes from the store when it is asked for: {}",
                    to_string(ref), caf::to_string(why));
    options_.live->erase(ref);
    auto node = entities_.extract(ref);
    if (!node)
      return;
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

  void on_ready_to_retire(const ready_to_retire& offer) {
    if (const auto at = entities_.find(offer.entity); at != entities_.end())
      retire_entity(at->second);
  }

  void retire_entity(live_entity& entity) {
    if (std::exchange(entity.retiring, true))
      return;
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
  compat::monitors monitors_;
  std::vector<caf::typed_response_promise<void>> drained_;
  bool draining_ = false;
  bool folding_ = false;
};

}  // namespace

supervisor_actor spawn_supervisor(caf::actor_system& system, supervisor_options options) {
  return system.spawn<caf::stateful_actor<supervisor_behavior, supervisor_actor::base>>(
      std::move(options));
}

}  // namespace troupe
