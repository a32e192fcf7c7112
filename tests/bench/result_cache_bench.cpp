// The result cache beside Redis, memcached (both over a unix socket, where they are installed) and
// an LRU behind a mutex, in one run: gets that hit, sets into a full cache (one at a time and 64 in
// flight), and gets that are followed by a set when they miss at a tenth of the capacity; 2 KB
// values, zipf 0.99. One JSON
// object per result; compare only within one run.
//
//   result_cache_bench [--seconds S] [--sizes 1000,10000] [--threads 1,2,8] [--only SUBJECT]

#include <troupe/actors/result_cache.hpp>
#include <troupe/persistence/cache_store.hpp>

#include "../support/caches.hpp"
#include "../support/temp_directory.hpp"
#include "cache_subjects.hpp"
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::bench;
using testing::key_of;

namespace {

using clock_type = std::chrono::steady_clock;

struct plan {
  double seconds = 0.5;
  std::vector<std::size_t> sizes{10'000, 1'000'000};
  std::vector<std::size_t> threads{1, 2, 8};
  std::string only;
};

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double process_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// What one thread did.
struct tally {
  std::uint64_t done = 0, hits = 0;
  double cpu_seconds = 0;
  std::vector<float> sampled_ns;
};

struct row {
  std::string bench, subject;
  std::size_t entries = 0, capacity = 0, threads = 0;
};

/// What reading the clock twice adds to each time that is told.
double timer_ns() {
  std::vector<double> all(10'001);
  for (auto& one : all) {
    const auto begin = clock_type::now();
    one = std::chrono::duration<double, std::nano>(clock_type::now() - begin).count();
  }
  std::nth_element(all.begin(), all.begin() + 5'000, all.end());
  return all[5'000];
}

void print(const row& what, std::vector<tally> all, double seconds, double process) {
  tally sum;
  for (auto& one : all) {
    sum.done += one.done;
    sum.hits += one.hits;
    sum.cpu_seconds += one.cpu_seconds;
    sum.sampled_ns.insert(sum.sampled_ns.end(), one.sampled_ns.begin(), one.sampled_ns.end());
  }
  auto& ns = sum.sampled_ns;
  std::sort(ns.begin(), ns.end());
  const auto at = [&](double part) {
    return ns.empty() ? 0.0
                      : static_cast<double>(
                          ns[static_cast<std::size_t>(part * static_cast<double>(ns.size() - 1))]);
  };
  const auto n = static_cast<double>(std::max<std::uint64_t>(sum.done, 1));
  std::printf(
      "{\"schema\":\"troupe.bench/1\",\"bench\":\"%s\",\"subject\":\"%s\",\"entries\":%zu,"
      "\"capacity\":%zu,\"threads\":%zu,\"value_bytes\":%zu,\"n\":%llu,\"seconds\":%.2f,"
      "\"per_second\":%.0f,\"cpu_ns_each\":%.0f,\"process_cpu_ns_each\":%.0f,\"hit_ratio\":%.4f,"
      "\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"max_ns\":%.0f,"
      "\"timer_ns\":%.0f}\n",
      what.bench.c_str(), what.subject.c_str(), what.entries, what.capacity, what.threads,
      value_bytes, static_cast<unsigned long long>(sum.done), seconds,
      static_cast<double>(sum.done) / seconds, sum.cpu_seconds * 1e9 / n, process * 1e9 / n,
      static_cast<double>(sum.hits) / n, at(0.5), at(0.99), at(1), timer_ns());
  std::fflush(stdout);
}

void print_absent(const std::string& subject) {
  std::printf(
      "{\"schema\":\"troupe.bench/1\",\"bench\":\"cache\",\"subject\":\"%s\",\"result\":"
      "\"not run: it did not start, or is not installed\"}\n",
      subject.c_str());
  std::fflush(stdout);
}

// The result cache --------------------------------------------------------------------------------

struct config : caf::actor_system_config {
  config() {
    init_messages();
    set("caf.scheduler.policy", "sharing");
    set("caf.scheduler.max-throughput", 100);
    set("caf.scheduler.max-threads", std::max(2u, std::thread::hardware_concurrency()));
  }
};

value output() {
  return value::binary(std::string(value_bytes - 3, 'x'));
}

class troupe_user : public session {
public:
  explicit troupe_user(result_cache held) : held_{std::move(held)} {}
  ~troupe_user() override { troupe_user::finish(); }
  bool get(std::uint64_t n) override {
    id_.key = key_of(n);
    return held_.get(id_).has_value();
  }
  void set(std::uint64_t n) override {
    if (!held_.set({{"default", key_of(n)}, {.output = output()}}))
      std::abort();
  }
  void set_64(std::uint64_t n) override {
    while (waiting_->load() >= 64)
      std::this_thread::yield();
    ++*waiting_;
    held_.set({{"default", key_of(n)}, {.output = output()}},
              [waiting = waiting_](const expected<void>& done) {
                --*waiting;
                if (!done)
                  std::abort();
              });
  }
  void finish() override {
    while (waiting_->load() > 0)
      std::this_thread::yield();
  }

private:
  result_cache held_;
  cache_id id_{"default", {}};
  std::shared_ptr<std::atomic<int>> waiting_ = std::make_shared<std::atomic<int>>(0);
};

class troupe_subject : public subject {
public:
  troupe_subject(std::string name, result_cache_options options, std::filesystem::path saved = {})
      : name_{std::move(name)},
        options_{std::move(options)},
        saved_{std::move(saved)} {}
  ~troupe_subject() override { troupe_subject::stop(); }

  [[nodiscard]] std::string name() const override { return name_; }
  bool start(std::size_t capacity) override {
    stop();
    options_.limits = {.max_entries = capacity, .max_bytes = std::uint64_t{1} << 40};
    if (!saved_.empty()) {
      auto store = cache_store::open(saved_, {.map_bytes = 16ULL << 30});
      if (!store)
        return false;
      store_ = spawn_cache_store(system_, *std::move(store));
      options_.store = store_;
    }
    held = spawn_result_cache(system_, options_);
    return true;
  }
  void stop() override {
    held.close();
    held = {};
    options_.store = nullptr;
    if (store_) {
      caf::scoped_actor self{system_};
      caf::anon_send_exit(store_, caf::exit_reason::user_shutdown);
      self->wait_for(store_);
      store_ = nullptr;
      std::filesystem::remove_all(saved_);
    }
  }
  std::unique_ptr<session> connect() override { return std::make_unique<troupe_user>(held); }

  caf::actor_system& system() { return system_; }
  result_cache held;

private:
  std::string name_;
  result_cache_options options_;
  std::filesystem::path saved_;
  config config_;
  caf::actor_system system_{config_};
  cache_store_actor store_;
};

/// An actor that keeps so many sets of keys that are not there in flight.
struct setting_actor {
  setting_actor(caf::event_based_actor* of, result_cache to, std::size_t at_once, double seconds,
                std::uint64_t first, tally* into)
      : self{of},
        cache{std::move(to)},
        window{at_once},
        for_seconds{seconds},
        next{first},
        out{into} {}

  caf::behavior make_behavior() {
    for (std::size_t i = 0; i < window; ++i)
      send();
    return {[](caf::tick_atom) {}};
  }
  void send() {
    ++in_flight;
    const auto key = key_of(next++);
    set_cached what{{"default", key}, {.output = output()}};
    const auto sent = clock_type::now();  // the value and its key are the caller's, and there
    compat::request(self, cache.actor_of(key), std::move(what))
        .then(
            [this, sent] {
              const auto now = clock_type::now();
              out->sampled_ns.push_back(
                  std::chrono::duration<float, std::nano>(now - sent).count());
              ++out->done;
              --in_flight;
              if (std::chrono::duration<double>(now - start).count() < for_seconds)
                send();
              else if (in_flight == 0)
                self->quit();
            },
            [](const caf::error&) { std::abort(); });
  }

  caf::event_based_actor* self;
  result_cache cache;
  std::size_t window;
  double for_seconds;
  std::uint64_t next;
  tally* out;
  std::size_t in_flight = 0;
  clock_type::time_point start = clock_type::now();
};

void sets_of_an_actor(troupe_subject& of, row what, double seconds, std::size_t window) {
  tally out;
  out.sampled_ns.reserve(2 << 20);
  caf::scoped_actor self{of.system()};
  const auto start = clock_type::now();
  const auto cpu = process_seconds();
  const auto client = of.system().spawn<caf::stateful_actor<setting_actor>>(
      of.held, window, seconds, std::uint64_t{1} << (40 + window % 7), &out);
  self->wait_for(client);
  what.threads = window;
  what.bench = "cache_set_full_by_actor";
  print(what, {std::move(out)}, seconds_since(start), process_seconds() - cpu);
}

// The runs ----------------------------------------------------------------------------------------

enum class what { get_hit, set_full, set_full_64, get_or_set };

/// The same numbers for every subject.
std::vector<std::uint32_t> zipf_keys(std::size_t n) {
  const testing::zipf draw{n, 0.99};
  std::mt19937_64 random{42};
  std::vector<std::uint32_t> out(1 << 20);
  for (auto& x : out)
    x = static_cast<std::uint32_t>(draw(random));
  return out;
}

void run(subject& of, row named, what kind, const std::vector<std::uint32_t>& keys,
         std::size_t threads, double seconds) {
  constexpr std::uint64_t sampled = 8;  // one in so many is timed
  static std::uint64_t fresh = std::uint64_t{1} << 32;
  std::vector<tally> tallies(threads);
  std::atomic<bool> go = false, over = false;
  std::vector<std::thread> all;
  for (std::size_t t = 0; t < threads; ++t)
    all.emplace_back([&, t, first = fresh + (t << 26)] {
      auto way = of.connect();
      auto& mine = tallies[t];
      mine.sampled_ns.reserve(4 << 20);
      auto at = t * keys.size() / threads;
      while (!go)
        std::this_thread::yield();
      const auto cpu = thread_seconds();
      const auto step = [&] {
        if (kind == what::set_full)
          return way->set(first + mine.done);
        if (kind == what::set_full_64)
          return way->set_64(first + mine.done);
        const auto key = keys[at++ % keys.size()];
        const bool hit = way->get(key);
        mine.hits += hit ? 1 : 0;
        if (!hit && kind == what::get_or_set)
          way->set_64(key);
      };
      while (!over) {
        for (int i = 0; i < 64; ++i, ++mine.done) {
          if (mine.done % sampled != 0) {
            step();
            continue;
          }
          const auto begin = clock_type::now();
          step();
          mine.sampled_ns.push_back(
              std::chrono::duration<float, std::nano>(clock_type::now() - begin).count());
        }
      }
      way->finish();
      mine.cpu_seconds = thread_seconds() - cpu;
    });
  fresh += threads << 26;
  const auto cpu = process_seconds();
  const auto start = clock_type::now();
  go = true;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  over = true;
  for (auto& one : all)
    one.join();
  named.threads = threads;
  named.bench = kind == what::get_hit       ? "cache_get_hit"
                : kind == what::set_full    ? "cache_set_full"
                : kind == what::set_full_64 ? "cache_set_full_64_in_flight"
                                            : "cache_get_or_set_tenth";
  print(named, std::move(tallies), seconds_since(start), process_seconds() - cpu);
}

/// By a thread that ends: the allocator gives what it leaves behind to the threads that are
/// measured.
void fill(subject& of, std::size_t n) {
  std::thread{[&] {
    auto way = of.connect();
    for (std::uint64_t i = n; i > 0; --i)  // the most asked for are the newest
      way->set_64(i - 1);
    way->finish();
  }}.join();
}

void compare(subject& of, std::size_t n, const std::vector<std::uint32_t>& keys, const plan& how) {
  row named{"", of.name(), n, n + n / 4, 0};
  if (!of.start(named.capacity))
    return print_absent(of.name());
  fill(of, n);
  for (const auto threads : how.threads)
    run(of, named, what::get_hit, keys, threads, how.seconds);
  named.capacity = n;
  of.start(named.capacity);
  fill(of, n);
  for (const auto kind : {what::set_full_64, what::set_full})
    for (const auto threads : how.threads)
      run(of, named, kind, keys, threads, how.seconds);
  if (auto* ours = dynamic_cast<troupe_subject*>(&of)) {
    for (const std::size_t window : {1u, 64u})
      sets_of_an_actor(*ours, named, how.seconds, window);
    const auto s = ours->held.stats();
    std::printf(
        "{\"schema\":\"troupe.bench/1\",\"bench\":\"cache_memory\",\"subject\":\"%s\",\"entries\":"
        "%zu,\"memory_per_entry_beside_value\":%.0f,\"counted_per_entry_beside_value\":%.0f}\n",
        of.name().c_str(), s.entries,
        (static_cast<double>(s.memory) / static_cast<double>(s.entries)) - value_bytes - 8,
        (static_cast<double>(s.bytes) / static_cast<double>(s.entries)) - value_bytes);
  }
  named.capacity = n / 10;
  of.start(named.capacity);
  for (const auto threads : how.threads)
    run(of, named, what::get_or_set, keys, threads, how.seconds);
  of.stop();
}

std::vector<std::size_t> numbers_of(const char* text) {
  std::vector<std::size_t> out;
  for (const char* at = text; *at != '\0';) {
    char* end = nullptr;
    out.push_back(std::strtoull(at, &end, 10));
    at = *end == ',' ? end + 1 : end;
    if (end == at && *end != '\0')
      std::exit(2);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  // As json_main.cpp does: memory that was freed stays with the allocator.
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  ::mallopt(M_TOP_PAD, 256 << 20);
  plan how;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--seconds")
      how.seconds = std::atof(argv[i + 1]);
    else if (option == "--sizes")
      how.sizes = numbers_of(argv[i + 1]);
    else if (option == "--threads")
      how.threads = numbers_of(argv[i + 1]);
    else if (option == "--only")
      how.only = argv[i + 1];
    else
      return std::fprintf(stderr, "unknown option %s\n", argv[i]), 2;
  }
  const testing::temp_directory dir;
  std::vector<std::unique_ptr<subject>> subjects;
  subjects.push_back(std::make_unique<troupe_subject>("troupe_lru", result_cache_options{}));
  subjects.push_back(std::make_unique<troupe_subject>(
      "troupe_s3_fifo", result_cache_options{.policy = cache_policy::s3_fifo}));
  subjects.push_back(std::make_unique<troupe_subject>("troupe_lru_saved", result_cache_options{},
                                                      dir.path() / "saved"));
  subjects.push_back(mutex_lru());
  subjects.push_back(redis(dir.path()));
  subjects.push_back(memcached(dir.path()));
  for (const auto n : how.sizes) {
    const auto keys = zipf_keys(n);
    for (const auto& one : subjects) {
      if (how.only.empty() || how.only == one->name())
        compare(*one, n, keys, how);
    }
  }
}
