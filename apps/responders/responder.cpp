#include "responders/responder.hpp"

#include <troupe/actors/internal/ask_once.hpp>

#include "responders/openai_messages.hpp"
#include "responders/responder_actor.hpp"
#include <caf/actor_system.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/telemetry/counter.hpp>
#include <caf/telemetry/histogram.hpp>
#include <caf/telemetry/metric_registry.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>

namespace troupe::responders {

namespace {

using clock = std::chrono::steady_clock;

/// What all responders of a system do, together.
class measures {
public:
  explicit measures(caf::telemetry::metric_registry& in)
      : answers_{in.counter_singleton("troupe", "responder-answers", "Messages that were answered.",
                                      "1", true)},
        failures_{in.counter_singleton("troupe", "responder-failures",
                                       "Messages that got no answer.", "1", true)},
        time_{in.histogram_singleton<double>("troupe", "responder-time", bounds,
                                             "Time to an answer.", "seconds")} {}

  void count(bool answered, clock::duration took) const {
    (answered ? answers_ : failures_)->inc();
    time_->observe(std::chrono::duration<double>(took).count());
  }

private:
  static constexpr std::array<double, 10> bounds{0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120};
  caf::telemetry::int_counter* answers_;
  caf::telemetry::int_counter* failures_;
  caf::telemetry::dbl_histogram* time_;
};

}  // namespace

class responder::impl {
public:
  impl(responder_actor who, const char* name)
      : system_{who.home_system()},
        who_{std::move(who)},
        name_{name},
        measured_{system_.metrics()} {}

  void ask(prompt what, std::function<void(expected<reply>)> done) {
    ++asked_;
    auto asking = std::shared_ptr<void>{&asked_, [this](void*) {
                                          --asked_;
                                          asked_.notify_all();
                                        }};
    if (closed_)
      return done(draining());
    internal::ask_once(system_, who_, std::move(what),
                       completion<reply>{[asking, this, done = std::move(done),
                                          begun = clock::now()](expected<reply> answer) {
                         measured_.count(answer.has_value(), clock::now() - begun);
                         done(closed_ && !answer ? draining() : std::move(answer));
                       }});
  }

  void close() {
    const std::lock_guard lock{closing_};
    if (closed_.exchange(true))
      return;
    caf::scoped_actor self{system_};
    caf::anon_send_exit(who_, caf::exit_reason::user_shutdown);
    self->wait_for(who_);
    for (auto left = asked_.load(); left != 0; left = asked_.load())
      asked_.wait(left);
  }

  [[nodiscard]] std::string_view name() const noexcept { return name_; }

private:
  static expected<reply> draining() {
    return fail(errc::draining, "the node is shutting down; the message is kept: ask again");
  }

  caf::actor_system& system_;
  responder_actor who_;
  const char* name_;
  measures measured_;
  std::mutex closing_;
  std::atomic<bool> closed_ = false;
  std::atomic<std::size_t> asked_ = 0;
};

void responder::ask(prompt what, std::function<void(expected<reply>)> done) const {
  if (!impl_)
    return done(fail(errc::not_supported, "this node has no responder"));
  impl_->ask(std::move(what), std::move(done));
}

std::string_view responder::name() const noexcept {
  return impl_ ? impl_->name() : std::string_view{};
}

void responder::close() const {
  if (impl_)
    impl_->close();
}

responder handle_of(responder_actor who, const char* name) {
  return responder{std::make_shared<responder::impl>(std::move(who), name)};
}

void init_messages() {
  static std::once_flag once;
  std::call_once(once, [] {
    troupe::init_messages();
    caf::init_global_meta_objects<caf::id_block::troupe_responders>();
    caf::init_global_meta_objects<caf::id_block::troupe_openai>();
  });
}

}  // namespace troupe::responders
