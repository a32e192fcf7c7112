#include "plan.hpp"

#include <algorithm>
#include <charconv>
#include <random>

namespace troupe::power {

namespace {

using random_bits = std::mt19937_64;

/// One of 0 .. count - 1. The standard's distributions differ between libraries; this does not.
std::uint64_t pick(random_bits& random, std::uint64_t count) {
  return random() % count;
}

std::uint64_t between(random_bits& random, std::uint64_t least, std::uint64_t most) {
  return least + pick(random, most - least + 1);
}

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Bytes that no other place has.
std::string filler(std::uint64_t seed, std::size_t size) {
  std::string out(size, '\0');
  std::uint64_t block = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 8 == 0)
      block = mix(seed + i);
    out[i] = static_cast<char>(block >> (i % 8 * 8));
  }
  return out;
}

std::uint64_t digest(std::uint64_t chain, std::string_view bytes) {
  for (const char c : bytes)
    chain = (chain ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return mix(chain + bytes.size());
}

/// Most values are small, some fill pages, a few take overflow pages of their own.
std::size_t value_bytes(random_bits& random) {
  switch (pick(random, 20)) {
    case 0: return between(random, 4'000, 20'000);
    case 1:
    case 2: return between(random, 500, 3'000);
    default: return between(random, 1, 200);
  }
}

class planner {
public:
  planner(workload which, std::uint64_t seed)
      : which_{which},
        random_{mix(seed) + static_cast<std::uint64_t>(which)} {
    if (which != workload::lifecycle) {
      for (int i = 0; i < 40; ++i)
        entities_.push_back({session_ref("session-" + std::to_string(i)), 0});
      return;
    }
    for (int i = 0; i < 20; ++i)
      entities_.push_back({{i % 3 == 0 ? "tenant" : "default", static_cast<entity_kind>(1 + i % 5),
                            "entity-" + std::to_string(i)},
                           0});
  }

  std::vector<step> make(std::size_t commits) {
    std::vector<step> out;
    for (std::size_t i = 0; i < commits; ++i) {
      out.push_back({step::what::commit, batch()});
      const auto slices = which_ == workload::append ? 0 : pick(random_, 3);
      for (std::uint64_t k = 0; k < slices; ++k)
        out.push_back({step::what::materialise});
      if (pick(random_, 12) == 0)
        out.push_back({step::what::reopen});
    }
    return out;
  }

private:
  struct known {
    entity_ref ref;
    std::uint64_t sequence;
    bool live = false;
  };

  std::vector<commit_request> batch() {
    // Half of the batches have one to three changes.
    const auto most = which_ == workload::lifecycle ? 8 : 64;
    const auto count = pick(random_, 2) == 0 ? between(random_, 1, 3) : between(random_, 1, most);
    std::vector<commit_request> out;
    for (std::uint64_t i = 0; i < count; ++i) {
      auto& entity = entities_[pick(random_, entities_.size())];
      ++entity.sequence;
      const bool deleted = which_ == workload::lifecycle && entity.live && pick(random_, 3) == 0;
      entity.live = !deleted;
      auto& request = out.emplace_back();
      request.entity = entity.ref;
      request.sequence = entity.sequence;
      request.payload = payload(entity, deleted);
    }
    return out;
  }

  /// Names its change, then filler; the first byte says whether it deletes.
  std::string payload(const known& entity, bool deleted) {
    auto text = (deleted ? "D " : "C ") + to_string(entity.ref) + " "
                + std::to_string(entity.sequence) + "\n";
    return deleted ? text : text + filler(random_(), value_bytes(random_));
  }

  workload which_;
  random_bits random_;
  std::vector<known> entities_;
};

std::size_t snapshot_filler(entity_kind kind, const state& of) {
  if (of.deleted)
    return 0;
  switch (kind) {
    case entity_kind::session: return of.chain % 600;
    case entity_kind::workflow: return 1'500 + of.chain % 6'000;
    case entity_kind::team: return 20'000 + of.chain % 60'000;
    case entity_kind::user: return 50;
    case entity_kind::global: return 9'000;
  }
  return 0;
}

}  // namespace

std::string_view to_string(workload which) noexcept {
  switch (which) {
    case workload::append: return "append";
    case workload::materialise: return "materialise";
    case workload::lifecycle: return "lifecycle";
  }
  return "?";
}

std::vector<step> make_plan(workload which, std::uint64_t seed, std::size_t commits) {
  return planner{which, seed}.make(commits);
}

journal_options small_bounds() {
  journal_options out;
  out.slice_bytes = 8 << 10;
  out.clean_entries = 8;
  out.reserve_bytes = 128 << 10;
  out.mark_interval = {};      // at every commit
  out.check_in_child = false;  // who opens an image is a child already
  return out;
}

state applied(state to, std::string_view payload) {
  return {to.sequence + 1, digest(to.chain, payload), payload.starts_with('D')};
}

std::string to_snapshot(entity_kind kind, const state& of) {
  return std::to_string(of.sequence) + " " + std::to_string(of.chain)
         + (of.deleted ? " D\n" : " C\n") + filler(of.chain, snapshot_filler(kind, of));
}

expected<state> read_snapshot(entity_kind kind, std::string_view snapshot) {
  state out;
  if (snapshot.empty())
    return out;
  const auto* end = snapshot.data() + snapshot.size();
  auto at = std::from_chars(snapshot.data(), end, out.sequence).ptr;
  if (at != end)
    at = std::from_chars(at + 1, end, out.chain).ptr;
  out.deleted = end - at >= 2 && at[1] == 'D';
  if (snapshot != to_snapshot(kind, out))
    return fail(errc::damaged, "a snapshot is none that was written");
  return out;
}

expected<std::string> fold(entity_kind kind, std::string_view snapshot,
                           const std::vector<std::string>& changes) {
  auto now = read_snapshot(kind, snapshot);
  if (!now)
    return unexpected{now.error()};
  for (const auto& change : changes)
    *now = applied(*now, change);
  return to_snapshot(kind, *now);
}

expectation::expectation(const std::vector<step>& plan) : ends{0} {
  for (const auto& step : plan) {
    if (step.is != step::what::commit)
      continue;
    for (const auto& request : step.requests) {
      const auto at = index.try_emplace(request.entity, entities.size()).first->second;
      if (at == entities.size())
        entities.push_back({request.entity, {state{}}});
      auto& states = entities[at].states;
      entities[at].changes.push_back(&request);
      states.push_back(applied(states.back(), request.payload));
      journal.push_back({&request, at});
    }
    ends.push_back(journal.size());
  }
}

}  // namespace troupe::power
