// Commands of level `memory` beside a bare CAF gateway, and many operations in one command.

#include <troupe/messages/messages.hpp>

#include "tools.hpp"
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

namespace troupe::bench {

namespace {

/// What any gateway over CAF does at least: one request and one answer for each command.
class bare_gateway {
public:
  static inline const char* name = "bench.gateway";

  bare_gateway(caf::event_based_actor* self, std::size_t actors, std::size_t in_flight,
               double seconds, double* per_second)
      : self_{self},
        in_flight_{in_flight},
        seconds_{seconds},
        per_second_{per_second} {
    for (std::size_t i = 0; i < actors; ++i)
      workers_.push_back(
          self->spawn([]() -> caf::behavior { return {[](std::int64_t n) { return n + 1; }}; }));
  }
  caf::behavior make_behavior() {
    start_ = clock_type::now();
    for (std::size_t i = 0; i < in_flight_; ++i)
      send();
    return {[](caf::unit_t) {}};
  }

private:
  void send() {
    const auto& to = workers_[next_++ % workers_.size()];
    self_->request(to, caf::infinite, static_cast<std::int64_t>(next_)).then([this](std::int64_t) {
      ++done_;
      if (seconds_since(start_) < seconds_)
        return send();
      if (--in_flight_ > 0)
        return;
      *per_second_ = static_cast<double>(done_) / seconds_since(start_);
      for (const auto& worker : workers_)
        self_->send_exit(worker, caf::exit_reason::user_shutdown);
      self_->quit();
    });
  }

  caf::event_based_actor* self_;
  std::size_t in_flight_;
  double seconds_;
  double* per_second_;
  std::size_t done_ = 0;
  std::vector<caf::actor> workers_;
  std::size_t next_ = 0;
  clock_type::time_point start_;
};

double bare_caf(const plan& how) {
  init_messages();
  caf::actor_system_config config;  // as it comes, which is its fastest here
  caf::actor_system system{config};
  double per_second = 0;
  auto gateway = system.spawn<caf::stateful_actor<bare_gateway>>(
      std::size_t{10'000}, std::size_t{1'000}, how.seconds, &per_second);
  caf::scoped_actor self{system};
  self->wait_for(gateway);
  return per_second;
}

}  // namespace

void measure_commands(const plan& how) {
  std::vector<double> bare, ours;
  const auto node = open(how.dir / "commands");
  create(*node, 10'000);
  for (int round = 0; round < how.rounds; ++round) {
    bare.push_back(bare_caf(how));
    ours.push_back(keep_in_flight(1'000, how.seconds, [&](std::size_t n, auto done) {
      node->execute(set_in_memory(n % 10'000, n, 1),
                    [done](const expected<command_result>& answer) {
                      must(answer.has_value(), "a command was refused");
                      done();
                    });
    }));
  }
  print("commands_1000_in_flight", "bare_caf", rate(bare));
  print("commands_1000_in_flight", "runtime_memory",
        rate(ours) + ",\"of_bare_caf\":" + std::to_string(median(ours) / median(bare)));
}

void measure_batches(const plan& how) {
  constexpr std::size_t each = 64;
  std::vector<double> ours;
  const auto node = open(how.dir / "batches");
  create(*node, 1'000);
  for (int round = 0; round < how.rounds; ++round)
    ours.push_back(each * keep_in_flight(256, how.seconds, [&](std::size_t n, auto done) {
                     node->execute(set_in_memory(n % 1'000, n, each),
                                   [done](const expected<command_result>& answer) {
                                     must(answer.has_value(), "a command was refused");
                                     done();
                                   });
                   }));
  print("operations_64_in_one_command", "runtime_memory", rate(ours));
}

}  // namespace troupe::bench
