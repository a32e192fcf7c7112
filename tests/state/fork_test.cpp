#include <troupe/state/session.hpp>
#include <troupe/state/versions.hpp>

#include "../support/entities.hpp"

#include <memory>

using namespace troupe;
using namespace troupe::testing;

namespace {

std::shared_ptr<const entity_state> shared(const entity_state& x) {
  return std::make_shared<const entity_state>(x);
}

/// A parent with a fork, and the way back.
struct family {
  entity_fixture parent{entity_kind::session, "p"}, child{entity_kind::session, "c"};

  family() {
    parent.begins({.user = "ann"});
    parent.patch({set_key{"a", 1}, set_key{"b", 1}, set_key{"c", 1}});
    parent.append({json(R"({"n":1})"), json(R"({"n":2})")});
    child.does(forks());
  }
  [[nodiscard]] fork_from forks() const { return {parent.ref, shared(parent.state())}; }
  [[nodiscard]] merge_fork merging(merge_strategy strategy = merge_strategy::refuse) const {
    const auto* base = child.kept.at(merge_base(parent.state(), child.ref, child.state()));
    REQUIRE(base);
    return {child.ref, shared(*base), shared(child.state()), strategy};
  }
  outcome merge(merge_strategy strategy = merge_strategy::refuse) {
    return parent.does(merging(strategy));
  }
};

}  // namespace

// Fork
// ------------------------------------------------------------------------------------------------

TEST_CASE("a fork begins with the parent's content and tells where it comes from") {
  family f;
  CHECK(f.child.changes[0].revision == 4);
  CHECK(f.child.last_change()
        == R"(4 @ 1000: forked default/session/p at 3 | info_set placement = "p")");
  CHECK(same_content(f.child.state(), f.parent.state()));
  CHECK(f.child.items() == f.parent.items());
  CHECK(lineage_of(f.child.state()) == lineage{f.parent.ref, 3});
  CHECK(info_of(f.child.state()).forked_from == lineage{f.parent.ref, 3});
  CHECK(user_of(f.child.state()) == "ann");
  CHECK(f.child.state().first_revision == 4);
  CHECK(f.child.refuses(undo{}).code == errc::nothing_to_undo);
  CHECK(evolve(f.parent.state(), f.child.changes[0]) == f.child.state());
}

TEST_CASE("what a fork does is invisible to its parent and its siblings") {
  family f;
  entity_fixture sibling{entity_kind::session, "d"};
  sibling.does(f.forks());
  const auto parent = encode(f.parent.state()), other = encode(sibling.state());
  f.child.set("a", "mine");
  f.child.says("user", "hi");
  f.child.does(pop_items{2});
  CHECK(encode(f.parent.state()) == parent);
  CHECK(encode(sibling.state()) == other);
  f.parent.set("b", "parent's");
  CHECK(f.child.keys() == R"({"a":"mine","b":1,"c":1})");
}

TEST_CASE("a fork may begin at any kept revision and is forked again") {
  family f;
  entity_fixture early{entity_kind::session, "e"}, again{entity_kind::session, "g"};
  early.does(fork_from{f.parent.ref, shared(*f.parent.kept.at(1))});
  CHECK(early.keys() == "{}");
  CHECK(lineage_of(early.state())->at == 1);
  again.does(fork_from{f.child.ref, shared(f.child.state())});
  CHECK(lineage_of(again.state()) == lineage{f.child.ref, 4});
  CHECK(info_of(again.state()).placement == "p");
}

TEST_CASE("a fork leaves behind what belongs to the parent alone") {
  family f;
  f.parent.does(update_info{.metadata_patch = json(R"({"m":1})"),
                            .tags = std::vector<std::string>{"t"},
                            .shares = std::vector<share>{{"bob", access::write}},
                            .ttl_ms = 7},
                record_usage{1, 1}, record_call{"t"}, create_checkpoint{.id = "k"});
  f.parent.does(undo{});
  entity_fixture g{entity_kind::session, "g"};
  g.does(f.forks());
  const auto info = info_of(g.state());
  CHECK(info.tags == std::vector<std::string>{"t"});
  CHECK(info.ttl_ms == 7);
  CHECK(info.shares.empty());
  CHECK(usage_of(g.state()) == usage_report{});
  CHECK(calls_of(g.state()).empty());
  CHECK(checkpoints_of(g.state()).empty());
  CHECK(g.refuses(redo{}).code == errc::nothing_to_undo);
}

TEST_CASE("a fork is refused where it cannot be") {
  family f;
  CHECK(f.child.refuses(f.forks()).code == errc::already_exists);
  entity_fixture g{entity_kind::session, "g"};
  CHECK(where(g.refuses(fork_from{f.parent.ref, nullptr})) == "not_found at /parent");
  CHECK(where(g.refuses(fork_from{f.parent.ref, shared({})})) == "not_found at /parent");
  CHECK(g.refuses(create{}, f.forks()).code == errc::already_exists);
  CHECK(f.child.refuses(erase{}, f.forks()).code == errc::malformed);
  entity_fixture team{entity_kind::team, "g"};
  CHECK(where(team.refuses(f.forks())) == "wrong_scope at /parent");
  auto elsewhere = g;
  elsewhere.ref.name_space = "other";
  CHECK(where(elsewhere.refuses(f.forks())) == "invalid_value at /parent");
  g.by = user("eve");
  CHECK(where(g.refuses(f.forks())) == "not_found at /parent");
}

TEST_CASE("a fork belongs to whoever made it") {
  family f;
  f.parent.does(update_info{.shares = std::vector<share>{{"bob", access::read}}});
  entity_fixture g{entity_kind::session, "g"};
  g.by = user("bob");
  CHECK(g.does(f.forks(), patch_state{{set_key{"a", 2}}}).created);
  CHECK(user_of(g.state()) == "bob");
  CHECK(g.keys() == R"({"a":2,"b":1,"c":1})");
}

TEST_CASE("nobody forks into the scope of another user") {
  entity_fixture ann{entity_kind::user, "ann"}, bob{entity_kind::user, "bob"};
  ann.begins();
  bob.by = user("ann");
  CHECK(where(bob.refuses(fork_from{ann.ref, shared(ann.state())})) == "forbidden at /parent");
  bob.by = {};
  CHECK(bob.does(fork_from{ann.ref, shared(ann.state())}).created);
}

// Merge
// ------------------------------------------------------------------------------------------------

TEST_CASE("a merge brings entries by key and items in their order behind the parent's") {
  family f;
  f.child.patch({set_key{"a", 2}, delete_key{"b"}, set_key{"d", 4}});
  f.child.now = {5000};
  f.child.append({json(R"({"child":1})"), json(R"({"child":2})")});
  f.parent.set("c", 3);
  f.parent.append({json(R"({"parent":1})")});
  CHECK(f.merge() == outcome{.revision = 6, .changed = true});
  CHECK(f.parent.keys() == R"({"a":2,"c":3,"d":4})");
  CHECK(f.parent.items() == R"(1{"n":1} 2{"n":2} 3{"parent":1} 4{"child":1} 5{"child":2})");
  CHECK(f.parent.state().items[4].at == timestamp{5000});
  CHECK(name_of(f.parent.changes.back().events[0]) == "merged");
  CHECK(f.child.keys() == R"({"a":2,"c":1,"d":4})");
}

TEST_CASE("a merge where both changed the same is refused whole with the list") {
  family f;
  f.child.patch({set_key{"a", "theirs"}, set_key{"b", "theirs"}, delete_key{"c"}, set_key{"d", 1}});
  f.parent.patch({set_key{"a", "ours"}, delete_key{"b"}, set_key{"c", "ours"}, set_key{"d", 1}});
  const auto refusal = f.parent.refuses(f.merging());
  CHECK(refusal.code == errc::merge_conflict);
  CHECK(refusal.path == "/state/a");
  CHECK(refusal.message == "both sides changed /state/a and 2 more");
  CHECK(json(refusal.details)
        == json(R"([{"path":"/state/a","base":1,"ours":"ours","theirs":"theirs"},
                    {"path":"/state/b","base":1,"theirs":"theirs"},
                    {"path":"/state/c","base":1,"ours":"ours"}])"));
}

TEST_CASE("a strategy says who wins a conflict and everything else merges") {
  const auto merged = [](merge_strategy strategy) {
    family f;
    f.child.patch({set_key{"a", "theirs"}, delete_key{"b"}, set_key{"d", 1}});
    f.parent.patch({set_key{"a", "ours"}, set_key{"b", "ours"}, set_key{"e", 1}});
    f.merge(strategy);
    return f.parent.keys();
  };
  CHECK(merged(merge_strategy::ours) == R"({"a":"ours","b":"ours","c":1,"d":1,"e":1})");
  CHECK(merged(merge_strategy::theirs) == R"({"a":"theirs","c":1,"d":1,"e":1})");
}

TEST_CASE("equal changes on both sides are no conflict") {
  family f;
  f.child.patch({set_key{"a", 2}, delete_key{"b"}});
  f.parent.patch({set_key{"a", 2}, delete_key{"b"}});
  f.merge();
  CHECK(f.parent.keys() == R"({"a":2,"c":1})");
}

TEST_CASE("a second merge brings only what is new since the first") {
  family f;
  f.child.set("a", 2);
  f.child.append({json(R"({"child":1})")});
  f.merge();
  f.parent.set("a", "changed after the merge");
  f.parent.append({json(R"({"parent":1})")});
  f.child.set("b", 2);
  f.child.append({json(R"({"child":2})")});
  CHECK(merge_base(f.parent.state(), f.child.ref, f.child.state()) == 6);
  f.merge();
  CHECK(f.parent.keys() == R"({"a":"changed after the merge","b":2,"c":1})");
  CHECK(f.parent.items() == R"(1{"n":1} 2{"n":2} 3{"child":1} 4{"parent":1} 5{"child":2})");
  CHECK_FALSE(f.merge().changed);
}

TEST_CASE("a merge that changes nothing is remembered too") {
  family f;
  f.child.set("a", "theirs");
  f.parent.set("a", "ours");
  CHECK(f.merge(merge_strategy::ours).changed);
  CHECK(merge_base(f.parent.state(), f.child.ref, f.child.state()) == 5);
  CHECK_FALSE(f.merge().changed);
  f.child.set("b", 2);
  f.merge();
  CHECK(f.parent.keys() == R"({"a":"ours","b":2,"c":1})");
}

TEST_CASE("a merged item gets a number that the parent never gave") {
  family f;
  f.parent.append({json(R"({"parent":1})")});
  f.parent.does(pop_items{});
  f.child.append({json(R"({"child":1})")});
  f.merge();
  CHECK(f.parent.items() == R"(1{"n":1} 2{"n":2} 4{"child":1})");
}

TEST_CASE("an undone merge is merged again from where it was") {
  family f;
  f.child.set("a", 2);
  f.merge();
  f.parent.does(undo{});
  CHECK(f.parent.keys() == R"({"a":1,"b":1,"c":1})");
  CHECK(merge_base(f.parent.state(), f.child.ref, f.child.state()) == 4);
  f.merge();
  CHECK(f.parent.keys() == R"({"a":2,"b":1,"c":1})");
}

TEST_CASE("a fork of the same id as an earlier one is merged from its own beginning") {
  family f;
  f.child.set("a", 2);
  f.merge();
  f.child.does(erase{});
  f.child.does(f.forks());
  CHECK(merge_base(f.parent.state(), f.child.ref, f.child.state()) == 7);
  f.child.set("b", 9);
  f.merge();
  CHECK(f.parent.keys() == R"({"a":2,"b":9,"c":1})");
}

TEST_CASE("items that a fork removed go unless the parent went on from them") {
  family gone;
  gone.child.does(pop_items{}, append_items{{json(R"({"child":1})")}});
  gone.merge();
  CHECK(gone.parent.items() == R"(1{"n":1} 3{"child":1})");
  const auto diverged = [](merge_strategy strategy) {
    family f;
    f.child.does(pop_items{}, append_items{{json(R"({"child":1})")}});
    f.parent.append({json(R"({"parent":1})")});
    if (strategy == merge_strategy::refuse)
      return where(f.parent.refuses(f.merging()));
    f.merge(strategy);
    return f.parent.items();
  };
  CHECK(diverged(merge_strategy::refuse) == "merge_conflict at /items");
  CHECK(diverged(merge_strategy::ours) == R"(1{"n":1} 2{"n":2} 3{"parent":1} 4{"child":1})");
  CHECK(diverged(merge_strategy::theirs) == R"(1{"n":1} 3{"parent":1} 4{"child":1})");
}

TEST_CASE("a merge leaves usage and checkpoints and tags of the fork behind") {
  family f;
  f.child.does(record_usage{5, 5}, record_call{"t"}, create_checkpoint{.id = "k"},
               update_info{.tags = std::vector<std::string>{"t"}, .ttl_ms = 3});
  f.child.does(put_todos{{{"x", "todo"}}}, update_info{.metadata_patch = json(R"({"m":1})")});
  f.merge();
  CHECK(usage_of(f.parent.state()) == usage_report{});
  CHECK(checkpoints_of(f.parent.state()).empty());
  CHECK(info_of(f.parent.state()).tags.empty());
  CHECK(info_of(f.parent.state()).ttl_ms == 0);
  CHECK_FALSE(lineage_of(f.parent.state()));
  CHECK(todos_of(f.parent.state()).size() == 1);
  CHECK(info_of(f.parent.state()).metadata == json(R"({"m":1})"));
}

TEST_CASE("what has expired in a fork is not brought back") {
  family f;
  f.child.patch({set_key{.key = "d", .data = 1, .ttl_ms = 100},
                 set_key{.key = "a", .data = 2, .ttl_ms = 100}});
  f.parent.now = {2000};
  f.merge();
  CHECK(f.parent.keys() == R"({"b":1,"c":1})");
  CHECK(count_entries(f.parent.state(), section::state, {}) == 2);
}

TEST_CASE("only a fork of the entity is merged into it by who may read both") {
  family f;
  entity_fixture other{entity_kind::session, "o"};
  other.begins();
  CHECK(where(f.parent.refuses(merge_fork{other.ref, shared(other.state()), shared(other.state())}))
        == "invalid_value at /fork");
  CHECK(where(other.refuses(f.merging())) == "invalid_value at /fork");
  CHECK(where(f.parent.refuses(merge_fork{f.child.ref, nullptr, shared(f.child.state())}))
        == "not_found at /fork");
  CHECK(where(f.parent.refuses(merge_fork{f.child.ref, shared(f.child.state()), nullptr}))
        == "not_found at /fork");
  auto request = f.merging();
  f.child.does(erase{});
  request.theirs = shared(f.child.state());
  CHECK(where(f.parent.refuses(request)) == "not_found at /fork");
  family g;
  g.parent.does(update_info{.shares = std::vector<share>{{"bob", access::write}}});
  g.parent.by = user("bob");
  CHECK(where(g.parent.refuses(g.merging())) == "not_found at /fork");
}
