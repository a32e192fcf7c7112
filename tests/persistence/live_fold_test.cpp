// Entities that are folded from the state that is in memory, in place of what was stored of them.

#include <troupe/persistence/verify.hpp>
#include <troupe/state/decide.hpp>

#include "store_fixture.hpp"

#include <memory>
#include <optional>

using namespace troupe;
using namespace troupe::testing;

namespace {

/// A session of so many items, with what was stored of it, and what a fold of the stored would be.
struct told_session {
  explicit told_session(int items) {
    decide_on(create{});
    for (int i = 0; i < items; ++i)
      append();
  }
  void append() { decide_on(append_items{{value::map({{"n", states.back()->revision}})}}); }
  void decide_on(operation what, std::optional<idempotency> once = {}) {
    const command request{.entity = session_ref("a"), .operations = {what}, .once = once};
    auto made = decide(*states.back(), request, {.now = {1}});
    REQUIRE(made);
    commit_request out;
    out.entity = request.entity;
    out.sequence = made->what.revision;
    out.payload = encode(made->what);
    out.by_state = folds_by_state(made->what);
    changes.push_back(std::move(out));
    states.push_back(std::make_shared<const entity_state>(std::move(made->next)));
  }
  std::vector<std::shared_ptr<const entity_state>> states{std::make_shared<const entity_state>()};
  std::vector<commit_request> changes;
};

/// A store whose fold counts the entities that were read to be folded.
struct counting_store {
  memory_directory dir;
  std::shared_ptr<int> reads = std::make_shared<int>(0);
  std::optional<journal_store> store;

  counting_store() { reopen(); }
  void reopen() {
    store.reset();
    auto out = journal_store::open(
        dir.store(), small_map(),
        [reads = reads](entity_kind, const stored_parts& x) { return ++*reads, fold_entity(x); });
    REQUIRE(out);
    store.emplace(*std::move(out));
  }
  void write(const told_session& what, std::size_t from, std::size_t to) {
    for (auto i = from; i < to; ++i)
      REQUIRE(commit(*store, what.changes[i]));
  }
  void end(fold_job& job) {
    job.run();
    const auto done = store->end_fold(job);
    REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
  }
  /// How many entities were read.
  int folds(const std::shared_ptr<const entity_state>& live) {
    const auto before = *reads;
    while (auto job = *store->begin_fold([&](const entity_ref&) { return live; }))
      end(*job);
    return *reads - before;
  }
  /// What is stored is `state`.
  void holds(const entity_state& state) {
    const auto stored = store->load(session_ref("a"));
    REQUIRE(stored);
    const auto joined = join_entity(stored->parts);
    REQUIRE(joined);
    CHECK(encode(*joined) == encode(state));
  }
  [[nodiscard]] bool sound() const {
    const auto report = verify_store(dir.store());
    return report && report->sound();
  }
};

}  // namespace

TEST_CASE("an entity that is live at its newest is folded without being read") {
  counting_store one;
  const told_session what{100};
  one.write(what, 0, 50);
  CHECK(one.folds(what.states[50]) == 0);
  CHECK(one.store->load(session_ref("a"))->parts.chunks.size() == 1);
  one.write(what, 50, 101);
  CHECK(one.folds(what.states[101]) == 0);
  CHECK(one.store->load(session_ref("a"))->parts.chunks.size() == 3);
  CHECK(one.store->stats().tail_bytes == 0);
  one.holds(*what.states[101]);
  CHECK(one.store->load_at(session_ref("a"), 60)->sequence == 60);
  one.store.reset();
  CHECK(one.sound());
}

TEST_CASE("an entity that is live at another revision than its newest is read to be folded") {
  counting_store one;
  const told_session what{10};
  one.write(what, 0, 10);
  CHECK(one.folds(what.states[9]) == 1);
  one.holds(*what.states[10]);
  one.write(what, 10, 11);
  CHECK(one.folds(nullptr) == 1);
  one.holds(*what.states[11]);
}

TEST_CASE("an entity whose tail has an answer or takes items away is read once and then no more") {
  for (const bool answer : {true, false}) {
    CAPTURE(answer);
    counting_store one;
    told_session what{40};
    if (answer)
      what.decide_on(append_items{{value::map({})}}, idempotency{"me", "key", "hash"});
    else
      what.decide_on(pop_items{20});
    what.append();
    one.write(what, 0, what.changes.size());
    CHECK(one.folds(what.states.back()) == 1);
    CHECK(one.store->load(session_ref("a"))->answers.size() == (answer ? 1U : 0U));
    one.holds(*what.states.back());

    what.append();
    one.write(what, what.changes.size() - 1, what.changes.size());
    CHECK(one.folds(what.states.back()) == 0);
    one.holds(*what.states.back());
    CHECK(one.store->load(session_ref("a"))->answers.size() == (answer ? 1U : 0U));
    one.store.reset();
    CHECK(one.sound());
  }
}

TEST_CASE("what comes while an entity is folded says whether the rest of its tail is to be read") {
  counting_store one;
  told_session what{10};
  one.write(what, 0, 11);
  const auto fold_while = [&](auto&& comes) {
    const auto reads = *one.reads;
    const auto live = what.states.back();
    auto job = *one.store->begin_fold([&](const entity_ref&) { return live; });
    REQUIRE(job != nullptr);
    const auto from = what.changes.size();
    comes();
    one.write(what, from, what.changes.size());
    one.end(*job);
    return *one.reads - reads;
  };
  CHECK(fold_while([&] {
          what.append();
          what.decide_on(append_items{{value::map({})}}, idempotency{"me", "key", "hash"});
          what.append();
        })
        == 0);
  CHECK(fold_while([&] { what.append(); }) == 1);
  CHECK(one.store->load(session_ref("a"))->answers.size() == 1);
  CHECK(one.folds(what.states.back()) == 0);
  one.holds(*what.states.back());
}

TEST_CASE("a slice asks for few states and those that follow go on behind it") {
  memory_directory dir;
  constexpr std::size_t sessions = 1'300;
  journal_options options = small_map();
  auto opened = journal_store::open(dir.store(), options, fold_entities());
  REQUIRE(opened);
  auto& store = *opened;
  std::vector<commit_request> all;
  for (std::size_t i = 0; i < sessions; ++i) {
    told_session one{0};
    all.push_back(one.changes.front());
    all.back().entity.id = "s" + std::to_string(i);
    if (i > 0 && i % 2 == 0)  // two of a set are one record, and one stands alone in front
      all[i - 1].together = 1;
  }
  for (const auto& done : store.commit(all))
    REQUIRE(done);
  const told_session one{0};
  std::size_t asked = 0, slices = 0;
  for (bool more = true; more; ++slices) {
    asked = 0;
    const auto job =
        *store.begin_fold([&](const entity_ref&) { return ++asked, one.states.back(); });
    REQUIRE(job != nullptr);
    CHECK(asked > 0);
    CHECK(asked <= 513);
    job->run();
    const auto done = store.end_fold(*job);
    REQUIRE(done);
    more = *done;
  }
  CHECK(slices == 3);
  CHECK(store.stats().live_folds == sessions);
  CHECK(store.stats().tail_bytes == 0);
}

TEST_CASE("after a start what the journal holds is read once") {
  counting_store one;
  told_session what{10};
  one.write(what, 0, 11);
  one.reopen();
  CHECK(one.folds(what.states.back()) == 1);
  what.append();
  one.write(what, 11, 12);
  CHECK(one.folds(what.states.back()) == 0);
  one.holds(*what.states.back());
}
