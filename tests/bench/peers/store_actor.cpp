// Troupe's store actor: a client actor keeps so many commit requests in flight.

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/store_actor.hpp>

#include "../../support/fold.hpp"
#include "peer.hpp"
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <stdexcept>
#include <utility>

namespace troupe::bench {

namespace {

/// Keeps requests in flight until the time is over, then waits for the last answers and ends.
class client {
public:
  client(caf::event_based_actor* self, store_actor store, const workload& work, result* out)
      : self_{self},
        store_{std::move(store)},
        work_{work},
        out_{out},
        ids_{session_ids(work)},
        sequences_(work.sessions, 0),
        payload_{payload_of(work)} {}

  caf::behavior make_behavior() {
    while (waiting_ < work_.in_flight)
      send();
    return {[](caf::tick_atom) {}};
  }

private:
  void send() {
    const auto i = next_++ % ids_.size();
    ++waiting_;
    const auto sent = clock_type::now();
    compat::request(self_, store_, commit_request{session_ref(ids_[i]), ++sequences_[i], payload_})
        .then([this, sent](commit_receipt) { on_receipt(sent); },
              [this](const caf::error& why) {
                out_->not_run = caf::to_string(why);
                self_->quit();
              });
  }

  void on_receipt(clock_type::time_point sent) {
    const auto now = clock_type::now();
    out_->latencies_us.push_back(std::chrono::duration<float, std::micro>(now - sent).count());
    --waiting_;
    if (std::chrono::duration<double>(now - start_).count() < work_.seconds) {
      send();
    } else if (waiting_ == 0) {
      out_->seconds = seconds_since(start_);
      self_->quit();
    }
  }

  caf::event_based_actor* self_;
  store_actor store_;
  const workload& work_;
  result* out_;
  std::vector<std::string> ids_;
  std::vector<std::uint64_t> sequences_;
  std::string payload_;
  std::size_t next_ = 0;
  std::size_t waiting_ = 0;
  clock_type::time_point start_ = clock_type::now();
};

expected<std::string> keep_newest(entity_kind, std::string_view,
                                  const std::vector<std::string>& changes) {
  return changes.back();
}

}  // namespace

result store_actor_alone(const workload& work) {
  init_messages();
  caf::actor_system_config config;
  config.set("caf.scheduler.policy", "sharing");
  config.set("caf.scheduler.max-throughput", 100);
  caf::actor_system system{config};
  journal_options options;
  options.tail_bytes = 4ULL << 30;  // the append alone; materialising has a benchmark of its own
  auto opened = journal_store::open(work.dir / "store", options, testing::fold_texts(keep_newest));
  if (!opened)
    throw std::runtime_error{opened.error().message};
  result out;
  out.latencies_us.reserve(1 << 20);
  auto store = spawn_store(system, std::move(*opened));
  caf::scoped_actor self{system};
  const auto cpu_before = cpu_seconds();
  auto busy = system.spawn<caf::stateful_actor<client>>(store, work, &out);
  self->wait_for(busy);
  out.cpu_seconds = cpu_seconds() - cpu_before;
  compat::request(self.ptr(), store, get_store_stats{})
      .receive([&](const store_stats& x) { out.commits = x.commits; }, [](const caf::error&) {});
  caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
  self->wait_for(store);
  return out;
}

}  // namespace troupe::bench
