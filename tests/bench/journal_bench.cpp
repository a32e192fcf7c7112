// Durable appends through the store actor, next to a bare LMDB journal (one thread, batches of as
// many) in the same run, on the same disk, alternating: the ratio is what counts. One JSON object
// per result.
//
//   journal_bench [--seconds S] [--rounds R] [--dir DIRECTORY]

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/store_actor.hpp>

#include "../support/fold.hpp"
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

using namespace troupe;

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::size_t payload_bytes = 600;
constexpr std::size_t entities = 10'000;

struct result {
  std::vector<float> latencies_us;
  double seconds = 0;
  double cpu_seconds = 0;  // of the whole process: what is comparable on a machine that is not idle
  std::uint64_t commits = 0;
};

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& x) {
    return static_cast<double>(x.tv_sec) + static_cast<double>(x.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

void print(const char* path, std::size_t writers, result what) {
  auto& all = what.latencies_us;
  std::sort(all.begin(), all.end());
  const auto at = [&](double part) {
    return static_cast<double>(
        all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))]);
  };
  std::printf(
      "{\"schema\":\"troupe.bench/1\",\"bench\":\"journal_append\",\"path\":\"%s\",\"writers\":%zu,"
      "\"payload_bytes\":%zu,\"entities\":%zu,\"n\":%zu,\"seconds\":%.2f,\"per_second\":%.0f,"
      "\"commits\":%llu,\"cpu_us_each\":%.2f,\"min_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_"
      "us\":%.1f}\n",
      path, writers, payload_bytes, entities, all.size(), what.seconds,
      static_cast<double>(all.size()) / what.seconds, static_cast<unsigned long long>(what.commits),
      what.cpu_seconds * 1e6 / static_cast<double>(all.size()), at(0), at(0.5), at(0.99), at(1));
  std::fflush(stdout);
}

/// Keeps N requests in flight until the time is over, then says so.
struct writer {
  caf::event_based_actor* self;
  store_actor store;
  std::size_t writers;
  double seconds;
  result* out;

  std::vector<std::string> ids;
  std::vector<std::uint64_t> sequences = std::vector<std::uint64_t>(entities, 0);
  std::string payload = std::string(payload_bytes, 'x');
  std::size_t next = 0;
  std::size_t in_flight = 0;
  clock_type::time_point start = clock_type::now();

  writer(caf::event_based_actor* of, store_actor to, std::size_t n, double for_seconds,
         result* into)
      : self{of},
        store{std::move(to)},
        writers{n},
        seconds{for_seconds},
        out{into} {
    for (std::size_t i = 0; i < entities; ++i)
      ids.push_back("conversation-" + std::to_string(i));
  }

  caf::behavior make_behavior() {
    while (in_flight < writers)
      send();
    return {[](caf::tick_atom) {}};
  }

  void send() {
    const auto i = next++ % entities;
    ++in_flight;
    const auto sent = clock_type::now();
    compat::request(self, store, commit_request{session_ref(ids[i]), ++sequences[i], payload})
        .then([this, sent](commit_receipt) { on_receipt(sent); },
              [](const caf::error& x) {
                std::fprintf(stderr, "%s\n", caf::to_string(x).c_str());
                std::abort();
              });
  }

  void on_receipt(clock_type::time_point sent) {
    const auto now = clock_type::now();
    out->latencies_us.push_back(std::chrono::duration<float, std::micro>(now - sent).count());
    --in_flight;
    if (std::chrono::duration<double>(now - start).count() < seconds) {
      send();
    } else if (in_flight == 0) {
      out->seconds = seconds_since(start);
      self->quit();
    }
  }
};

expected<std::string> keep_newest(entity_kind, std::string_view,
                                  const std::vector<std::string>& changes) {
  return changes.back();
}

result through_actor(const std::filesystem::path& dir, std::size_t writers, double seconds) {
  result out;
  out.latencies_us.reserve(4 << 20);
  caf::actor_system_config config;
  config.set("caf.scheduler.policy", "sharing");
  config.set("caf.scheduler.max-throughput", 100);
  caf::actor_system system{config};
  journal_options options;
  options.tail_bytes = 4ULL << 30;  // the append alone; materialising has a benchmark of its own
  auto opened = journal_store::open(dir, options, testing::fold_texts(keep_newest));
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    std::exit(1);
  }
  auto store = spawn_store(system, std::move(*opened));
  caf::scoped_actor self{system};
  const auto cpu_before = cpu_seconds();
  auto client = system.spawn<caf::stateful_actor<writer>>(store, writers, seconds, &out);
  self->wait_for(client);
  out.cpu_seconds = cpu_seconds() - cpu_before;
  compat::request(self.ptr(), store, get_store_stats{})
      .receive([&](const store_stats& x) { out.commits = x.commits; }, [](const caf::error&) {});
  caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
  self->wait_for(store);
  return out;
}

/// The least LMDB can do: the payload, appended under the next number.
result bare(const std::filesystem::path& dir, std::size_t writers, double seconds) {
  result out;
  std::filesystem::create_directory(dir);
  auto env = lmdb::environment::open(dir, 64ULL << 30);
  lmdb::dbi journal = 0;
  {
    auto txn = lmdb::transaction::write(env);
    journal = txn.create_database("journal");
    txn.commit();
  }
  const std::string payload(payload_bytes, 'x');
  std::uint64_t position = 0;
  const auto cpu_before = cpu_seconds();
  const auto start = clock_type::now();
  while (seconds_since(start) < seconds) {
    const auto begin = clock_type::now();
    auto txn = lmdb::transaction::write(env);
    {
      lmdb::cursor at{txn, journal};
      for (std::size_t i = 0; i < writers; ++i)
        std::memcpy(at.append(internal::be64(++position), payload.size()), payload.data(),
                    payload.size());
    }
    txn.commit();
    const auto took = std::chrono::duration<float, std::micro>(clock_type::now() - begin).count();
    out.latencies_us.insert(out.latencies_us.end(), writers, took);
    ++out.commits;
  }
  out.seconds = seconds_since(start);
  out.cpu_seconds = cpu_seconds() - cpu_before;
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 3;
  int rounds = 1;
  std::filesystem::path parent = std::filesystem::temp_directory_path();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--seconds")
      seconds = std::atof(argv[i + 1]);
    else if (name == "--rounds")
      rounds = std::atoi(argv[i + 1]);
    else if (name == "--dir")
      parent = argv[i + 1];
  }
  init_messages();
  auto name = (parent / "troupe-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    std::perror("mkdtemp");
    return 1;
  }
  const std::filesystem::path dir{name};
  for (int round = 0; round < rounds; ++round) {
    for (const std::size_t writers : {1, 8, 64, 256}) {
      print("bare_lmdb", writers, bare(dir / "bare", writers, seconds));
      std::filesystem::remove_all(dir / "bare");
      print("store_actor", writers, through_actor(dir / "store", writers, seconds));
      std::filesystem::remove_all(dir / "store");
    }
  }
  std::filesystem::remove_all(dir);
  return 0;
}
