#include <troupe/actors/gateway.hpp>

#include <caf/sec.hpp>

#include <utility>
#include <vector>

namespace troupe {

namespace {

constexpr int max_attempts = 5;  // then: busy

class gateway_behavior {
public:
  static inline const char* name = "troupe.gateway";

  gateway_behavior(gateway_actor::pointer self, supervisor_actor supervisor)
      : self_{self},
        supervisor_{std::move(supervisor)} {}

  gateway_actor::behavior_type make_behavior() {
    return {[this](host_command& c) { ask<outcome>(std::move(c.envelope), std::move(c.done), 1); },
            [this](host_read& r) { ask<state_snapshot>(std::move(r.query), std::move(r.done), 1); },
            [this](drain) { return on_drain(); }};
  }

private:
  template <class Answer, class Message>
  void ask(Message message, completion<Answer> done, int attempt) {
    ++pending_;
    compat::request(self_, supervisor_, message)
        .then([this, done](const Answer& answer) { finish(done, expected<Answer>{answer}); },
              [this, message, done, attempt](const caf::error& why) mutable {
                // Still in the mailbox of an actor that ended: certainly not processed.
                if (why == caf::sec::request_receiver_down && attempt < max_attempts) {
                  --pending_;
                  return ask<Answer>(std::move(message), std::move(done), attempt + 1);
                }
                finish<Answer>(done, tl::unexpected(from_caf(why)));
              });
  }

  template <class Answer>
  void finish(const completion<Answer>& done, expected<Answer> answer) {
    done(std::move(answer));
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
