#include "plan.hpp"

#include <troupe/state/folding.hpp>
#include <troupe/state/versions.hpp>

#include <algorithm>
#include <optional>
#include <random>

namespace troupe::power {

namespace {

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Decides as the runtime does and keeps what must be there. The standard's distributions differ
/// between libraries, so chance is the engine's alone.
class planner {
public:
  planner(workload which, std::uint64_t seed)
      : which_{which},
        random_{mix(seed) + static_cast<std::uint64_t>(which)} {
    const std::size_t count = which == workload::append ? 40 : which == workload::truncate ? 8 : 12;
    for (std::size_t i = 0; i < count; ++i) {
      entity_ref ref{"default", entity_kind::session, "session-" + std::to_string(i)};
      if (which == workload::fork && i >= 6)
        ref = {i % 3 == 0 ? "tenant" : "default", static_cast<entity_kind>(1 + i % 5),
               "entity-" + std::to_string(i)};
      lives_.emplace_back();
      out_.entities.push_back({.ref = std::move(ref)});
    }
  }

  plan make(std::size_t commits) {
    note_commit();
    for (std::size_t i = 0; i < commits; ++i) {
      out_.steps.push_back({.requests = batch()});
      note_commit();
      if (which_ != workload::append)
        maintain();
      if (pick(12) == 0)
        out_.steps.push_back({.is = step::what::reopen});
    }
    std::uint64_t position = 0;
    for (const auto& step : out_.steps)
      for (std::size_t i = 0, left = 0; i < step.requests.size(); ++i) {
        left = left == 0 ? step.requests[i].together : left - 1;
        out_.journal.push_back({position + 1, &step.requests[i]});
        position += left == 0 ? 1 : 0;
      }
    return std::move(out_);
  }

private:
  /// What goes on of an entity; its states are in the plan.
  struct life {
    timeline kept{entity_state{}};
    std::optional<std::uint64_t> merged{};  ///< its parent stands on this revision
  };

  std::uint64_t pick(std::uint64_t count) { return random_() % count; }
  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + pick(most - least + 1);
  }
  [[nodiscard]] const std::shared_ptr<const entity_state>& now_of(std::size_t entity) const {
    return out_.entities[entity].moments.back().state;
  }
  [[nodiscard]] const entity_state& now(std::size_t entity) const { return *now_of(entity); }

  void note_commit() {
    auto& noted = out_.commits.emplace_back();
    noted.position = position_;
    for (const auto& one : out_.entities)
      noted.moments.push_back(one.moments.size() - 1);
  }

  void maintain() {
    if (pick(2) == 0)
      out_.steps.push_back({.is = step::what::end_fold});
    for (auto slices = pick(3); slices > 0; --slices)
      out_.steps.push_back({.is = step::what::materialise});
    if (pick(6) == 0)
      out_.steps.push_back(
          {.is = step::what::materialise_one, .entity = out_.entities[pick(lives_.size())].ref});
    if (pick(3) == 0)
      out_.steps.push_back({.is = step::what::compact});
    if (pick(2) == 0)
      out_.steps.push_back({.is = step::what::begin_fold});
  }

  std::vector<commit_request> batch() {
    // Half of the batches have one to three changes.
    const auto most = which_ == workload::append ? 64 : 12;
    const auto count = pick(2) == 0 ? between(1, 3) : between(1, most);
    std::vector<commit_request> out;
    while (out.size() < count) {
      const auto in_set = which_ == workload::fork && pick(4) == 0 ? between(2, 4) : 1;
      const auto before = out.size();
      std::vector<std::size_t> used;
      while (used.size() < in_set) {
        // Four have long lives, and many.
        const auto entity = pick(which_ == workload::fork && pick(3) != 0 ? 4 : lives_.size());
        if (std::find(used.begin(), used.end(), entity) == used.end() && add_change(entity, out))
          used.push_back(entity);
      }
      out[before].together = static_cast<std::uint32_t>(in_set - 1);
      ++position_;
    }
    return out;
  }

  /// Answers whether the entity takes the operation that chance chose.
  bool add_change(std::size_t entity, std::vector<commit_request>& to) {
    clock_ += static_cast<std::int64_t>(pick(1'000));
    auto& one = lives_[entity];
    const auto what = random_operation(entity);
    command request{.entity = out_.entities[entity].ref, .operations = {what}};
    if (pick(4) == 0)
      request.once = idempotency{"p", "key " + std::to_string(random_()), "hash"};
    auto decided = decide(now(entity), request, {.now = {clock_}, .versions = &one.kept});
    if (!decided || !decided->answer.changed)
      return false;
    auto& out = to.emplace_back();
    out.entity = request.entity;
    out.sequence = decided->what.revision;
    out.payload = encode(decided->what);
    out.by_state = folds_by_state(decided->what);
    out.frees = std::holds_alternative<erase>(what);
    if (const auto* fork = std::get_if<fork_from>(&what)) {
      out.base = std::make_shared<const entity_parts>(split_entity(fork->base));
      out.parent = fork->parent;
    }
    if (const auto* merge = std::get_if<merge_fork>(&what)) {
      out.pin = {merge->fork, merge->theirs->revision};
      pin(index_of(merge->fork), merge->theirs->revision);
    }
    become(entity, *std::move(decided), request);
    out.after = now_of(entity);
    return true;
  }

  /// What was pinned before is promised no more, already of the fork's last moment.
  void pin(std::size_t fork, std::uint64_t revision) {
    auto& one = lives_[fork];
    one.merged = revision;
    one.kept.prune(retention_of(now(fork)), {clock_}, {{revision}});
    out_.entities[fork].moments.back().kept = one.kept.revisions();
  }

  void become(std::size_t entity, decision decided, const command& request) {
    auto& one = lives_[entity];
    auto& past = out_.entities[entity];
    if (decided.answer.created)
      one = {.kept = timeline{decided.next, {clock_}}};
    else
      one.kept.push(decided.next, {clock_});
    std::vector<std::uint64_t> pins;
    if (one.merged)
      pins.push_back(*one.merged);
    one.kept.prune(retention_of(decided.next), {clock_}, pins);
    auto& next = past.moments.emplace_back();
    if (decided.next.live())  // nothing before a deletion is promised
      next.kept = one.kept.revisions();
    next.state = std::make_shared<const entity_state>(std::move(decided.next));
    if (request.once)
      past.answers.push_back({past.moments.size() - 1, request.once->key, decided.answer});
  }

  [[nodiscard]] std::size_t index_of(const entity_ref& ref) const {
    const auto found = std::find_if(out_.entities.begin(), out_.entities.end(),
                                    [&](const auto& x) { return x.ref == ref; });
    return static_cast<std::size_t>(found - out_.entities.begin());
  }

  operation random_operation(std::size_t entity) {
    if (!now(entity).live())
      return beginning(entity);
    switch (which_) {
      case workload::append: return pick(8) == 0 ? set_something() : growth(entity);
      case workload::truncate: return pick(2) == 0 ? growth(entity) : revision(entity);
      case workload::fork: break;
    }
    switch (pick(8)) {
      case 0: return erase{};
      case 1: return merge(entity);
      case 2:
      case 3: return revision(entity);
      default: return growth(entity);
    }
  }

  operation beginning(std::size_t entity) {
    const auto from = pick(lives_.size());
    const auto& parent = lives_[from].kept;
    if (which_ == workload::fork && pick(3) != 0 && now(from).live()
        && out_.entities[from].ref.kind == out_.entities[entity].ref.kind) {
      const auto revisions = parent.revisions();
      const auto* base = parent.at(revisions[pick(revisions.size())]);
      if (base->live())
        return fork_from{out_.entities[from].ref, std::make_shared<const entity_state>(*base)};
    }
    entity_info info;
    info.tags = {"tag " + std::to_string(pick(5))};
    info.limits.keep_revisions = which_ == workload::append ? 1 : pick(6);
    return create{info};
  }

  /// Something that looks at or names a revision.
  operation revision(std::size_t entity) {
    const auto id = "c" + std::to_string(pick(4));
    switch (pick(8)) {
      case 0:
      case 1: return create_checkpoint{.id = id};
      case 2: return delete_checkpoint{.id = id};
      case 3: return restore{id};
      case 4: return undo{1};
      case 5: return redo{1};
      case 6:
        return which_ == workload::truncate && pick(8) == 0 ? operation{erase{}}
                                                            : operation{pop_items{1 + pick(40)}};
      default: return growth(entity);
    }
  }

  operation merge(std::size_t entity) {
    for (std::size_t i = 0; i < lives_.size(); ++i) {
      const auto& fork = now(i);
      const auto& parent = out_.entities[entity].ref;
      if (!fork.live() || !fork.forked_from || fork.forked_from->parent != parent)
        continue;
      const auto& ref = out_.entities[i].ref;
      if (const auto* base = lives_[i].kept.at(merge_base(now(entity), ref, fork)))
        return merge_fork{.fork = ref,
                          .base = std::make_shared<const entity_state>(*base),
                          .theirs = out_.entities[i].moments.back().state,
                          .strategy = merge_strategy::theirs};
    }
    return growth(entity);
  }

  operation growth(std::size_t entity) {
    if (out_.entities[entity].ref.kind != entity_kind::session || pick(6) == 0)
      return set_something();
    append_items out;
    const bool chunk = which_ != workload::append && pick(3) == 0;
    for (auto n = chunk ? between(10, 40) : between(1, 2); n > 0; --n)
      out.items.push_back(value::map({{"text", text(chunk ? pick(200) : value_bytes())}}));
    return out;
  }

  operation set_something() {
    return patch_state{
        {set_key{.key = "key " + std::to_string(pick(5)), .data = value{text(value_bytes())}}}};
  }

  /// Most values are small, some fill pages, a few take overflow pages of their own.
  std::size_t value_bytes() {
    switch (pick(20)) {
      case 0: return between(4'000, 20'000);
      case 1:
      case 2: return between(500, 3'000);
      default: return between(1, 200);
    }
  }

  /// Characters that no other place has, and that hardly compress.
  std::string text(std::size_t size) {
    std::string out(size, '\0');
    std::uint64_t block = 0;
    for (std::size_t i = 0; i < size; ++i) {
      if (i % 8 == 0)
        block = random_();
      out[i] = static_cast<char>('0' + (block >> (i % 8 * 8) & 63));
    }
    return out;
  }

  workload which_;
  std::mt19937_64 random_;
  std::vector<life> lives_;
  std::uint64_t position_ = 0;
  std::int64_t clock_ = 1'000'000;
  plan out_;
};

}  // namespace

std::string_view to_string(workload which) noexcept {
  switch (which) {
    case workload::append: return "append";
    case workload::truncate: return "truncate";
    case workload::fork: return "fork";
  }
  return "?";
}

const entity_state* history::at(std::uint64_t revision) const {
  const auto found = std::lower_bound(
      moments.begin(), moments.end(), revision,
      [](const moment& x, std::uint64_t wanted) { return x.state->revision < wanted; });
  return found != moments.end() && found->state->revision == revision ? found->state.get()
                                                                      : nullptr;
}

plan make_plan(workload which, std::uint64_t seed, std::size_t commits) {
  return planner{which, seed}.make(commits);
}

journal_options small_bounds() {
  journal_options out;
  out.slice_bytes = 8 << 10;
  out.covered_bytes = 4 << 10;
  out.clean_entries = 4;
  out.log_bytes = 32 << 10;
  out.reserve_bytes = 128 << 10;
  out.mark_interval = {};      // at every commit
  out.check_in_child = false;  // who opens an image is a child already
  return out;
}

}  // namespace troupe::power
