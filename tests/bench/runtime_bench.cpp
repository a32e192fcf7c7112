// The runtime beside what it is made of, in one run: commands of level `memory` beside a bare CAF
// gateway that asks as many actors, many operations in one command, snapshot reads from two
// threads, one blocking durable call beside one raw LMDB commit, and what a sleeping and a live
// session cost in memory and how long one takes to wake. Rounds take turns; a result is their
// median. JSON on stdout, one object per result.
//
//   runtime_bench [--only commands|batches|reads|blocking|sleep] [--rounds 5] [--seconds 1]
//                 [--sessions 1000000] [--dir DIRECTORY]

#include <troupe/messages/caf_compat.hpp>
#include <troupe/messages/messages.hpp>
#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/runtime/runtime.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <malloc.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;

namespace {

using clock_type = std::chrono::steady_clock;

struct plan {
  std::filesystem::path dir;
  std::string only;
  int rounds = 5;
  double seconds = 1;
  std::size_t sessions = 1'000'000;  // of `sleep`
};

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of.at(of.size() / 2);
}

std::string id_of(std::size_t n) {
  return "session-" + std::to_string(n);
}

void print(const char* bench, const char* subject, const std::string& numbers) {
  std::printf("{\"schema\":\"troupe.bench/1\",\"bench\":\"%s\",\"subject\":\"%s\",%s}\n", bench,
              subject, numbers.c_str());
  std::fflush(stdout);
}

std::string rate(const std::vector<double>& rounds, const char* unit = "per_second") {
  const auto [least, most] = std::ranges::minmax(rounds);
  char text[160];
  std::snprintf(text, sizeof text, "\"rounds\":%zu,\"%s\":%.1f,\"min\":%.1f,\"max\":%.1f",
                rounds.size(), unit, median(rounds), least, most);
  return text;
}

void must(bool good, const char* what) {
  if (!good)
    throw std::runtime_error{what};
}

std::unique_ptr<runtime> open(const std::filesystem::path& dir, std::size_t max_live = 100'000) {
  auto opened = runtime::open({.data = dir, .max_live = max_live});
  must(opened.has_value(), "the store cannot be opened");
  return *std::move(opened);
}

/// Calls `send(n, done)` with so many in flight for so long; answers how many a second.
template <class Send>
double keep_in_flight(std::size_t in_flight, double seconds, Send send) {
  struct state {
    std::atomic<std::size_t> next = 0, done = 0, waiting;
    std::binary_semaphore over{0};
    clock_type::time_point start = clock_type::now();
  } all;
  all.waiting = in_flight;
  std::function<void()> one = [&] {
    send(all.next++, [&] {
      ++all.done;
      if (seconds_since(all.start) < seconds)
        one();
      else if (--all.waiting == 0)
        all.over.release();
    });
  };
  for (std::size_t i = 0; i < in_flight; ++i)
    one();
  all.over.acquire();
  return static_cast<double>(all.done) / seconds_since(all.start);
}

void create(runtime& in, std::size_t sessions) {
  std::counting_semaphore<512> room{512};
  std::atomic<bool> good = true;
  for (std::size_t i = 0; i < sessions; ++i) {
    room.acquire();
    in.execute({session_ref(id_of(i)), {troupe::create{}}},
               [&](const expected<command_result>& answer) {
                 good = good && answer.has_value();
                 room.release();
               });
  }
  for (int i = 0; i < 512; ++i)
    room.acquire();
  must(good, "a session was not created");
}

command set_in_memory(std::size_t session, std::size_t n, std::size_t operations) {
  command out{.entity = session_ref(id_of(session)), .level = durability::memory};
  for (std::size_t i = 0; i < operations; ++i)
    out.operations.push_back(patch_state{
        {set_key{.key = "key-" + std::to_string(i % 8), .data = static_cast<std::int64_t>(n)}}});
  return out;
}

// Commands ----------------------------------------------------------------------------------------

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
  caf::actor_system_config config;
  config.set("caf.scheduler.policy", "sharing");
  config.set("caf.scheduler.max-throughput", 100);
  caf::actor_system system{config};
  double per_second = 0;
  auto gateway = system.spawn<caf::stateful_actor<bare_gateway>>(
      std::size_t{10'000}, std::size_t{1'000}, how.seconds, &per_second);
  caf::scoped_actor self{system};
  self->wait_for(gateway);
  return per_second;
}

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

// Reads -------------------------------------------------------------------------------------------

void measure_reads(const plan& how) {
  const auto node = open(how.dir / "reads");
  create(*node, 1'000);
  must(node->execute(set_in_memory(7, 1, 1)).has_value(), "a command was refused");
  for (const std::size_t threads : {1, 2}) {
    std::vector<double> rounds;
    for (int round = 0; round < how.rounds; ++round) {
      std::atomic<std::size_t> done = 0;
      std::atomic<bool> over = false;
      std::vector<std::thread> all;
      const auto start = clock_type::now();
      for (std::size_t t = 0; t < threads; ++t)
        all.emplace_back([&] {
          const auto which = session_ref(id_of(7));
          std::size_t mine = 0;
          while (!over) {
            for (int i = 0; i < 64; ++i, ++mine)
              node->read(which, [](const expected<runtime::snapshot>& found) {
                must(found && (**found).live(), "it is not there");
              });
          }
          done += mine;
        });
      std::this_thread::sleep_for(std::chrono::duration<double>(how.seconds));
      over = true;
      for (auto& one : all)
        one.join();
      rounds.push_back(static_cast<double>(done) / seconds_since(start));
    }
    print("snapshot_reads_by_id", "runtime",
          rate(rounds) + ",\"threads\":" + std::to_string(threads));
  }
}

// One blocking call -------------------------------------------------------------------------------

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

// Sleep -------------------------------------------------------------------------------------------

/// RssAnon of this process: LMDB's map does not count.
double anonymous_bytes() {
  ::malloc_trim(0);
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);)
    if (line.rfind("RssAnon:", 0) == 0)
      return std::stod(line.substr(8)) * 1'024;
  return 0;
}

void use_once(runtime& in, std::size_t sessions) {
  std::counting_semaphore<512> room{512};
  for (std::size_t i = 0; i < sessions; ++i) {
    room.acquire();
    in.execute({session_ref(id_of(i)),
                {troupe::create{},
                 patch_state{{set_key{.key = "n", .data = static_cast<std::int64_t>(i)}}}}},
               [&](const expected<command_result>& answer) {
                 must(answer.has_value(), "a command was refused");
                 room.release();
               });
  }
  for (int i = 0; i < 512; ++i)
    room.acquire();
}

void measure_sleep(const plan& how) {
  constexpr std::size_t live = 50'000;
  {
    const auto node = open(how.dir / "live", 2 * live);
    use_once(*node, 1'000);
    const auto before = anonymous_bytes();
    use_once(*node, live);
    char text[96];
    std::snprintf(text, sizeof text, "\"sessions\":%zu,\"bytes_each\":%.0f", live,
                  (anonymous_bytes() - before) / static_cast<double>(live - 1'000));
    print("live_idle_session", "runtime", text);
  }
  const auto node = open(how.dir / "sleep", 1'000);
  use_once(*node, 20'000);
  const auto before = anonymous_bytes();
  const auto start = clock_type::now();
  use_once(*node, how.sessions);
  const auto took = seconds_since(start);
  const auto after = anonymous_bytes();
  std::vector<double> wake_us;
  for (std::size_t i = 0; i < 2'000; ++i) {
    const auto which = session_ref(id_of((i * 7'919 + 13) % (how.sessions - 2'000)));
    const auto begun = clock_type::now();
    const auto found = node->read(which);
    wake_us.push_back(seconds_since(begun) * 1e6);
    must(found && (**found).live(), "a sleeping session is not there");
  }
  std::ranges::sort(wake_us);
  char text[256];
  std::snprintf(
      text, sizeof text,
      "\"sessions\":%zu,\"used_per_second\":%.0f,\"bytes_each\":%.1f,\"wake_p50_us\":%.0f,"
      "\"wake_p99_us\":%.0f",
      how.sessions, static_cast<double>(how.sessions) / took,
      (after - before) / static_cast<double>(how.sessions), wake_us[wake_us.size() / 2],
      wake_us[wake_us.size() * 99 / 100]);
  print("sleeping_session", "runtime", text);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    plan how;
    std::filesystem::path parent = std::filesystem::temp_directory_path();
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      const std::string given = i + 1 < argc ? argv[i + 1] : "";
      if (name == "--only")
        how.only = given;
      else if (name == "--rounds")
        how.rounds = std::max(1, std::stoi(given));
      else if (name == "--seconds")
        how.seconds = std::stod(given);
      else if (name == "--sessions")
        how.sessions = std::max(10'000UL, std::stoul(given));
      else if (name == "--dir")
        parent = given;
      else
        throw std::runtime_error{"there is no option " + name};
    }
    auto name = (parent / "troupe-runtime-XXXXXX").string();
    must(::mkdtemp(name.data()) != nullptr, "cannot make a directory");
    how.dir = name;
    const std::map<std::string, void (*)(const plan&)> all{{"batches", measure_batches},
                                                           {"blocking", measure_blocking},
                                                           {"commands", measure_commands},
                                                           {"reads", measure_reads},
                                                           {"sleep", measure_sleep}};
    for (const auto& [one, measure] : all)
      if (how.only.empty() || how.only == one)
        measure(how);
    std::filesystem::remove_all(how.dir);
    return 0;
  } catch (const std::exception& why) {
    std::fprintf(stderr, "error: %s\n", why.what());
    return 1;
  }
}
