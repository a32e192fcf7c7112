#include <troupe/persistence/verify.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/decide.hpp>

#include "store_fixture.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>

/// What a store says of an entity that was deleted and erased.

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr timestamp now{1'700'000'000'000};

/// Real entities in a store: what they say is decided, stored and folded as in a node.
struct entities {
  explicit entities(const memory_directory& dir) : store{opened(dir)} {}

  static journal_store opened(const memory_directory& dir) {
    auto out = journal_store::open(dir.store(), small_map(), fold_entities());
    REQUIRE_MESSAGE(out, (out ? "" : out.error().message));
    return std::move(*out);
  }

  commit_request decided(const std::string& id, operation what, const std::string& key = {}) {
    auto& state = states[id];
    command asked{.entity = session_ref(id), .operations = {std::move(what)}};
    if (!key.empty())
      asked.once = idempotency{.principal = "ann", .key = key, .body_hash = "h"};
    auto made = decide(state, asked, {.now = now});
    REQUIRE_MESSAGE(made, made.error().message);
    made->what.asked_by = asked.once;
    state = made->next;
    return change_of(id, made->what.revision, encode(made->what));
  }
  void change(const std::string& id, operation what, const std::string& key = {}) {
    REQUIRE(commit(store, decided(id, std::move(what), key)));
  }
  /// A life with something to forget, and its end.
  void live_and_die(const std::string& id) {
    change(id, create{});
    change(id, merge_state{value::map({{"k", "secret"}})}, "secret-key");
    change(id, append_items{{value::map({{"content", "secret"}})}});
    change(id, erase{});
  }

  /// Names of the events that the journal tells of an entity, one string for each change.
  std::vector<std::string> told(const std::string& id) {
    std::vector<std::string> out;
    REQUIRE(store.for_each_record(1, 1'000, [&](const journal_record& record) {
      CHECK(record.payload.find("secret") == std::string_view::npos);
      if (record.entity.id != id)
        return true;
      const auto read = decode_change(record.payload);
      REQUIRE(read);
      CHECK(read->revision == record.sequence);
      out.emplace_back();
      for (const auto& one : read->events)
        out.back() += std::holds_alternative<entity_deleted>(one) ? "deleted" : "other";
      return true;
    }));
    return out;
  }

  std::map<std::string, entity_state> states;
  journal_store store;
};

}  // namespace

TEST_CASE("of an erased entity the journal tells its deletion and nothing else") {
  memory_directory dir;
  {
    entities e{dir};
    e.live_and_die("a");
    const auto done = e.store.erase(session_ref("a"));
    REQUIRE_MESSAGE(done, done.error().message);
    CHECK(done->revision == 4);
    CHECK(done->changes == 3);
    CHECK(done->answers == 1);
    CHECK(e.told("a") == std::vector<std::string>{"", "", "", "deleted"});
    CHECK(e.store.load(session_ref("a"))->answers.empty());
    const auto again = e.store.erase(session_ref("a"));
    REQUIRE(again);
    CHECK(again->changes == 0);
    CHECK(again->answers == 0);
  }
  entities e{dir};
  CHECK(e.store.started().warnings.empty());
  CHECK(e.told("a") == std::vector<std::string>{"", "", "", "deleted"});
  CHECK(e.store.load(session_ref("a"))->sequence == 4);
  CHECK(e.store.load_at(session_ref("a"), 2).error().code == errc::revision_gone);
}

TEST_CASE("erasing spares the other changes of a set and what comes after it") {
  memory_directory dir;
  {
    entities e{dir};
    e.change("a", create{});
    e.change("b", create{});
    commit_set set;
    set.changes.push_back(e.decided("a", merge_state{value::map({{"k", "secret"}})}));
    set.changes.push_back(e.decided("b", merge_state{value::map({{"k", "kept"}})}));
    set.changes.front().together = 1;
    for (const auto& one : e.store.commit(set.changes))
      REQUIRE(one);
    e.change("a", erase{});
    REQUIRE(e.store.erase(session_ref("a")));
    CHECK(e.told("b") == std::vector<std::string>{"other", "other"});
    e.change("b", merge_state{value::map({{"k", 2}})});
    e.change("a", create{});  // another life of the id
  }
  {
    entities e{dir};
    const auto b = join_entity(e.store.load(session_ref("b"))->parts);
    REQUIRE(b);
    CHECK(b->revision == 3);
    CHECK(e.store.load(session_ref("a"))->sequence == 4);
    CHECK(e.told("a") == std::vector<std::string>{"", "", "deleted", "other"});
    CHECK(e.store.erase(session_ref("a")).error().code == errc::already_exists);
    CHECK(e.store.erase(session_ref("never")).error().code == errc::not_found);
    while (*e.store.compact(1'000, 0)) {
    }
  }
  const auto found = verify_store(dir.store());
  REQUIRE(found);
  CHECK(found->faults.empty());
}

TEST_CASE("a journal that was erased counts its bytes as a start does") {
  memory_directory dir;
  store_stats before;
  {
    entities e{dir};
    e.change("b", create{});
    e.live_and_die("a");
    e.change("d", create{});
    REQUIRE(e.store.erase(session_ref("a")));  // records behind the watermark, and folded
    REQUIRE(e.store.materialise(session_ref("b")));
    CHECK(e.store.stats().materialised == 5);
    before = e.store.stats();
  }
  {
    entities e{dir};
    CHECK(e.store.stats().tail_bytes == before.tail_bytes);
    CHECK(e.store.stats().covered_bytes == before.covered_bytes);
    while (*e.store.materialise()) {
    }
    e.live_and_die("c");
    while (*e.store.materialise()) {
    }
    e.change("e", create{});
    e.change("f", create{});
    REQUIRE(e.store.erase(session_ref("c")));  // records in front of it
    REQUIRE(e.store.materialise(session_ref("e")));
    before = e.store.stats();
  }
  entities e{dir};
  CHECK(e.store.stats().tail_bytes == before.tail_bytes);
  CHECK(e.store.stats().covered_bytes == before.covered_bytes);
  std::uint64_t freed = 0;
  while (*e.store.compact(1'000, 0))
    ++freed;
  CHECK(e.store.stats().covered_bytes == 0);
}
