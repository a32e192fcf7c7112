#include <troupe/actors/gateway.hpp>

#include <spdlog/spdlog.h>

#include <exception>
#include <utility>
#include <vector>

namespace troupe {

namespace {

class gateway_behavior {
public:
  static inline const char* name = "troupe.gateway";

  gateway_behavior(gateway_actor::pointer self, supervisor_actor supervisor)
      : self_{self},
        supervisor_{std::move(supervisor)} {}

  gateway_actor::behavior_type make_behavior() {
    return {
        [this](host_command& c) { ask<command_result>(std::move(c.envelope), std::move(c.done)); },
        [this](host_change_set& c) { ask<change_set_result>(std::move(c.set), std::move(c.done)); },
        [this](host_read& r) { ask<state_snapshot>(std::move(r.query), std::move(r.done)); },
        [this](drain) { return on_drain(); }};
  }

private:
  template <class Answer, class Message>
  void ask(Message message, completion<Answer> done) {
    ++pending_;
    compat::request(self_, supervisor_, std::move(message))
        .then([this, done](const Answer& answer) { finish(done, expected<Answer>{answer}); },
              [this, done](const caf::error& why) {
                finish<Answer>(done, tl::unexpected(from_caf(why)));
              });
  }

  template <class Answer>
  void finish(const completion<Answer>& done, expected<Answer> answer) {
    try {
      done(std::move(answer));
    } catch (const std::exception& why) {  // the host's fault must not end everybody's way in
      spdlog::error("a callback of the host threw: {}", why.what());
    }
    if (--pending_ == 0) {
      for (auto& promise : std::exchange(drained_, {}))
        promise.deliver();
    }
  }

  caf::result<void> on_drain() {
    auto promise = self_->make_response_promise<void>();
    if (pending_ == 0)
      promise.deliver();
    else
      drained_.push_back(promise);
    return promise;
  }

  gateway_actor::pointer self_;
  supervisor_actor supervisor_;
  std::size_t pending_ = 0;
  std::vector<caf::typed_response_promise<void>> drained_;
};

}  // namespace

gateway_actor spawn_gateway(caf::actor_system& system, supervisor_actor supervisor) {
  return system.spawn<caf::stateful_actor<gateway_behavior, gateway_actor::base>>(
      std::move(supervisor));
}

}  // namespace troupe
