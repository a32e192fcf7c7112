/// One stored change: refused, or an event sequence that every state survives and that means what
/// the naive reading of it means.

#include "fuzz/entities.hpp"
#include "support/allocations.hpp"
#include "support/naive_change.hpp"
#include "support/random_entities.hpp"

#include <cstdint>
#include <set>
#include <vector>

using namespace troupe;
using namespace troupe::fuzz;

namespace {

struct sample {
  entity_state state;
  std::string bytes;
};

/// Nothing at all, what a deletion leaves, and for each kind one that has lived a while.
std::vector<sample> make_samples() {
  std::vector<sample> out;
  const auto add = [&](const entity_state& state) {
    out.push_back({state, encode(state, uncompressed)});
  };
  add({});
  std::set<entity_kind> kinds;
  bool deleted = false;
  for (std::uint64_t seed = 0; kinds.size() < 5 || !deleted; ++seed) {
    testing::dice d{seed};
    const auto one = testing::any_entity(d, 40);
    if (one.state.status == lifecycle::deleted && !deleted) {
      deleted = true;
      add(one.state);
    }
    const bool has_items =
        one.ref.kind == entity_kind::session || one.ref.kind == entity_kind::team;
    if (one.state.live() && !one.state.own.empty() && (!has_items || one.state.items.size() > 1)
        && kinds.insert(one.ref.kind).second)
      add(one.state);
  }
  return out;
}

expected<change> read_within_bounds(std::string_view bytes) {
  const auto most = memory_for(bytes);
  const testing::allocation_watch watch;
  auto out = decode_change(bytes);
  require(watch.total() <= most, "memory is bounded by what was read");
  return out;
}

void require_means_the_same(const sample& before, const change& what) {
  auto wanted = testing::naive_of(before.state);
  auto state = before.state;
  for (int round = 0; round < 2;
       ++round) {  // a change twice is no change that anybody makes: total
    state = evolve(state, what);
    testing::naive_evolve(wanted, what);
    const auto wrong = testing::difference_from(wanted, state);
    require(wrong.empty(), wrong.empty() ? "" : "a change means what it means naively: " + wrong);
    require_sound(state);
  }
  entity_state stepwise = before.state;
  for (const auto& e : what.events)
    apply(stepwise, e, what.revision, what.at);
  finish(stepwise, what);
  require(stepwise == evolve(before.state, what), "a change is its events one by one");
  require(encode(before.state, uncompressed) == before.bytes, "an older copy never changes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto samples = make_samples();
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto what = read_within_bounds(bytes);
  if (!what) {
    require(what.error().code == errc::damaged || what.error().code == errc::newer_format,
            "a refused record is damaged or newer");
    require(!what.error().message.empty(), "a refusal says why");
    return 0;
  }
  require_storable(*what);
  require_storable(*what, 0);
  const auto answer = outcome_of(*what);
  require(answer.changed == !what->events.empty() && answer.revision == what->revision,
          "an outcome is what the change says");
  for (const auto& e : what->events)
    require(!name_of(e).empty(), "an event has a name");
  for (const auto& one : samples)
    require_means_the_same(one, *what);
  return 0;
}
