// Durable commands beside the store's actor alone, with its log and with LMDB alone, and one that
// is waited for beside one raw LMDB commit.

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/store_actor.hpp>
#include <troupe/state/codec.hpp>

#include "tools.hpp"
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <cstring>

namespace troupe::bench {

namespace {

/// What the store's actor does alone: commits of as many bytes for as many sessions, from an actor
/// that keeps as many in flight.
class bare_store_client {
public:
  static inline const char* name = "bench.store_client";

  bare_store_client(caf::event_based_actor* self, store_actor store, std::size_t sessions,
                    std::size_t in_flight, double seconds, std::string payload, double* per_second)
      : self_{self},
        store_{std::move(store)},
        sequences_(sessions, 0),
        in_flight_{in_flight},
        seconds_{seconds},
        payload_{std::move(payload)},
        per_second_{per_second} {}
  caf::behavior make_behavior() {
    start_ = clock_type::now();
    for (std::size_t i = 0; i < in_flight_; ++i)
      send();
    return {[](caf::unit_t) {}};
  }

private:
  void send() {
    const auto i = next_++ % sequences_.size();
    compat::request(self_, store_, commit_request{session_ref(id_of(i)), ++sequences_[i], payload_})
        .then([this](const commit_receipt&) {
          ++done_;
          if (seconds_since(start_) < seconds_)
            return send();
          if (--in_flight_ > 0)
            return;
          *per_second_ = static_cast<double>(done_) / seconds_since(start_);
          self_->quit();
        });
  }

  caf::event_based_actor* self_;
  store_actor store_;
  std::vector<std::uint64_t> sequences_;
  std::size_t in_flight_;
  double seconds_;
  std::string payload_;
  double* per_second_;
  std::size_t done_ = 0;
  std::size_t next_ = 0;
  clock_type::time_point start_;
};

constexpr std::size_t durable_sessions = 1'000, durable_in_flight = 256;

double bare_store(const plan& how, const std::filesystem::path& dir, const std::string& payload,
                  std::size_t log_bytes) {
  caf::actor_system_config config;
  config.set("caf.scheduler.policy", "sharing");
  config.set("caf.scheduler.max-throughput", 100);
  caf::actor_system system{config};
  auto opened =
      journal_store::open(dir, {.tail_bytes = 4ULL << 30, .log_bytes = log_bytes}, fold_entities());
  must(opened.has_value(), "the store cannot be opened");
  const auto store = spawn_store(system, *std::move(opened));
  double per_second = 0;
  const auto client = system.spawn<caf::stateful_actor<bare_store_client>>(
      store, durable_sessions, durable_in_flight, how.seconds, payload, &per_second);
  caf::scoped_actor self{system};
  self->wait_for(client);
  caf::anon_send_exit(store, caf::exit_reason::kill);
  self->wait_for(store);
  return per_second;
}

}  // namespace

void measure_durable(const plan& how) {
  init_messages();
  const auto turn = value::map({{"role", "user"}, {"content", std::string(600, 'x')}});
  const command append{session_ref(id_of(0)), {append_items{{turn}}}};
  entity_state empty;
  empty.status = lifecycle::live;
  const auto decided = decide(empty, append, {.now = {1'000}});
  must(decided.has_value(), "a command was refused");
  const auto payload = encode(decided->what);  // what the runtime writes, too
  auto opened = runtime::open({.data = how.dir / "durable", .journal_tail_bytes = 4ULL << 30});
  must(opened.has_value(), "the store cannot be opened");
  const auto node = *std::move(opened);
  create(*node, durable_sessions);
  std::vector<double> lmdb_alone, with_log, ours;
  for (int round = 0; round < how.rounds; ++round) {
    const auto dir = [&](const char* of) { return how.dir / (of + std::to_string(round)); };
    lmdb_alone.push_back(bare_store(how, dir("durable-lmdb-"), payload, 0));
    with_log.push_back(
        bare_store(how, dir("durable-store-"), payload, journal_options{}.log_bytes));
    ours.push_back(keep_in_flight(durable_in_flight, how.seconds, [&](std::size_t n, auto done) {
      node->execute({session_ref(id_of(n % durable_sessions)), {append_items{{turn}}}},
                    [done](const expected<command_result>& answer) {
                      must(answer.has_value(), "a command was refused");
                      done();
                    });
    }));
  }
  print("durable_256_in_flight", "lmdb_actor", rate(lmdb_alone));
  print("durable_256_in_flight", "store_actor", rate(with_log));
  print("durable_256_in_flight", "runtime",
        rate(ours) + ",\"of_lmdb_actor\":" + std::to_string(median(ours) / median(lmdb_alone))
            + ",\"of_store_actor\":" + std::to_string(median(ours) / median(with_log)));
}

void measure_blocking(const plan& how) {
  const std::string text(600, 'x');
  const auto node = open(how.dir / "blocking");
  create(*node, 1);
  std::filesystem::create_directories(how.dir / "raw");
  auto env = lmdb::environment::open(how.dir / "raw", 1ULL << 30);
  env.reserve(0);
  auto txn = lmdb::transaction::write(env);
  const auto turns = txn.create_database("turns");
  txn.commit();
  std::uint64_t position = 0;
  std::vector<double> raw, ours;
  const auto mean_us = [](int calls, auto&& call) {
    const auto start = clock_type::now();
    for (int i = 0; i < calls; ++i)
      call();
    return seconds_since(start) * 1e6 / calls;
  };
  for (int round = 0; round < how.rounds; ++round) {
    raw.push_back(mean_us(500, [&] {
      env.reserve(text.size());
      auto one = lmdb::transaction::write(env);
      {
        lmdb::cursor at{one, turns};
        std::memcpy(at.append(internal::be64(++position), text.size()), text.data(), text.size());
      }
      one.commit();
    }));
    const auto turn = value::map({{"role", "user"}, {"content", text}});
    ours.push_back(mean_us(500, [&] {
      must(node->execute({session_ref(id_of(0)), {append_items{{turn}}}}).has_value(),
           "an append was refused");
    }));
  }
  print("blocking_durable_append", "raw_lmdb", rate(raw, "mean_us"));
  print("blocking_durable_append", "runtime",
        rate(ours, "mean_us") + ",\"of_raw\":" + std::to_string(median(ours) / median(raw)));
}

}  // namespace troupe::bench
