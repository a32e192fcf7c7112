// Random lives of some sessions, with forks, checkpoints, undo and deletion, in a store that folds,
// frees, erases, is killed and reopens between them, with slices that are prepared while all that
// goes on, beside the states as they were decided. TROUPE_SEED and TROUPE_SEQUENCES are as in
// docs/testing.md.

#include <troupe/persistence/verify.hpp>
#include <troupe/state/decide.hpp>

#include "store_fixture.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <random>

using namespace troupe;
using namespace troupe::testing;

namespace {

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const auto* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class lives {
public:
  explicit lives(std::uint64_t seed) : random_{seed} {
    for (int i = 0; i < 6; ++i)
      all_.emplace_back(session_ref("s" + std::string(static_cast<std::size_t>(i), 'x')));
    options_.map_bytes = 256 << 20;
    options_.slice_bytes = 4 << 10;
    options_.clean_entries = 4;
    options_.covered_bytes = 2'000;
    options_.log_bytes = 64 << 10;
    reopen();
  }

  /// What disagreed, or nothing.
  std::string run(int steps) {
    for (int i = 0; i < steps; ++i) {
      clock_ += pick(1'000);
      auto wrong = pick(10) == 0 ? maintain() : pick(6) == 0 ? fold() : write();
      if (wrong.empty())
        wrong = check(all_[pick(all_.size())], pick(4) == 0);
      if (!wrong.empty())
        return "step " + std::to_string(i) + ": " + wrong;
    }
    for (auto& one : all_)
      if (auto wrong = check(one, true); !wrong.empty())
        return "at the end: " + wrong;
    reopen();
    return {};
  }

private:
  struct life {
    explicit life(entity_ref name) : ref{std::move(name)} {}
    entity_ref ref;
    std::map<std::uint64_t, entity_state> states{{0, entity_state{}}};
    timeline kept{entity_state{}};
    std::map<std::string, std::uint64_t> answered;  // key to revision, of this store's time
    [[nodiscard]] const entity_state& now() const { return states.rbegin()->second; }
  };

  std::uint64_t pick(std::uint64_t n) { return random_() % n; }

  void reopen() {
    job_.reset();
    const bool killed = store_ && pick(2) == 0;
    if (killed)
      copy_as_killed(dir_, dir_.path() / "killed");
    if (std::exchange(store_, std::nullopt)) {
      if (killed) {
        std::filesystem::remove_all(dir_.store());
        std::filesystem::rename(dir_.path() / "killed", dir_.store());
      }
      const auto verified = verify_store(dir_.store());
      REQUIRE_MESSAGE(verified, (verified ? "" : verified.error().message));
      REQUIRE_MESSAGE(verified->sound(), verified->faults.front());
    }
    auto opened = journal_store::open(dir_.store(), options_, fold_entities());
    REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().message));
    store_.emplace(std::move(*opened));
  }

  /// A state of one that is in memory now and then, the newest or an older one.
  std::shared_ptr<const entity_state> live(const entity_ref& entity) {
    const auto one = std::ranges::find(all_, entity, &life::ref);
    if (one == all_.end() || pick(4) == 0)
      return nullptr;
    const auto back = pick(3) == 0 ? pick(one->states.size()) : 0;
    return std::make_shared<const entity_state>(
        std::prev(one->states.end(), static_cast<std::ptrdiff_t>(back) + 1)->second);
  }

  /// Begins a job, runs it, takes it back, or forgets it: what comes between is up to chance.
  std::string fold() {
    if (!job_) {
      auto begun = store_->begin_fold([this](const entity_ref& x) { return live(x); });
      if (!begun)
        return "begin_fold: " + begun.error().message;
      job_ = *std::move(begun);
      ran_ = false;
      return {};
    }
    if (!ran_) {
      job_->run();
      ran_ = true;
      return {};
    }
    const auto job = std::move(job_);
    if (pick(10) == 0)
      return {};
    const auto done = store_->end_fold(*job);
    return done ? "" : "end_fold: " + done.error().message;
  }

  std::string erase_one() {
    auto& one = all_[pick(all_.size())];
    if (one.now().live() || one.now().revision == 0)
      return {};
    const auto done = store_->erase(one.ref);
    one.answered.clear();
    return done ? "" : "erase: " + done.error().message;
  }

  std::string maintain() {
    switch (pick(5)) {
      case 0: reopen(); return {};
      case 3: return erase_one();
      case 1: {
        const auto done = store_->compact();
        return done ? "" : "compact: " + done.error().message;
      }
      case 2: {
        const auto done = store_->materialise(all_[pick(all_.size())].ref);
        return done ? "" : "materialise one: " + done.error().message;
      }
      default: {
        const auto done = store_->materialise();
        return done ? "" : "materialise: " + done.error().message;
      }
    }
  }

  operation random_operation(const life& of) {
    if (!of.now().live()) {
      const auto& parent = all_[pick(all_.size())];
      if (parent.now().live() && pick(2) == 0) {
        const auto revisions = parent.kept.revisions();
        const auto* base = parent.kept.at(revisions[pick(revisions.size())]);
        if (base->live())
          return fork_from{parent.ref, std::make_shared<const entity_state>(*base)};
      }
      entity_info info;
      info.limits.keep_revisions = pick(12);
      return create{info};
    }
    switch (pick(14)) {
      case 0: return pop_items{1 + pick(60)};
      case 1: return undo{1};
      case 2: return redo{1};
      case 3: return create_checkpoint{.id = "c" + std::to_string(pick(4))};
      case 4: return delete_checkpoint{.id = "c" + std::to_string(pick(4))};
      case 5: return restore{"c" + std::to_string(pick(4))};
      case 6: return patch_state{{set_key{.key = "k", .data = value{pick(100)}}}};
      case 7:
        if (pick(8) == 0)
          return erase{};
        [[fallthrough]];
      default: {
        append_items out;
        for (auto n = 1 + pick(20); n > 0; --n)
          out.items.push_back(value::map({{"t", std::string(pick(700), 'x')}, {"n", pick(1000)}}));
        return out;
      }
    }
  }

  /// One change, or a set of two.
  std::string write() {
    std::vector<commit_request> requests;
    std::vector<std::pair<life*, decision>> made;
    const auto wanted = pick(6) == 0 ? 2U : 1U;
    while (requests.size() < wanted) {
      auto& one = all_[pick(all_.size())];
      if (!made.empty() && made.front().first == &one)
        continue;
      const auto what = random_operation(one);
      command request{.entity = one.ref, .operations = {what}, .expected_revision = {}};
      if (pick(5) == 0)
        request.once = idempotency{"p", "key " + std::to_string(pick(1'000'000)), "h"};
      auto decided = decide(one.now(), request, {.now = {clock_}, .versions = &one.kept});
      if (!decided || !decided->answer.changed) {
        if (!made.empty())
          break;
        return {};
      }
      commit_request out;
      out.entity = one.ref;
      out.sequence = decided->what.revision;
      out.payload = encode(decided->what);
      out.by_state = folds_by_state(decided->what);
      if (const auto* fork = std::get_if<fork_from>(&what)) {
        out.base = std::make_shared<const entity_parts>(split_entity(fork->base));
        out.parent = fork->parent;
      }
      requests.push_back(std::move(out));
      made.emplace_back(&one, *std::move(decided));
    }
    requests.front().together = static_cast<std::uint32_t>(requests.size() - 1);
    for (const auto& done : store_->commit(requests))
      if (!done)
        return "commit: " + done.error().message;
    for (auto& [one, decided] : made) {
      if (decided.answer.created) {
        one->kept = timeline{decided.next, {clock_}};
        one->states.clear();
      } else {
        one->kept.push(decided.next, {clock_});
      }
      one->states[decided.next.revision] = decided.next;
      one->kept.prune(retention_of(decided.next), {clock_});
      if (const auto& once = decided.what.asked_by)
        one->answered[once->key] = decided.what.revision;
    }
    return {};
  }

  std::string check(const life& one, bool past) {
    const auto name = to_string(one.ref);
    const auto stored = store_->load(one.ref);
    if (!stored)
      return name + " cannot be loaded: " + stored.error().message;
    const auto state = join_entity(stored->parts);
    if (!state)
      return name + " cannot be joined: " + state.error().message;
    if (encode(*state) != encode(one.now()))
      return name + " is not what was written at revision " + std::to_string(one.now().revision);
    if (auto wrong = check_answers(one, *stored); !wrong.empty())
      return name + wrong;
    if (!past || !one.now().live())
      return {};
    for (const auto revision : one.kept.revisions()) {
      const auto at = store_->load_at(one.ref, revision);
      if (!at)
        return name + " has lost revision " + std::to_string(revision) + ": " + at.error().message;
      const auto then = join_entity(at->parts);
      if (!then || encode(*then) != encode(*one.kept.at(revision)))
        return name + " is another at revision " + std::to_string(revision);
    }
    return {};
  }

  static std::string check_answers(const life& one, const stored_entity& stored) {
    std::map<std::string, std::uint64_t> found;
    for (const auto& bytes : stored.answers) {
      const auto kept = decode_answer(bytes);
      if (!kept)
        return " has an answer that cannot be read";
      found[kept->asked.key] = kept->answer.revision;
    }
    for (const auto& bytes : stored.parts.changes) {
      const auto what = decode_change(bytes);
      if (what && what->asked_by)
        found[what->asked_by->key] = what->revision;
    }
    for (const auto& [key, revision] : one.answered)
      if (!found.contains(key) || found[key] != revision)
        return " has forgotten what it answered to " + key;
    return {};
  }

  std::mt19937_64 random_;
  memory_directory dir_;
  journal_options options_;
  std::optional<journal_store> store_;
  std::unique_ptr<fold_job> job_;
  bool ran_ = false;
  std::vector<life> all_;
  std::int64_t clock_ = 1'000'000;
};

}  // namespace

TEST_CASE("whatever happens to the store a session and its kept past are what was decided") {
  const auto seed = number_from("TROUPE_SEED", 1);
  const auto sequences = number_from("TROUPE_SEQUENCES", 8);
  for (std::uint64_t i = 0; i < sequences; ++i) {
    const auto wrong = lives{seed * 1'000 + i}.run(400);
    REQUIRE_MESSAGE(wrong.empty(), "TROUPE_SEED=", seed, " sequence ", i, ": ", wrong);
  }
}
