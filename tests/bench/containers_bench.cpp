// What copy-on-write costs and saves: persistent_vector and persistent_map beside full copies of
// std::vector and std::map, immer where it is installed, and the packed history. Every benchmark
// named `..._kept` keeps the version before the change alive, as a published snapshot does. Compare
// only within one run.

#include <troupe/state/history.hpp>
#include <troupe/state/persistent_map.hpp>
#include <troupe/state/persistent_vector.hpp>

#include <benchmark/benchmark.h>

#if __has_include(<immer/vector.hpp>)
#include <immer/map.hpp>
#include <immer/vector.hpp>
#define TROUPE_BENCH_IMMER
#endif

#include <malloc.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using troupe::history;
using troupe::persistent_map;
using troupe::persistent_vector;

/// A turn as the session holds it: a counted handle.
using element = std::shared_ptr<const int>;

const element some_element = std::make_shared<const int>(7);

template <class Vector>
Vector vector_of(std::size_t n) {
  Vector v;
  for (std::size_t i = 0; i != n; ++i)
    v.push_back(some_element);
  return v;
}

/// Distinct keys in no order. By default too long for the small string buffer, as
/// "workflow/step/3/status" is.
std::vector<std::string> keys_of(std::size_t n, const std::string& prefix = "state/metadata/key-") {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i != n; ++i)
    keys.push_back(prefix + std::to_string(100000 + i * 7919 % n));
  return keys;
}

// A shuffled, fixed order of look-ups: the branch predictor must not learn it.
std::vector<std::size_t> order_of(std::size_t n) {
  std::minstd_rand random(42);
  std::vector<std::size_t> order(4096);
  for (auto& i : order)
    i = random() % n;
  return order;
}

void vector_append_kept(benchmark::State& state) {
  const auto base = vector_of<persistent_vector<element>>(static_cast<std::size_t>(state.range(0)));
  auto v = base;
  persistent_vector<element> before;
  for (auto _ : state) {
    before = v;
    v.push_back(some_element);
    if (v.size() > 2 * base.size() + 64) {
      state.PauseTiming();
      v = base;
      state.ResumeTiming();
    }
  }
  benchmark::DoNotOptimize(before);
}
BENCHMARK(vector_append_kept)->Arg(10)->Arg(1000)->Arg(10000)->Arg(1000000);

void vector_append_all_versions_kept(benchmark::State& state) {
  const auto base = vector_of<persistent_vector<element>>(10000);
  std::vector<persistent_vector<element>> versions;
  versions.reserve(10000);
  auto v = base;
  for (auto _ : state) {
    versions.push_back(v);
    v.push_back(some_element);
    if (versions.size() == versions.capacity()) {
      state.PauseTiming();
      versions.clear();
      v = base;
      state.ResumeTiming();
    }
  }
}
BENCHMARK(vector_append_all_versions_kept);

void vector_append_to_a_fresh_fork(benchmark::State& state) {
  auto base = vector_of<persistent_vector<element>>(static_cast<std::size_t>(state.range(0)));
  auto winner = base;
  winner.push_back(some_element);
  for (auto _ : state) {
    auto fork = base;
    fork.push_back(some_element);
    benchmark::DoNotOptimize(fork);
  }
}
BENCHMARK(vector_append_to_a_fresh_fork)->Arg(10010)->Arg(10030);

void vector_append_alone(benchmark::State& state) {
  for (auto _ : state) {
    auto v = vector_of<persistent_vector<element>>(1000);
    benchmark::DoNotOptimize(v);
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(vector_append_alone);

void std_vector_append_kept(benchmark::State& state) {
  const auto v = vector_of<std::vector<element>>(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    auto next = v;
    next.push_back(some_element);
    benchmark::DoNotOptimize(next);
  }
}
BENCHMARK(std_vector_append_kept)->Arg(10)->Arg(1000)->Arg(10000);

void vector_copy(benchmark::State& state) {
  const auto v = vector_of<persistent_vector<element>>(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    auto copy = v;
    benchmark::DoNotOptimize(copy);
  }
}
BENCHMARK(vector_copy)->Arg(10)->Arg(1000000);

void vector_take(benchmark::State& state) {
  const auto v = vector_of<persistent_vector<element>>(10000);
  for (auto _ : state) {
    auto shorter = v.take(5000);
    benchmark::DoNotOptimize(shorter);
  }
}
BENCHMARK(vector_take);

template <class Vector>
void scan(benchmark::State& state) {
  Vector v;
  for (std::int64_t i = 0; i != state.range(0); ++i)
    v.push_back(i);
  for (auto _ : state) {
    std::int64_t sum = 0;
    for (auto x : v)
      sum += x;
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(scan<persistent_vector<std::int64_t>>)->Arg(10000);
BENCHMARK(scan<std::vector<std::int64_t>>)->Arg(10000);

void scan_chunks(benchmark::State& state) {
  persistent_vector<std::int64_t> v;
  for (std::int64_t i = 0; i != state.range(0); ++i)
    v.push_back(i);
  for (auto _ : state) {
    std::int64_t sum = 0;
    v.for_each_chunk([&sum](auto chunk) {
      for (auto x : chunk)
        sum += x;
    });
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(scan_chunks)->Arg(10000);

void vector_index(benchmark::State& state) {
  persistent_vector<std::int64_t> v;
  for (std::int64_t i = 0; i != 10000; ++i)
    v.push_back(i);
  const auto order = order_of(v.size());
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(v[order[at++ % order.size()]]);
}
BENCHMARK(vector_index);

template <class Map>
Map map_of(const std::vector<std::string>& keys) {
  Map m;
  for (const auto& key : keys)
    m.set(key, some_element);
  return m;
}

template <std::uint16_t Slots>
using map_with = persistent_map<std::string, element, Slots>;

template <std::uint16_t Slots>
void map_set_kept(benchmark::State& state) {
  const auto keys = keys_of(static_cast<std::size_t>(state.range(0)));
  const auto order = order_of(keys.size());
  auto m = map_of<map_with<Slots>>(keys);
  std::size_t at = 0;
  for (auto _ : state) {
    auto before = m;
    m.set(keys[order[at++ % order.size()]], some_element);
    benchmark::DoNotOptimize(before);
  }
}
BENCHMARK(map_set_kept<8>)->Arg(16)->Arg(1024)->Arg(100000);
BENCHMARK(map_set_kept<12>)->Arg(1024);
BENCHMARK(map_set_kept<16>)->Arg(16)->Arg(1024)->Arg(100000);
BENCHMARK(map_set_kept<32>)->Arg(16)->Arg(1024)->Arg(100000);

void map_set_short_key_kept(benchmark::State& state) {
  const auto keys = keys_of(static_cast<std::size_t>(state.range(0)), "key-");
  const auto order = order_of(keys.size());
  auto m = map_of<persistent_map<std::string, element>>(keys);
  std::size_t at = 0;
  for (auto _ : state) {
    auto before = m;
    m.set(keys[order[at++ % order.size()]], some_element);
    benchmark::DoNotOptimize(before);
  }
}
BENCHMARK(map_set_short_key_kept)->Arg(16)->Arg(1024);

template <std::uint16_t Slots>
void map_set_alone(benchmark::State& state) {
  const auto keys = keys_of(static_cast<std::size_t>(state.range(0)));
  const auto order = order_of(keys.size());
  auto m = map_of<map_with<Slots>>(keys);
  std::size_t at = 0;
  for (auto _ : state)
    m.set(keys[order[at++ % order.size()]], some_element);
}
BENCHMARK(map_set_alone<8>)->Arg(1024);
BENCHMARK(map_set_alone<32>)->Arg(1024);

template <std::uint16_t Slots>
void map_find(benchmark::State& state) {
  const auto keys = keys_of(static_cast<std::size_t>(state.range(0)));
  const auto order = order_of(keys.size());
  const auto m = map_of<map_with<Slots>>(keys);
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(m.find(keys[order[at++ % order.size()]]));
}
BENCHMARK(map_find<8>)->Arg(16)->Arg(1024)->Arg(100000);
BENCHMARK(map_find<16>)->Arg(16)->Arg(1024)->Arg(100000);
BENCHMARK(map_find<32>)->Arg(16)->Arg(1024)->Arg(100000);

template <std::uint16_t Slots>
void map_iterate(benchmark::State& state) {
  const auto m = map_of<map_with<Slots>>(keys_of(1024));
  for (auto _ : state) {
    std::size_t bytes = 0;
    for (const auto& [key, value] : m)
      bytes += key.size();
    benchmark::DoNotOptimize(bytes);
  }
  state.SetItemsProcessed(state.iterations() * 1024);
}
BENCHMARK(map_iterate<8>);
BENCHMARK(map_iterate<16>);
BENCHMARK(map_iterate<32>);

void map_difference_of_neighbours(benchmark::State& state) {
  const auto keys = keys_of(static_cast<std::size_t>(state.range(0)));
  const auto a = map_of<map_with<32>>(keys);
  auto b = a;
  b.set(keys[keys.size() / 2], std::make_shared<const int>(8));
  for (auto _ : state) {
    int count = 0;
    for_each_difference(a, b, [&count](auto&&, auto*, auto*) { ++count; });
    benchmark::DoNotOptimize(count);
  }
}
BENCHMARK(map_difference_of_neighbours)->Arg(1024)->Arg(100000);

std::map<std::string, element, std::less<>> std_map_of(const std::vector<std::string>& keys) {
  std::map<std::string, element, std::less<>> m;
  for (const auto& key : keys)
    m[key] = some_element;
  return m;
}

void std_map_set_kept(benchmark::State& state) {
  const auto keys = keys_of(static_cast<std::size_t>(state.range(0)));
  const auto m = std_map_of(keys);
  for (auto _ : state) {
    auto next = m;
    next[keys[3]] = some_element;
    benchmark::DoNotOptimize(next);
  }
}
BENCHMARK(std_map_set_kept)->Arg(16)->Arg(1024);

void std_map_find(benchmark::State& state) {
  const auto keys = keys_of(static_cast<std::size_t>(state.range(0)));
  const auto order = order_of(keys.size());
  const auto m = std_map_of(keys);
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(m.find(keys[order[at++ % order.size()]]));
}
BENCHMARK(std_map_find)->Arg(16)->Arg(1024)->Arg(100000);

/// An item of 600 bytes, as a turn with some text has.
const troupe::value turn =
    troupe::value::map({{"role", "assistant"}, {"text", std::string(576, 'x')}});

history history_of(std::size_t n) {
  history h;
  for (std::uint64_t seq = 1; seq <= n; ++seq)
    h.append(seq, {1'700'000'000'000 + static_cast<std::int64_t>(seq) * 30'000}, turn);
  return h;
}

void append_turn(history& h) {
  const auto seq = h.last_seq() + 1;
  h.append(seq, {1'700'000'000'000 + static_cast<std::int64_t>(seq) * 30'000}, turn);
}

/// What any history pays: 600 fresh bytes for each turn, in a list that keeps no older version.
void plain_append(benchmark::State& state) {
  std::deque<std::string> turns;
  for (auto _ : state) {
    turns.emplace_back(turn.bytes());
    if (turns.size() == 10'000) {
      state.PauseTiming();
      turns.clear();
      state.ResumeTiming();
    }
  }
}
BENCHMARK(plain_append);

void history_append_one_older_copy(benchmark::State& state) {
  const auto base = history_of(static_cast<std::size_t>(state.range(0)));
  auto h = base;
  for (auto _ : state) {
    append_turn(h);
    if (h.size() > 2 * base.size() + 1000) {
      state.PauseTiming();
      h = base;
      state.ResumeTiming();
    }
  }
}
BENCHMARK(history_append_one_older_copy)->Arg(10)->Arg(10000);

void history_append_kept(benchmark::State& state) {
  const auto base = history_of(static_cast<std::size_t>(state.range(0)));
  auto h = base;
  history before;
  for (auto _ : state) {
    before = h;
    append_turn(h);
    if (h.size() > 2 * base.size() + 1000) {
      state.PauseTiming();
      h = base;
      state.ResumeTiming();
    }
  }
  benchmark::DoNotOptimize(before);
}
BENCHMARK(history_append_kept)->Arg(10)->Arg(10000);

void history_append_all_versions_kept(benchmark::State& state) {
  const auto base = history_of(10000);
  std::vector<history> versions;
  versions.reserve(10000);
  auto h = base;
  for (auto _ : state) {
    versions.push_back(h);
    append_turn(h);
    if (versions.size() == versions.capacity()) {
      state.PauseTiming();
      versions.clear();
      h = base;
      state.ResumeTiming();
    }
  }
}
BENCHMARK(history_append_all_versions_kept);

void history_append_to_a_fresh_fork(benchmark::State& state) {
  const auto base = history_of(static_cast<std::size_t>(state.range(0)));
  auto winner = base;
  append_turn(winner);
  for (auto _ : state) {
    auto fork = base;
    append_turn(fork);
    benchmark::DoNotOptimize(fork);
  }
}
BENCHMARK(history_append_to_a_fresh_fork)->Arg(10)->Arg(10010);

void history_copy(benchmark::State& state) {
  const auto h = history_of(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    auto copy = h;
    benchmark::DoNotOptimize(copy);
  }
}
BENCHMARK(history_copy)->Arg(10)->Arg(10000)->Arg(100000);

void history_index(benchmark::State& state) {
  const auto h = history_of(static_cast<std::size_t>(state.range(0)));
  const auto order = order_of(h.size());
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(h[order[at++ % order.size()]]);
}
BENCHMARK(history_index)->Arg(10)->Arg(10000)->Arg(100000);

void history_first_after(benchmark::State& state) {
  const auto h = history_of(static_cast<std::size_t>(state.range(0)));
  const auto order = order_of(h.size());
  std::size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(h.first_after(order[at++ % order.size()]));
}
BENCHMARK(history_first_after)->Arg(10)->Arg(10000);

void history_scan(benchmark::State& state) {
  const auto h = history_of(10000);
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (const auto& item : h)
      sum += item.seq + item.fields.bytes().size();
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * 10000);
}
BENCHMARK(history_scan);

void history_read_from_chunks(benchmark::State& state) {
  const auto h = history_of(10000);
  std::vector<std::string_view> chunks;
  h.for_each_chunk([&chunks](const troupe::packed_chunk& c) { chunks.push_back(c.bytes); });
  for (auto _ : state)
    benchmark::DoNotOptimize(history::from_chunks(chunks));
  state.SetItemsProcessed(state.iterations() * 10000);
}
BENCHMARK(history_read_from_chunks);

/// Heap of an idle history, all of the allocator's included; `beyond` is what is no payload.
void history_memory(benchmark::State& state) {
  constexpr std::size_t sessions = 1000;
  const auto n = static_cast<std::size_t>(state.range(0));
  double each = 0;
  for (auto _ : state) {
    std::vector<history> all(sessions);
    const auto before = mallinfo2();
    for (auto& h : all) {
      h = history_of(n);
      h.shrink_to_fit();
    }
    const auto after = mallinfo2();
    each = static_cast<double>(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd)
           / static_cast<double>(sessions);
  }
  state.counters["bytes"] = each;
  state.counters["beyond"] = each - static_cast<double>(n * turn.bytes().size());
}
BENCHMARK(history_memory)->Arg(0)->Arg(1)->Arg(10)->Arg(100)->Iterations(1);

#ifdef TROUPE_BENCH_IMMER
void immer_vector_append_kept(benchmark::State& state) {
  immer::vector<element> v;
  for (std::int64_t i = 0; i != state.range(0); ++i)
    v = v.push_back(some_element);
  for (auto _ : state) {
    auto next = v.push_back(some_element);
    benchmark::DoNotOptimize(next);
  }
}
BENCHMARK(immer_vector_append_kept)->Arg(10)->Arg(1000)->Arg(10000);

void immer_map_set_kept(benchmark::State& state) {
  const auto keys = keys_of(static_cast<std::size_t>(state.range(0)));
  const auto order = order_of(keys.size());
  immer::map<std::string, element> m;
  for (const auto& key : keys)
    m = m.set(key, some_element);
  std::size_t at = 0;
  for (auto _ : state) {
    auto next = m.set(keys[order[at++ % order.size()]], some_element);
    benchmark::DoNotOptimize(next);
  }
}
BENCHMARK(immer_map_set_kept)->Arg(16)->Arg(1024);
#endif

}  // namespace
