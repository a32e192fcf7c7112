// The state model's own costs, each at a small and a large entity: what does not depend on the size
// must show the same figure at both. `decide_...` is the whole way of a command to its next state,
// everything else one step of it. Compare only within one run.

#include <troupe/state/codec.hpp>
#include <troupe/state/decide.hpp>
#include <troupe/state/versions.hpp>

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>
#include <string>
#include <vector>

namespace {

using namespace troupe;

constexpr timestamp now{1'767'225'600'000};
const decide_context at_now{.now = now};
const entity_ref session = session_ref("0123456789abcdef0123456789abcdef");

/// A turn of 600 bytes of msgpack.
const value turn = value::map({{"role", "assistant"}, {"content", std::string(574, 'x')}});

entity_state after(const entity_state& state, operation what) {
  auto decided = decide(state, {.entity = session, .operations = {std::move(what)}}, at_now);
  if (!decided)
    std::abort();
  return std::move(decided->next);
}

entity_state session_with(std::size_t items, std::size_t keys) {
  auto out = after({}, create{.info = {.user = "ann"}});
  for (std::size_t i = 0; i < items; ++i)
    out = after(out, append_items{{turn}});
  for (std::size_t i = 0; i < keys; ++i)
    out = after(
        out, patch_state{{set_key{.key = "key-" + std::to_string(100'000 + i), .data = value{i}}}});
  return out;
}

/// Items that fit an entity's 8 MiB: 10,000 of 600 bytes do.
const entity_state& sized(benchmark::State& state) {
  static const auto small = session_with(10, 16);
  static const auto large = session_with(10'000, 1'024);
  return state.range(0) <= 16 ? small : large;
}

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgName("items")->Arg(10)->Arg(10'000);
}

// Values
// ------------------------------------------------------------------------------------------------

void snapshot(benchmark::State& state) {
  const auto& base = sized(state);
  for (auto _ : state) {
    entity_state copy = base;
    benchmark::DoNotOptimize(copy);
  }
}
BENCHMARK(snapshot)->Apply(sizes);

void fork(benchmark::State& state) {
  const auto& base = sized(state);
  const event forked =
      entity_forked{std::make_shared<const lineage>(lineage{session, base.revision}), base.user};
  for (auto _ : state) {
    entity_state child = base;
    apply(child, forked, base.revision + 1, now);
    benchmark::DoNotOptimize(child);
  }
}
BENCHMARK(fork)->Apply(sizes);

/// The version before each append stays alive, as a published snapshot does.
void append_600_bytes(benchmark::State& state) {
  const auto& base = sized(state);
  auto current = base;
  const event appended = items_appended{1, {turn}};  // numbered behind the last, whatever it says
  for (auto _ : state) {
    entity_state before = current;
    apply(current, appended, current.revision + 1, now);
    benchmark::DoNotOptimize(before);
    if (current.items.size() > base.items.size() + 4'096) {
      state.PauseTiming();
      current = base;
      state.ResumeTiming();
    }
  }
}
BENCHMARK(append_600_bytes)->Apply(sizes);

void set_one_key(benchmark::State& state) {
  auto current = sized(state);
  std::uint64_t i = 0;
  const auto keys = current.entries.size();
  for (auto _ : state) {
    const entity_state before = current;
    apply(current,
          entry_set{section::state, "key-" + std::to_string(100'000 + i * 7919 % keys), value{i}},
          current.revision + 1, now);
    ++i;
  }
}
BENCHMARK(set_one_key)->ArgName("keys")->Arg(16)->Arg(1'024);

void diff_of_neighbours(benchmark::State& state) {
  const auto& before = sized(state);
  const auto next = after(after(before, append_items{{turn}}),
                          patch_state{{set_key{.key = "key-100007", .data = value{"new"}}}});
  for (auto _ : state)
    benchmark::DoNotOptimize(diff(before, next));
}
BENCHMARK(diff_of_neighbours)->Apply(sizes);

// Commands
// ------------------------------------------------------------------------------------------------

void decide_append_600_bytes(benchmark::State& state) {
  const auto& base = sized(state);
  const command append{.entity = session, .operations = {append_items{{turn}}}};
  for (auto _ : state)
    benchmark::DoNotOptimize(decide(base, append, at_now));
}
BENCHMARK(decide_append_600_bytes)->Apply(sizes);

void decide_set_one_key(benchmark::State& state) {
  const auto& base = sized(state);
  const command set{.entity = session,
                    .operations = {patch_state{{set_key{.key = "key-100007", .data = "new"}}}}};
  for (auto _ : state)
    benchmark::DoNotOptimize(decide(base, set, at_now));
}
BENCHMARK(decide_set_one_key)->Apply(sizes);

void decide_fork(benchmark::State& state) {
  const auto base = std::make_shared<const entity_state>(sized(state));
  const command fork{.entity = session_ref("child"), .operations = {fork_from{session, base}}};
  for (auto _ : state)
    benchmark::DoNotOptimize(decide({}, fork, at_now));
}
BENCHMARK(decide_fork)->Apply(sizes);

void decide_record_call(benchmark::State& state) {
  const auto& base = sized(state);
  const command call{.entity = session,
                     .operations = {record_call{"search", value::map({{"q", "flights"}})}}};
  for (auto _ : state)
    benchmark::DoNotOptimize(decide(base, call, at_now));
}
BENCHMARK(decide_record_call)->Apply(sizes);

void decide_undo(benchmark::State& state) {
  const auto& base = sized(state);
  timeline versions{base, now};
  versions.push(after(base, append_items{{turn}}), now);
  const command back{.entity = session, .operations = {undo{}}};
  for (auto _ : state)
    benchmark::DoNotOptimize(decide(versions.current(), back, {.now = now, .versions = &versions}));
}
BENCHMARK(decide_undo)->Apply(sizes);

// Codec
// ------------------------------------------------------------------------------------------------

const change one_turn{.revision = 42, .at = now, .events = {items_appended{17, {turn}}}};

void encode_turn(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(encode(one_turn));
}
BENCHMARK(encode_turn);

void decode_turn(benchmark::State& state) {
  const auto bytes = encode(one_turn);
  for (auto _ : state)
    benchmark::DoNotOptimize(decode_change(bytes));
}
BENCHMARK(decode_turn);

void encode_snapshot(benchmark::State& state) {
  const auto& base = sized(state);
  for (auto _ : state)
    benchmark::DoNotOptimize(encode(base));
}
BENCHMARK(encode_snapshot)->Apply(sizes);

void decode_snapshot(benchmark::State& state) {
  const auto bytes = encode(sized(state));
  for (auto _ : state)
    benchmark::DoNotOptimize(decode_entity(bytes));
}
BENCHMARK(decode_snapshot)->Apply(sizes);

// Memory
// ------------------------------------------------------------------------------------------------

/// What a thousand idle sessions take, each: as hibernation would leave them, the value itself and
/// its share of the heap, without the payload (`entity_state::bytes`).
void idle_session_bytes(benchmark::State& state) {
  constexpr std::size_t count = 1'000;
  double overhead = 0, payload = 0;
  for (auto _ : state) {
    const auto items = static_cast<std::size_t>(state.range(0));
    std::vector<std::shared_ptr<const entity_state>> idle;
    idle.reserve(count);
    const auto before = mallinfo2().uordblks;
    payload = 0;
    for (std::size_t i = 0; i < count; ++i) {
      auto one = session_with(items, 0);
      one.items.shrink_to_fit();
      payload += static_cast<double>(one.bytes());
      idle.push_back(std::make_shared<const entity_state>(std::move(one)));
    }
    overhead = static_cast<double>(mallinfo2().uordblks - before) - payload;
    benchmark::DoNotOptimize(idle);
  }
  state.counters["payload_bytes"] = payload / count;
  state.counters["overhead_bytes"] = overhead / count;
}
BENCHMARK(idle_session_bytes)->ArgName("items")->Arg(0)->Arg(10)->Iterations(1);

}  // namespace
