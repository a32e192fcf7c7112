// What every store promises, said once and asked of each.

#include <troupe/persistence/memory_store.hpp>
#include <troupe/persistence/verify.hpp>
#include <troupe/state/decide.hpp>

#include "store_fixture.hpp"

#include <random>

using namespace troupe;
using namespace troupe::testing;

namespace {

struct on_disk {
  on_disk() : store{open(small_map())} {}

  journal_store open(const journal_options& options) const {
    auto out = journal_store::open(dir.store(), options, fold_entities());
    REQUIRE(out);
    return std::move(*out);
  }
  /// Everything folded, freed and opened again: what can be told from before is a fault.
  void settle() {
    materialise_all_of(store);
    { const auto closed = std::move(store); }
    auto options = small_map();
    options.covered_bytes = 0;
    store = open(options);
    while (*store.compact()) {
    }
  }

  memory_directory dir;
  journal_store store;
};

struct in_memory {
  void settle() { REQUIRE(store.materialise()); }

  memory_store store{fold_entities()};
};

/// One entity whose changes are decided and committed, with all its states.
class writer {
public:
  writer(store& to, std::string id) : store_{to}, ref_{session_ref(std::move(id))} {}

  commit_request next(const operation& what, std::optional<idempotency> once = {}) {
    const auto decided = decide(
        states_.back(),
        {.entity = ref_, .operations = {what}, .expected_revision = {}, .once = std::move(once)},
        {.now = {clock += 1}});
    REQUIRE_MESSAGE(decided, (decided ? "" : decided.error().message));
    commit_request out;
    out.entity = ref_;
    out.sequence = decided->what.revision;
    out.payload = encode(decided->what);
    if (const auto* fork = std::get_if<fork_from>(&what)) {
      out.base = std::make_shared<const entity_parts>(split_entity(fork->base));
      out.parent = fork->parent;
    }
    states_.push_back(decided->next);
    return out;
  }

  writer& does(const operation& what, std::optional<idempotency> once = {}) {
    const auto request = next(what, std::move(once));
    const auto done = store_.commit({&request, 1});
    REQUIRE_MESSAGE(done.front(), (done.front() ? "" : done.front().error().message));
    return *this;
  }
  writer& says(const std::string& text) {
    return does(append_items{{value::map({{"text", text}})}});
  }

  std::int64_t clock = 1'000'000;

  [[nodiscard]] const entity_state& state() const { return states_.back(); }
  [[nodiscard]] const std::vector<entity_state>& states() const { return states_; }
  [[nodiscard]] const entity_ref& ref() const { return ref_; }

private:
  store& store_;
  entity_ref ref_;
  std::vector<entity_state> states_{entity_state{}};
};

entity_state loaded(store& from, const entity_ref& ref) {
  const auto stored = from.load(ref);
  REQUIRE_MESSAGE(stored, (stored ? "" : stored.error().message));
  const auto state = join_entity(stored->parts);
  REQUIRE_MESSAGE(state, (state ? "" : state.error().message));
  CHECK(state->revision == stored->sequence);
  return *state;
}

entity_state loaded_at(store& from, const entity_ref& ref, std::uint64_t revision) {
  const auto stored = from.load_at(ref, revision);
  REQUIRE_MESSAGE(stored, (stored ? "" : stored.error().message));
  const auto state = join_entity(stored->parts);
  REQUIRE_MESSAGE(state, (state ? "" : state.error().message));
  return *state;
}

errc fault_at(store& from, const entity_ref& ref, std::uint64_t revision) {
  const auto stored = from.load_at(ref, revision);
  return stored ? errc{} : stored.error().code;
}

std::vector<std::string> ids(const listing& page) {
  std::vector<std::string> out;
  for (const auto& row : page.rows)
    out.push_back(row.id);
  return out;
}

}  // namespace

TEST_CASE_TEMPLATE("a loaded entity is the one that was written", Store, on_disk, in_memory) {
  Store s;
  writer a{s.store, "a"};
  a.does(create{});
  for (int i = 0; i < 100; ++i)
    a.says(std::string(static_cast<std::size_t>(i) * 20, 'x'));
  CHECK(loaded(s.store, a.ref()) == a.state());
  s.settle();
  CHECK(loaded(s.store, a.ref()) == a.state());
  a.does(pop_items{50}).says("again").does(erase{});
  CHECK(loaded(s.store, a.ref()) == a.state());
  s.settle();
  CHECK(loaded(s.store, a.ref()) == a.state());
  a.does(create{}).says("another life");
  CHECK(loaded(s.store, a.ref()) == a.state());
}

TEST_CASE_TEMPLATE("a set of changes is made wholly or not at all", Store, on_disk, in_memory) {
  Store s;
  writer a{s.store, "a"}, b{s.store, "b"}, c{s.store, "c"};
  std::vector<commit_request> requests{a.next(create{}), b.next(create{}), c.next(create{})};
  requests.front().together = 2;
  const auto done = s.store.commit(requests);
  REQUIRE(done.size() == 3);
  for (const auto& one : done)
    CHECK(one->position == 1);
  SUBCASE("one that does not follow refuses all") {
    std::vector<commit_request> more{a.next(patch_state{{set_key{.key = "k", .data = value{1}}}}),
                                     b.next(patch_state{{set_key{.key = "k", .data = value{2}}}})};
    more.front().together = 1;
    more.back().sequence = 7;
    more.push_back(c.next(patch_state{{set_key{.key = "k", .data = value{3}}}}));
    const auto refused = s.store.commit(more);
    CHECK(refused[0].error().code == errc::store_failed);
    CHECK(refused[1].error().code == errc::store_failed);
    CHECK(refused[2]->position == 2);
    s.settle();
    CHECK(loaded(s.store, a.ref()) == a.states()[1]);
    CHECK(loaded(s.store, b.ref()) == b.states()[1]);
    CHECK(loaded(s.store, c.ref()) == c.state());
  }
  SUBCASE("an entity that is named twice refuses all") {
    auto twice = a.next(patch_state{{set_key{.key = "k", .data = value{1}}}});
    std::vector<commit_request> more{twice, twice};
    more.front().together = 1;
    const auto refused = s.store.commit(more);
    CHECK(refused[0].error().code == errc::store_failed);
    CHECK(refused[1].error().code == errc::store_failed);
    CHECK(loaded(s.store, a.ref()) == a.states()[1]);
  }
  SUBCASE("its changes are read back in one place of the journal") {
    std::vector<std::string> read;
    REQUIRE(s.store.for_each_record(1, 9, [&](const journal_record& x) {
      read.push_back(x.entity.id + std::to_string(x.position) + std::to_string(x.sequence));
      return true;
    }));
    CHECK(read == std::vector<std::string>{"a11", "b11", "c11"});
  }
}

TEST_CASE_TEMPLATE("an earlier revision is the state it was", Store, on_disk, in_memory) {
  Store s;
  writer a{s.store, "a"};
  entity_info info;
  info.limits.keep_revisions = 10;
  a.does(create{info});
  for (int i = 0; i < 20; ++i)
    a.says(std::string(900, 'x'));
  a.does(create_checkpoint{.id = "c"});
  const auto pinned = a.state().revision - 1;
  const auto check = [&] {
    const auto newest = a.state().revision;
    for (auto r = newest - 10; r <= newest; ++r)
      CHECK(loaded_at(s.store, a.ref(), r) == a.states()[r]);
    CHECK(loaded_at(s.store, a.ref(), pinned) == a.states()[pinned]);
    CHECK(fault_at(s.store, a.ref(), newest + 1) == errc::revision_gone);
    CHECK(fault_at(s.store, a.ref(), 0) == errc::revision_gone);
  };
  check();
  s.settle();
  check();
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 7; ++i)
      a.says("more");
    if (round % 3 == 0)
      a.does(pop_items{5});
    if (round % 2 == 0)
      s.settle();
    check();
  }
}

TEST_CASE_TEMPLATE("a fork is what its parent was and goes its own way", Store, on_disk,
                   in_memory) {
  Store s;
  writer parent{s.store, "parent"}, fork{s.store, "fork"};
  parent.does(create{});
  for (int i = 0; i < 100; ++i)
    parent.says(std::string(500, 'p'));
  SUBCASE("of a parent that is folded") {
    s.settle();
  }
  SUBCASE("of one that is not") {}
  SUBCASE("under an id that was used before") {
    fork.does(create{});
    for (int i = 0; i < 40; ++i)
      fork.says("of another life");
    fork.does(erase{});
  }
  SUBCASE("under an id that was used and folded before") {
    fork.does(create{}).says("of another life").does(erase{});
    s.settle();
  }
  const auto at = std::make_shared<const entity_state>(parent.state());
  fork.does(fork_from{.parent = parent.ref(), .base = at});
  CHECK(loaded(s.store, fork.ref()) == fork.state());
  CHECK(loaded_at(s.store, fork.ref(), fork.state().first_revision) == fork.state());
  fork.says("mine");
  parent.does(pop_items{90}).does(erase{});
  s.settle();
  CHECK(loaded(s.store, fork.ref()) == fork.state());
  for (int i = 0; i < 100; ++i)
    fork.says(std::string(500, 'f'));
  s.settle();
  CHECK(loaded(s.store, fork.ref()) == fork.state());
  CHECK(loaded(s.store, parent.ref()) == parent.state());
  writer second{s.store, "second"};
  second.does(
      fork_from{.parent = fork.ref(), .base = std::make_shared<const entity_state>(fork.state())});
  fork.does(erase{});
  s.settle();
  CHECK(loaded(s.store, second.ref()) == second.state());
}

TEST_CASE_TEMPLATE("an id may be forked deleted and forked again in one batch", Store, on_disk,
                   in_memory) {
  Store s;
  const auto with = [&](const char* name, std::size_t bytes) {
    std::string text;
    for (std::mt19937_64 random{bytes}; text.size() < bytes;)
      text += std::to_string(random());
    writer out{s.store, name};
    out.does(create{}).does(patch_state{{set_key{.key = "k", .data = value{text}}}});
    return fork_from{out.ref(), std::make_shared<const entity_state>(out.state())};
  };
  writer id{s.store, "id"};
  const auto large = with("large", 60'000), small = with("small", 6'000);
  const std::vector<commit_request> batch{id.next(large), id.next(erase{}), id.next(small)};
  for (const auto& done : s.store.commit(batch))
    REQUIRE(done);
  CHECK(loaded(s.store, id.ref()) == id.state());
  s.settle();
  CHECK(loaded(s.store, id.ref()) == id.state());
}

TEST_CASE_TEMPLATE("an id that is forked anew takes nothing from those that forked it before",
                   Store, on_disk, in_memory) {
  Store s;
  writer other{s.store, "other"}, id{s.store, "id"}, heir{s.store, "heir"};
  const auto fork_of = [](const writer& parent) {
    return fork_from{.parent = parent.ref(),
                     .base = std::make_shared<const entity_state>(parent.state())};
  };
  other.does(create{});
  id.does(create{});
  for (int i = 0; i < 100; ++i)
    id.says(std::string(500, 'i'));
  id.does(create_checkpoint{.id = "here"});
  s.settle();
  id.says("more");
  s.settle();
  heir.does(fork_of(id));
  s.settle();
  id.does(erase{}).does(fork_of(other));
  SUBCASE("and is folded again") {
    id.says("of another life");
  }
  SUBCASE("and deleted at once") {
    id.does(erase{});
  }
  s.settle();
  CHECK(loaded(s.store, heir.ref()) == heir.state());
  CHECK(loaded(s.store, id.ref()) == id.state());
}

TEST_CASE_TEMPLATE("an id that becomes a fork keeps the answers of its earlier life", Store,
                   on_disk, in_memory) {
  Store s;
  writer parent{s.store, "parent"}, id{s.store, "id"};
  parent.does(create{});
  id.does(create{}, idempotency{"me", "key", "hash"}).does(erase{});
  id.does(fork_from{.parent = parent.ref(),
                    .base = std::make_shared<const entity_state>(parent.state())});
  const auto stored = s.store.load(id.ref());
  REQUIRE(stored);
  REQUIRE(stored->answers.size() == 1);
  CHECK(decode_answer(stored->answers.front())->asked.key == "key");
}

TEST_CASE_TEMPLATE("a command that is repeated finds its answer", Store, on_disk, in_memory) {
  Store s;
  writer a{s.store, "a"};
  a.does(create{});
  std::vector<idempotency> keys;
  for (int i = 0; i < 20; ++i) {
    keys.push_back({"me", "key " + std::to_string(i), "hash"});
    a.does(append_items{{value::map({{"n", i}})}}, keys.back());
    if (i == 10)
      s.settle();
  }
  const auto stored = s.store.load(a.ref());
  REQUIRE(stored);
  std::map<std::string, outcome> found;
  for (const auto& bytes : stored->answers) {
    const auto kept = decode_answer(bytes);
    REQUIRE(kept);
    found[kept->asked.key] = kept->answer;
  }
  for (const auto& bytes : stored->parts.changes) {
    const auto what = decode_change(bytes);
    REQUIRE(what);
    if (what->asked_by)
      found[what->asked_by->key] = outcome_of(*what);
  }
  REQUIRE(found.size() == keys.size());
  for (int i = 0; i < 20; ++i) {
    CHECK(found["key " + std::to_string(i)].first_seq == static_cast<std::uint64_t>(i) + 1);
    CHECK(found["key " + std::to_string(i)].revision == static_cast<std::uint64_t>(i) + 2);
  }
}

TEST_CASE_TEMPLATE("a list tells of every entity without waking it", Store, on_disk, in_memory) {
  Store s;
  entity_info info;
  info.user = "ada";
  info.tags = {"red"};
  for (int i = 0; i < 25; ++i) {
    writer one{s.store, "s" + std::to_string(10 + i)};
    one.does(create{i % 5 == 0 ? info : entity_info{}});
    if (i == 12)
      s.settle();
    if (i == 7 || i == 20)
      one.does(erase{});
  }
  list_request request;
  request.limit = 10;
  std::vector<std::string> seen;
  for (int pages = 0;; ++pages) {
    const auto page = s.store.list(request);
    REQUIRE(page);
    CHECK(page->rows.size() <= 10);
    for (const auto& row : page->rows) {
      seen.push_back(row.id);
      CHECK(row.header == header_of(loaded(s.store, session_ref(row.id))));
    }
    if (!page->next)
      break;
    request.after = *page->next;
    REQUIRE(pages < 10);
  }
  CHECK(seen.size() == 23);
  CHECK(std::is_sorted(seen.begin(), seen.end()));

  list_request red;
  red.wanted = [](const entity_header& x) {
    return x.live() && x.tags == std::vector<std::string>{"red"};
  };
  CHECK(ids(*s.store.list(red)) == std::vector<std::string>{"s10", "s15", "s20", "s25"});
  red.wanted = [](const entity_header& x) { return !x.live(); };
  CHECK(ids(*s.store.list(red)) == std::vector<std::string>{"s17", "s30"});
  red.after = "s17";
  CHECK(ids(*s.store.list(red)) == std::vector<std::string>{"s30"});
  red.including = true;
  CHECK(ids(*s.store.list(red)) == std::vector<std::string>{"s17", "s30"});
  red.kind = entity_kind::team;
  CHECK(s.store.list(red)->rows.empty());
}

TEST_CASE_TEMPLATE("the journal has every change in the order of commits", Store, on_disk,
                   in_memory) {
  Store s;
  writer a{s.store, "a"}, b{s.store, "b"};
  a.does(create{});
  b.does(create{});
  a.says("one");
  std::vector<std::string> read;
  const auto all = [&](std::uint64_t from, std::uint64_t to) {
    read.clear();
    REQUIRE(s.store.for_each_record(from, to, [&](const journal_record& x) {
      read.push_back(x.entity.id + std::to_string(x.sequence));
      CHECK(decode_change(x.payload));
      return true;
    }));
    return read;
  };
  CHECK(all(1, 9) == std::vector<std::string>{"a1", "b1", "a2"});
  CHECK(all(2, 2) == std::vector<std::string>{"b1"});
  CHECK(s.store.stats().position == 3);
}

namespace {

verify_report verified(const memory_directory& dir) {
  const auto out = verify_store(dir.store());
  REQUIRE_MESSAGE(out, (out ? "" : out.error().message));
  CHECK_MESSAGE(out->sound(), (out->faults.empty() ? "" : out->faults.front()));
  return *out;
}

}  // namespace

namespace {

/// "1@1 2@3": revisions and positions of the kept changes behind one; or the error.
std::string changes_behind(store& from, const entity_ref& ref, std::uint64_t after,
                           std::size_t most = 1'000) {
  std::string out;
  const auto done = from.for_each_change(ref, after, [&](const journal_record& x) {
    CHECK(x.entity == ref);
    CHECK(decode_change(x.payload)->revision == x.sequence);
    out += (out.empty() ? "" : " ") + std::to_string(x.sequence) + '@' + std::to_string(x.position);
    return --most > 0;
  });
  if (!done)
    return std::string{to_string(done.error().code)} + ' '
           + std::to_string(done.error().current_revision.value_or(0));
  return out;
}

}  // namespace

TEST_CASE_TEMPLATE("the changes of an entity behind a revision are told in order", Store, on_disk,
                   in_memory) {
  Store s;
  writer a{s.store, "a"}, b{s.store, "b"};
  CHECK(changes_behind(s.store, a.ref(), 0).empty());
  CHECK(changes_behind(s.store, a.ref(), 1) == "revision_gone 0");
  a.does(create{}).says("one");
  b.does(create{});
  a.says("two").says("three");
  const auto checks = [&] {
    CHECK(changes_behind(s.store, a.ref(), 0) == "1@1 2@2 3@4 4@5");
    CHECK(changes_behind(s.store, a.ref(), 1) == "2@2 3@4 4@5");
    CHECK(changes_behind(s.store, a.ref(), 1, 2) == "2@2 3@4");
    CHECK(changes_behind(s.store, a.ref(), 3) == "4@5");
    CHECK(changes_behind(s.store, a.ref(), 4).empty());
    CHECK(changes_behind(s.store, a.ref(), 5) == "revision_gone 4");
  };
  checks();
  CHECK(changes_behind(s.store, b.ref(), 0) == "1@3");
  s.settle();  // from here on they are kept by themselves
  checks();
  a.says("four");
  CHECK(changes_behind(s.store, a.ref(), 2) == "3@4 4@5 5@6");
  writer fork{s.store, "fork"};
  fork.does(
          fork_from{.parent = a.ref(), .base = std::make_shared<const entity_state>(a.states()[3])})
      .says("mine");
  for (int i = 0; i < 2; ++i) {
    CHECK(changes_behind(s.store, fork.ref(), 0) == "4@7 5@8");
    CHECK(changes_behind(s.store, fork.ref(), 3) == "4@7 5@8");
    CHECK(changes_behind(s.store, fork.ref(), 4) == "5@8");
    s.settle();
  }
}

TEST_CASE("changes that are not kept any more are an error and not left out") {
  on_disk s;
  writer a{s.store, "a"};
  a.does(create{}).says("one").does(erase{}).does(create{}).says("again");
  CHECK(changes_behind(s.store, a.ref(), 0) == "1@1 2@2 3@3 4@4 5@5");
  s.settle();
  CHECK(changes_behind(s.store, a.ref(), 0) == "revision_gone 5");
  CHECK(changes_behind(s.store, a.ref(), 1) == "revision_gone 5");
  CHECK(changes_behind(s.store, a.ref(), 4) == "5@5");
  CHECK(changes_behind(s.store, a.ref(), 5).empty());

  writer adopted{s.store, "adopted"};
  adopted.clock = 5;
  adopted.next(create{});
  REQUIRE(s.store.adopt(std::array{adopted_entity{
      .entity = adopted.ref(), .sequence = 1, .snapshot = encode(adopted.state())}}));
  CHECK(changes_behind(s.store, adopted.ref(), 0) == "revision_gone 1");
  adopted.says("after it");
  CHECK(changes_behind(s.store, adopted.ref(), 0) == "revision_gone 2");
  CHECK(changes_behind(s.store, adopted.ref(), 1) == "2@6");
  s.settle();
  CHECK(changes_behind(s.store, adopted.ref(), 0) == "revision_gone 2");
  CHECK(changes_behind(s.store, adopted.ref(), 1) == "2@6");
}

TEST_CASE("chunks stay while a history needs them and go when none does") {
  on_disk s;
  const auto closed = [&] {
    s.settle();
    { const auto gone = std::move(s.store); }
    const auto out = verified(s.dir);
    s.store = s.open(small_map());
    return out;
  };
  writer parent{s.store, "parent"}, fork{s.store, "fork"};
  entity_info nothing_kept;
  nothing_kept.limits.keep_revisions = 0;
  parent.does(create{nothing_kept});
  for (int i = 0; i < 100; ++i)
    parent.says(std::string(500, 'p'));
  CHECK(closed().chunks == 3);

  SUBCASE("of one entity") {
    parent.does(pop_items{50});
    const auto after = closed();
    CHECK(after.chunks == 1);
    CHECK(after.unused_chunks == 0);
    parent.does(erase{});
    CHECK(closed().chunks == 0);
  }
  SUBCASE("of a fork whose parent drops them") {
    fork.does(fork_from{.parent = parent.ref(),
                        .base = std::make_shared<const entity_state>(parent.state())});
    parent.does(pop_items{50});
    CHECK(closed().chunks == 3);
    CHECK(loaded(s.store, fork.ref()) == fork.state());
    CHECK(loaded(s.store, parent.ref()) == parent.state());
    for (int i = 0; i < 40; ++i) {
      parent.says(std::string(400, 'q'));
      fork.says(std::string(300, 'f'));
    }
    closed();
    CHECK(loaded(s.store, fork.ref()) == fork.state());
    CHECK(loaded(s.store, parent.ref()) == parent.state());
    parent.does(erase{});
    closed();
    CHECK(loaded(s.store, fork.ref()) == fork.state());
    fork.does(erase{});
    CHECK(closed().chunks == 0);
  }
}

TEST_CASE("logs that forks began are not begun again after a restart") {
  on_disk s;
  writer parent{s.store, "parent"}, fork{s.store, "fork"}, other{s.store, "other"};
  parent.does(create{});
  other.does(create{});
  for (int i = 0; i < 100; ++i)
    parent.says(std::string(500, 'p'));
  fork.does(fork_from{.parent = parent.ref(),
                      .base = std::make_shared<const entity_state>(parent.state())});
  { const auto closed = std::move(s.store); }
  s.store = s.open(small_map());
  for (int i = 0; i < 100; ++i)
    other.says(std::string(500, 'o'));
  REQUIRE(s.store.materialise(other.ref()));
  other.does(erase{});
  REQUIRE(s.store.materialise(other.ref()));
  CHECK(loaded(s.store, fork.ref()) == fork.state());
  { const auto closed = std::move(s.store); }
  CHECK(verified(s.dir).unused_chunks == 0);
  s.store = s.open(small_map());
}

TEST_CASE("changes that compaction kept go when nothing needs them any more") {
  on_disk s;
  writer a{s.store, "a"};
  entity_info info;
  info.limits.keep_revisions = 5;
  a.does(create{info});
  for (int i = 0; i < 60; ++i) {
    a.says("x");
    if (i % 3 == 0)
      s.settle();
  }
  s.settle();
  { const auto closed = std::move(s.store); }
  std::size_t kept = 0;
  {
    auto env = lmdb::environment::open(s.dir.store(), 64 << 20);
    auto txn = lmdb::transaction::read(env);
    const auto changes = txn.find_database("changes");
    REQUIRE(changes);
    lmdb::cursor all{txn, *changes};
    for (auto at = all.first(); at; at = all.next())
      ++kept;
  }
  CHECK(kept >= 5);
  CHECK(kept < 20);
  s.store = s.open(small_map());
}

TEST_CASE("a key that is used again after its time has its new answer") {
  on_disk s;
  writer a{s.store, "a"};
  a.does(create{});
  const idempotency key{"me", "k", "h"};
  a.does(append_items{{value::map({{"n", 1}})}}, key);
  s.settle();
  a.clock += answers_kept_ms + 1;
  a.does(append_items{{value::map({{"n", 2}})}}, key);
  s.settle();
  const auto stored = s.store.load(a.ref());
  REQUIRE(stored);
  REQUIRE(stored->answers.size() == 1);
  CHECK(decode_answer(stored->answers.front())->answer.revision == 3);
}
