#pragma once

/// A writer of the kill campaign and what its entities must be. Its commands are a function of the
/// seed, of how many there were before and of those states: the process that is killed and the one
/// that kills it agree on each without talking.

#include <troupe/state/change_set.hpp>
#include <troupe/state/versions.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

class kill_writer {
public:
  static constexpr timestamp now{1'000'000};  // of every command

  /// One command, or a change set of several entities.
  struct asked {
    change_set sent;               ///< the runtime finds the other states it needs ...
    std::vector<command> request;  ///< ... which stand here
  };
  using decisions = expected<std::vector<decision>>;

  kill_writer(std::size_t number, std::uint64_t seed) : number_{number}, seed_{seed} {
    for (int i = 0; i < 5; ++i)
      lives_.push_back({session_ref("w" + std::to_string(number) + "s" + std::to_string(i))});
  }

  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }  ///< of commands before the next
  [[nodiscard]] bool waits() const { return waits_; }           ///< the next one may have been made

  [[nodiscard]] std::vector<std::pair<entity_ref, const entity_state&>> states() const {
    std::vector<std::pair<entity_ref, const entity_state&>> out;
    for (const auto& one : lives_)
      out.emplace_back(one.ref, one.kept.current());
    return out;
  }

  [[nodiscard]] asked next() const {
    std::mt19937_64 random{seed_ * 1'000'003 + number_ * 10'000'019 + count_};
    std::vector<std::size_t> who(lives_.size());
    std::iota(who.begin(), who.end(), std::size_t{0});
    std::shuffle(who.begin(), who.end(), random);
    who.resize(random() % 3 == 0 ? 2 + random() % (lives_.size() - 1) : 1);
    asked out;
    for (const auto at : who)
      add_command(at, random, out);
    if (random() % 3 != 0)
      out.sent.once =
          idempotency{"p", "w" + std::to_string(number_) + "." + std::to_string(count_), "h"};
    for (auto& one : out.request)
      one.once = out.sent.once;
    return out;
  }

  /// All of them or the first refusal, in the order of their entities.
  [[nodiscard]] decisions decide(const asked& what) const {
    decisions out{std::vector<decision>(what.request.size())};
    const auto order = set_order(what.request);
    for (const auto i : *order) {
      auto one = decide(what.request[i]);
      if (!one)
        return tl::unexpected(one.error());
      (*out)[i] = *std::move(one);
    }
    return out;
  }

  /// The next command is on its way.
  void begin() { waits_ = true; }

  /// It was answered, or found.
  void become(const asked& what, const decisions& decided) {
    waits_ = false;
    ++count_;
    if (!decided)
      return;
    for (const auto& one : what.request)
      if (const auto* merge = std::get_if<merge_fork>(&one.operations.front()))
        pin(lives_[index_of(merge->fork)], merge->theirs->revision);
    bool changed = false;
    for (std::size_t i = 0; i < decided->size(); ++i) {
      if (!(*decided)[i].answer.changed)
        continue;
      changed = true;
      take(lives_[index_of(what.request[i].entity)], (*decided)[i]);
    }
    if (what.sent.once && changed)
      keyed_ = {what, decided};
  }

  /// Now and then, what was acknowledged under a key, and what it was answered.
  [[nodiscard]] const std::pair<asked, decisions>* to_repeat() const {
    return keyed_ && count_ % 8 == 0 ? &*keyed_ : nullptr;
  }

private:
  struct life {
    entity_ref ref;
    timeline kept{entity_state{}};
    std::optional<std::uint64_t> merged{};  ///< its parent stands on this revision
  };

  [[nodiscard]] expected<decision> decide(const command& what) const {
    const auto& one = lives_[index_of(what.entity)];
    return troupe::decide(one.kept.current(), what, {.now = now, .versions = &one.kept});
  }

  void add_command(std::size_t at, std::mt19937_64& random, asked& to) const {
    command out;
    out.entity = lives_[at].ref;
    out.operations = {random_operation(at, random)};
    // A store may keep more than it promised.
    if (const auto made = decide(out); !made && made.error().code == errc::revision_gone)
      out.operations = {growth(random)};
    to.request.push_back(out);
    if (auto* fork = std::get_if<fork_from>(&out.operations.front()))
      fork->base = nullptr;
    if (auto* merge = std::get_if<merge_fork>(&out.operations.front()))
      merge->base = merge->theirs = nullptr;
    to.sent.commands.push_back(std::move(out));
  }

  static void take(life& one, const decision& made) {
    if (made.answer.created)
      one = {.ref = one.ref, .kept = timeline{made.next, now}};
    else
      one.kept.push(made.next, now);
    std::vector<std::uint64_t> pins;
    if (one.merged)
      pins.push_back(*one.merged);
    one.kept.prune(retention_of(made.next), now, pins);
  }

  [[nodiscard]] std::size_t index_of(const entity_ref& ref) const {
    std::size_t i = 0;
    while (lives_[i].ref != ref)
      ++i;
    return i;
  }

  /// What was pinned before is promised no more.
  static void pin(life& fork, std::uint64_t revision) {
    fork.merged = revision;
    fork.kept.prune(retention_of(fork.kept.current()), now, {{revision}});
  }

  [[nodiscard]] operation random_operation(std::size_t at, std::mt19937_64& random) const {
    const auto& one = lives_[at];
    const auto id = "c" + std::to_string(random() % 3);
    if (!one.kept.current().live())
      return beginning(at, random);
    switch (random() % 16) {
      case 0: return undo{1};
      case 1: return redo{1};
      case 2:
      case 3: return create_checkpoint{.id = id};
      case 4: return delete_checkpoint{.id = id};
      case 5: return restore{id};
      case 6: return pop_items{1 + random() % 30};
      case 7: return merge(at);
      case 8:
        if (random() % 2 == 0)
          return erase{};
        [[fallthrough]];
      case 9:
        return patch_state{{set_key{.key = "k" + std::to_string(random() % 4),
                                    .data = value{std::string(random() % 500, 'y')}}}};
      default: return growth(random);
    }
  }

  [[nodiscard]] operation growth(std::mt19937_64& random) const {
    append_items out;
    for (auto n = 1 + random() % 6; n > 0; --n)
      out.items.push_back(value::map({{"n", count_}, {"pad", std::string(random() % 900, 'x')}}));
    return out;
  }

  [[nodiscard]] operation beginning(std::size_t at, std::mt19937_64& random) const {
    const auto& parent = lives_[random() % lives_.size()];
    if (random() % 2 == 0 && &parent != &lives_[at] && parent.kept.current().live()) {
      const auto revisions = parent.kept.revisions();
      const auto revision = revisions[random() % revisions.size()];
      const auto* base = parent.kept.at(revision);
      if (base->live())
        return fork_from{parent.ref, std::make_shared<const entity_state>(*base), revision};
    }
    entity_info info;
    info.limits.keep_revisions = random() % 10;
    return create{info};
  }

  [[nodiscard]] operation merge(std::size_t at) const {
    const auto& parent = lives_[at];
    for (const auto& fork : lives_) {
      const auto& state = fork.kept.current();
      if (!state.live() || !state.forked_from || state.forked_from->parent != parent.ref)
        continue;
      const auto* base = fork.kept.at(merge_base(parent.kept.current(), fork.ref, state));
      if (base != nullptr)
        return merge_fork{.fork = fork.ref,
                          .base = std::make_shared<const entity_state>(*base),
                          .theirs = std::make_shared<const entity_state>(state),
                          .strategy = merge_strategy::theirs};
    }
    return clear_state{};
  }

  std::size_t number_;
  std::uint64_t seed_;
  std::uint64_t count_ = 0;
  bool waits_ = false;
  std::vector<life> lives_;
  std::optional<std::pair<asked, decisions>> keyed_;
};

}  // namespace troupe::testing
