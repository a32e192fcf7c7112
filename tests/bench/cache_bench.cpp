// The result cache under both policies: time of each operation at 1,000, 10,000 and 1,000,000
// entries, memory of an entry, hit ratios of a trace. Compare only within one run.

#include <troupe/state/cache.hpp>

#include "../support/caches.hpp"
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

const value output{std::string(1'000, 'x')};  // shared by all, as only the cache is measured

/// As an entry looks: an agent and two tags of few, a hash of its own for ten entries, an hour.
cache_content content_of(std::uint64_t n) {
  return {.output = output,
          .agent = "agent-" + std::to_string(n % 20),
          .content_hash = std::string(56, 'h') + std::to_string(10'000'000 + n / 10),
          .tags = {"project-" + std::to_string(n % 100), "language-c++"}};
}

template <class Policy>
cache<Policy> filled(std::size_t entries, std::size_t capacity) {
  cache<Policy> out{{.max_entries = capacity, .max_bytes = UINT64_MAX, .hash_seed = 42}};
  for (std::uint64_t n = 0; n < entries; ++n)
    (void)out.set(key_of(n), content_of(n), 1h, {static_cast<std::int64_t>(n / 100)});
  return out;
}

std::size_t entries_of(const benchmark::State& state) {
  return static_cast<std::size_t>(state.range(0));
}

/// Keys in a fixed order that nothing can foresee, made beforehand.
std::vector<cache_key> keys_of(std::uint64_t from, std::uint64_t count) {
  std::mt19937_64 random{42};
  std::vector<cache_key> out(1 << 20);
  for (auto& key : out)
    key = key_of(from + random() % count);
  return out;
}

template <class Policy>
void get_hit(benchmark::State& state) {
  auto held = filled<Policy>(entries_of(state), entries_of(state));
  const auto keys = keys_of(0, entries_of(state));
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(held.get(keys[at++ % keys.size()], {20'000}));
}

template <class Policy>
void peek_hit(benchmark::State& state) {
  const auto held = filled<Policy>(entries_of(state), entries_of(state));
  const auto keys = keys_of(0, entries_of(state));
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(held.peek(keys[at++ % keys.size()], {20'000}));
}

template <class Policy>
void get_miss(benchmark::State& state) {
  auto held = filled<Policy>(entries_of(state), entries_of(state));
  const auto keys = keys_of(1ull << 32, 1ull << 32);
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(held.get(keys[at++ % keys.size()], {20'000}));
}

/// From empty to full, so that it contains every growth of every table.
template <class Policy>
void set_with_room(benchmark::State& state) {
  const auto content = content_of(1);
  while (state.KeepRunningBatch(state.range(0))) {
    state.PauseTiming();
    cache<Policy> held{{.max_entries = 2 * entries_of(state), .max_bytes = UINT64_MAX}};
    state.ResumeTiming();
    for (std::uint64_t n = 0; n < entries_of(state); ++n)
      (void)held.set(key_of(n), content, 1h, {static_cast<std::int64_t>(n / 100)});
    state.PauseTiming();
    held = cache<Policy>{};
    state.ResumeTiming();
  }
}

/// Processor time of this thread: another program's turn is no pause of the cache.
double thread_us() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

/// The slowest of all calls that fill a cache, and of those that evict when every entry was hit:
/// the pauses that an average hides.
template <class Policy>
void slowest_set(benchmark::State& state) {
  const auto content = content_of(1);
  double filling = 0, evicting = 0;
  for (auto _ : state) {
    cache<Policy> held{{.max_entries = entries_of(state), .max_bytes = UINT64_MAX}};
    const auto timed = [&](std::uint64_t n) {
      const auto key = key_of(n);
      const auto begin = thread_us();
      (void)held.set(key, content, 1h, {static_cast<std::int64_t>(n / 100)});
      return thread_us() - begin;
    };
    for (std::uint64_t n = 0; n < entries_of(state); ++n)
      filling = std::max(filling, timed(n));
    for (std::uint64_t n = 0; n < entries_of(state); ++n)
      held.touch(key_of(n), 3, {20'000});
    for (std::uint64_t n = 0; n < 1'000; ++n)
      evicting = std::max(evicting, timed(entries_of(state) + n));
  }
  state.counters["filling_us"] = filling;
  state.counters["evicting_us"] = evicting;
}

template <class Policy>
void set_at_capacity(benchmark::State& state) {
  auto held = filled<Policy>(entries_of(state), entries_of(state));
  const auto content = content_of(1);
  std::uint64_t n = 1ull << 32;
  for (auto _ : state) {
    (void)held.set(key_of(n), content, 1h, {static_cast<std::int64_t>(20'000 + n % (1 << 20))});
    ++n;
  }
}

/// The same without time to live and labels: the policy and the table alone.
template <class Policy>
void set_at_capacity_bare(benchmark::State& state) {
  cache<Policy> held{{.max_entries = entries_of(state), .max_bytes = UINT64_MAX}};
  const cache_content content{.output = output};
  for (std::uint64_t n = 0; n < entries_of(state); ++n)
    (void)held.set(key_of(n), content, {}, {});
  std::uint64_t n = 1ull << 32;
  for (auto _ : state)
    (void)held.set(key_of(n++), content, {}, {});
}

template <class Policy>
void overwrite(benchmark::State& state) {
  auto held = filled<Policy>(entries_of(state), entries_of(state));
  const auto keys = keys_of(0, entries_of(state));
  const auto content = content_of(1);
  std::size_t at = 0;
  for (auto _ : state)
    (void)held.set(keys[at++ % keys.size()], content, 1h, {20'000});
}

template <class Policy>
void invalidate_no_match(benchmark::State& state) {
  auto held = filled<Policy>(entries_of(state), entries_of(state));
  for (auto _ : state)
    benchmark::DoNotOptimize(held.invalidate(cache_label::tag, "no-such-tag"));
}

template <class Policy>
void invalidate_10(benchmark::State& state) {
  auto held = filled<Policy>(entries_of(state), entries_of(state));
  std::uint64_t n = 0;
  std::mt19937_64 random{42};
  for (auto _ : state) {
    state.PauseTiming();
    n = random() % (entries_of(state) / 10) * 10;
    const auto label = content_of(n).content_hash;
    state.ResumeTiming();
    const auto removed = held.invalidate(cache_label::content_hash, label);
    state.PauseTiming();
    if (removed != 10)
      state.SkipWithError("not ten");
    for (std::uint64_t i = n; i < n + 10; ++i)
      (void)held.set(key_of(i), content_of(i), 1h, {20'000});
    state.ResumeTiming();
  }
}

template <class Policy>
void stats(benchmark::State& state) {
  const auto held = filled<Policy>(entries_of(state), entries_of(state));
  for (auto _ : state)
    benchmark::DoNotOptimize(held.stats());
}

template <class Policy>
void expire_none(benchmark::State& state) {
  auto held = filled<Policy>(entries_of(state), entries_of(state));
  for (auto _ : state)
    benchmark::DoNotOptimize(held.expire({20'000}, 1'000));
}

/// What malloc holds for a full cache that evicted as many as it holds, without the outputs.
template <class Policy>
void memory(benchmark::State& state) {
  const auto held_bytes = [] {
    const auto info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
  };
  double bare = 0, labelled = 0, unshared = 0;
  double counted_bare = 0, counted_labelled = 0, counted_unshared = 0;
  const auto n = static_cast<double>(state.range(0));
  for (auto _ : state) {
    const auto before = held_bytes();
    {
      cache<Policy> held{{.max_entries = entries_of(state), .max_bytes = UINT64_MAX}};
      for (std::uint64_t i = 0; i < 2 * entries_of(state); ++i)
        (void)held.set(key_of(i), {.output = output}, 1h, {});
      bare = (held_bytes() - before) / n;
      counted_bare = static_cast<double>(held.stats().bytes) / n - 1'003;
    }
    const auto between = held_bytes();
    {
      cache<Policy> held{{.max_entries = entries_of(state), .max_bytes = UINT64_MAX}};
      for (std::uint64_t i = 0; i < 2 * entries_of(state); ++i)
        (void)held.set(key_of(i),
                       {.output = output,
                        .content_hash = std::string(56, 'h') + std::to_string(10'000'000 + i)},
                       1h, {});
      unshared = (held_bytes() - between) / n;
      counted_unshared = static_cast<double>(held.stats().bytes) / n - 1'003;
    }
    const auto again = held_bytes();
    auto held = filled<Policy>(2 * entries_of(state), entries_of(state));
    labelled = (held_bytes() - again) / n;
    counted_labelled = static_cast<double>(held.stats().bytes) / n - 1'003;
  }
  state.counters["bytes_per_entry"] = bare;
  state.counters["bytes_per_entry_4_labels"] = labelled;
  state.counters["bytes_per_entry_own_label"] = unshared;
  state.counters["counted_per_entry"] = counted_bare;
  state.counters["counted_per_entry_4_labels"] = counted_labelled;
  state.counters["counted_per_entry_own_label"] = counted_unshared;
}

/// Zipf 0.99 over n keys with scans, a cache for n / 10.
template <class Policy>
void hit_ratio(benchmark::State& state) {
  const auto trace = zipf_with_scans(entries_of(state), 2'000'000, 7);
  double ratio = 0;
  for (auto _ : state) {
    cache<Policy> held{{.max_entries = entries_of(state) / 10}};
    ratio = hit_ratio_of(held, trace);
  }
  state.counters["hit_ratio"] = ratio;
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(trace.size()));
}

/// A key of a request of 1 KB: canonical form, SHA-256.
void make_key(benchmark::State& state) {
  const auto request = value::map(
      {{"task", std::string(900, 't')}, {"files", value::array({"a.cpp", "b.cpp"})}, {"depth", 3}});
  const auto permissions = value::map({{"read_only", true}, {"dirs", value::array({"/home"})}});
  for (auto _ : state)
    benchmark::DoNotOptimize(make_cache_key({"default", "ann", "reviewer", request, permissions}));
}
BENCHMARK(make_key);

template <class Policy>
void register_all(const std::string& policy) {
  const auto add = [&](const std::string& name, void (*f)(benchmark::State&)) {
    return benchmark::RegisterBenchmark((name + "<" + policy + ">").c_str(), f);
  };
  for (const std::int64_t n : {1'000, 10'000, 1'000'000}) {
    add("get_hit", get_hit<Policy>)->Arg(n);
    add("peek_hit", peek_hit<Policy>)->Arg(n);
    add("get_miss", get_miss<Policy>)->Arg(n);
    add("set_with_room", set_with_room<Policy>)->Arg(n);
    add("slowest_set", slowest_set<Policy>)->Arg(n)->Iterations(1);
    add("set_at_capacity", set_at_capacity<Policy>)->Arg(n);
    add("set_at_capacity_bare", set_at_capacity_bare<Policy>)->Arg(n);
    add("overwrite", overwrite<Policy>)->Arg(n);
    add("invalidate_no_match", invalidate_no_match<Policy>)->Arg(n);
    add("invalidate_10", invalidate_10<Policy>)->Arg(n)->Iterations(20'000);
    add("stats", stats<Policy>)->Arg(n);
    add("expire_none", expire_none<Policy>)->Arg(n);
    add("memory", memory<Policy>)->Arg(n)->Iterations(1);
  }
  add("hit_ratio", hit_ratio<Policy>)->Arg(100'000)->Iterations(1);
}

const bool registered = [] {
  register_all<lru>("lru");
  register_all<s3_fifo>("s3_fifo");
  return true;
}();

}  // namespace
