// A process that writes into a saved result cache gets SIGKILL at random moments. What comes back
// must be whole and what was written, miss nothing that was answered more than a second before the
// kill, and hold nothing whose invalidation was answered.
//
//   cache_kill [--kills N] [--seed S]

#include <troupe/actors/result_cache.hpp>
#include <troupe/persistence/cache_store.hpp>

#include "support/caches.hpp"
#include "support/child_process.hpp"
#include "support/temp_directory.hpp"
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <thread>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t keys = 400;

struct config : caf::actor_system_config {
  config() {
    init_messages();
    set("caf.scheduler.policy", "sharing");
    set("caf.scheduler.max-threads", 2u);
  }
};

/// A cache with its store; both end with it.
struct saved_cache {
  explicit saved_cache(const std::filesystem::path& dir) {
    auto opened = cache_store::open(dir, {.map_bytes = 64 << 20});
    if (!opened) {
      std::fprintf(stderr, "%s\n", opened.error().message.c_str());
      std::exit(3);
    }
    store = spawn_cache_store(system, *std::move(opened));
    held = spawn_result_cache(system, {.store = store});
    while (held.stats().loading)
      std::this_thread::sleep_for(1ms);
  }
  ~saved_cache() {
    held.close();
    caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
  }

  config settings;
  caf::actor_system system{settings};
  cache_store_actor store;
  result_cache held;
};

cache_id id_of(std::uint64_t n) {
  return {"default", key_of(n)};
}

std::string text_of(std::uint64_t n, std::uint64_t version) {
  return std::to_string(n) + " " + std::to_string(version) + " "
         + std::string((n * 7 + version) % 3'000, 'x');
}

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// The process that is killed: says what was answered, and when.
int write_until_killed(const std::filesystem::path& dir, std::uint64_t seed, std::uint64_t from) {
  saved_cache cache{dir};
  std::mt19937_64 random{seed};
  std::printf("ready\n");
  for (auto version = from;; ++version) {
    const auto n = random() % keys;
    const auto doing = random() % 10;
    if (doing < 8) {
      if (!cache.held.set(
              {id_of(n), {.output = text_of(n, version), .tags = {"t" + std::to_string(n % 20)}}}))
        return 4;
      std::printf("set %llu %llu %lld\n", static_cast<unsigned long long>(n),
                  static_cast<unsigned long long>(version), static_cast<long long>(steady_ms()));
    } else if (doing == 8) {
      if (!cache.held.invalidate({"default", key_of(n)}))
        return 4;
      std::printf("gone %llu\n", static_cast<unsigned long long>(n));
    } else {
      std::printf("going %llu\n", static_cast<unsigned long long>(n % 20));
      std::fflush(stdout);
      if (!cache.held.invalidate({"default", cache_invalidation::labelled{
                                                 cache_label::tag, "t" + std::to_string(n % 20)}}))
        return 4;
      std::printf("gone-tag %llu\n", static_cast<unsigned long long>(n % 20));
    }
    std::fflush(stdout);
    if (version % 8 == 0)
      std::this_thread::sleep_for(1ms);
  }
}

/// What the parent knows of one key.
struct known {
  std::uint64_t version = 0;  // the newest answered; 0: none, or its removal was answered
  std::uint64_t least = 0;    // nothing older may come back: a removal was answered
  std::uint64_t safe = 0;     // answered more than a second before the kill
};

[[noreturn]] void bad(const char* what, std::uint64_t n, std::uint64_t version) {
  std::fprintf(stderr, "key %llu: %s (version %llu)\n", static_cast<unsigned long long>(n), what,
               static_cast<unsigned long long>(version));
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 4 && std::string{argv[1]} == "--write")
    return write_until_killed(argv[2], std::strtoull(argv[3], nullptr, 10),
                              std::strtoull(argv[4], nullptr, 10));
  int kills = 10;
  std::uint64_t seed = 1;
  for (int i = 1; i + 1 < argc; i += 2)
    (std::string{argv[i]} == "--kills"
         ? kills = std::atoi(argv[i + 1])
         : static_cast<int>(seed = std::strtoull(argv[i + 1], nullptr, 10)));
  temp_directory dir;
  std::mt19937_64 random{seed};
  std::map<std::uint64_t, known> all;
  std::uint64_t version = 1, checked = 0, answered = 0;
  for (int kill = 0; kill < kills; ++kill) {
    struct set {
      std::uint64_t n, version;
      std::int64_t at;
    };
    std::vector<set> sets;
    std::uint64_t tag_in_doubt = UINT64_MAX;
    {
      child_process child{{"/proc/self/exe", "--write", dir.path().string(),
                           std::to_string(random()), std::to_string(version)}};
      std::int64_t end = INT64_MAX;
      const auto life = static_cast<std::int64_t>(random() % 2'500);
      bool killed = false;
      std::int64_t killed_at = 0;
      while (const auto line = child.read_line()) {
        unsigned long long a = 0, b = 0;
        long long at = 0;
        if (*line == "ready") {
          end = steady_ms() + life;
        } else if (std::sscanf(line->c_str(), "set %llu %llu %lld", &a, &b, &at) == 3) {
          sets.push_back({a, b, at});
          version = b;
          all[a].version = b;
        } else if (std::sscanf(line->c_str(), "gone-tag %llu", &a) == 1) {
          for (auto& [n, x] : all)
            if (n % 20 == a)
              x.least = x.version + 1, x.version = 0;
          tag_in_doubt = UINT64_MAX;
        } else if (std::sscanf(line->c_str(), "going %llu", &a) == 1) {
          tag_in_doubt = a;
        } else if (std::sscanf(line->c_str(), "gone %llu", &a) == 1) {
          all[a].least = std::max(all[a].least, all[a].version + 1), all[a].version = 0;
        }
        ++answered;
        if (!killed && steady_ms() >= end) {
          killed = true;
          killed_at = steady_ms();
          ::kill(child.pid(), SIGKILL);  // lines on the way are read on
        }
      }
      if (!killed)
        return std::fprintf(stderr, "the writer ended by itself: %d\n", child.wait()), 1;
      for (const auto& x : sets)
        if (x.at < killed_at - 1'000)
          all[x.n].safe = x.version;
    }
    version += 10;
    saved_cache cache{dir.path()};
    for (auto& [n, x] : all) {
      const auto found = cache.held.get(id_of(n));
      unsigned long long of = 0, v = 0;
      if (found) {
        const std::string text{found->view().as_string().value()};
        if (std::sscanf(text.c_str(), "%llu %llu ", &of, &v) != 2 || of != n
            || text != text_of(n, v))
          bad("what came back is not what was written", n, v);
        if (v < x.least)
          bad("what was invalidated came back", n, v);
      }
      const bool doubt = n % 20 == tag_in_doubt;
      if (x.version != 0 && x.safe == x.version && v < x.safe && !doubt)
        bad("what was answered a second before the kill is lost", n, x.safe);
      if (x.version != 0 && v < x.safe && !doubt && v != 0)
        bad("an older version came back", n, v);
      x.version = v;  // the next run goes on from here
      x.safe = 0;
      ++checked;
    }
  }
  std::printf(
      "{\"schema\":\"troupe.campaign/1\",\"campaign\":\"cache_kill\",\"seed\":%llu,\"kills\":"
      "%d,\"answers\":%llu,\"checked\":%llu,\"bad\":0}\n",
      static_cast<unsigned long long>(seed), kills, static_cast<unsigned long long>(answered),
      static_cast<unsigned long long>(checked));
}
