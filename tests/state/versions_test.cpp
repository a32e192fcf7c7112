#include <troupe/state/session.hpp>
#include <troupe/state/versions.hpp>

#include "../support/allocations.hpp"
#include "../support/entities.hpp"

#include <limits>
#include <sstream>

using namespace troupe;
using namespace troupe::testing;

namespace {

entity_fixture live(policy limits = {}) {
  entity_fixture s;
  s.begins({.limits = limits});
  return s;
}

/// Revisions 2, 3 ... set "a" to 2, 3 ...
entity_fixture counted(int last) {
  auto s = live();
  for (int i = 2; i <= last; ++i)
    s.set("a", i);
  return s;
}

std::string a_of(const entity_fixture& s) {
  return s.key("a") ? to_json(s.key("a")->data) : "none";
}

std::string checkpoints(const entity_fixture& s) {
  std::string out;
  for (const auto& one : checkpoints_of(s.state()))
    out += (out.empty() ? "" : " ") + one.id + '@' + std::to_string(one.revision);
  return out;
}

std::string differences(const entity_state& a, const entity_state& b) {
  std::ostringstream out;
  for (const auto& one : diff(a, b))
    out << one << '\n';
  return out.str();
}

std::vector<std::uint64_t> numbers(std::initializer_list<std::uint64_t> x) {
  return x;
}

}  // namespace

// Undo, redo, restore
// ------------------------------------------------------------------------------------------------

TEST_CASE("an undo is a new revision with the content of before") {
  auto s = counted(4);
  CHECK(s.does(undo{}) == outcome{.revision = 5, .changed = true});
  CHECK(s.last_change() == "5 @ 1000: undone to 3 [4] | state_set a = 3");
  CHECK(a_of(s) == "3");
  CHECK(s.state().content_revision == 3);
  s.does(undo{});
  CHECK(a_of(s) == "2");
  s.does(undo{});
  CHECK(s.keys() == "{}");
  CHECK(s.refuses(undo{})
        == error{.code = errc::nothing_to_undo,
                 .message = "there are 0 changes to undo, not 1",
                 .limit = 0});
}

TEST_CASE("redo goes forward again until content is changed otherwise") {
  auto s = counted(5);
  CHECK(s.refuses(redo{}).code == errc::nothing_to_undo);
  s.does(undo{3});
  CHECK(a_of(s) == "2");
  s.does(redo{});
  CHECK(a_of(s) == "3");
  s.does(redo{2});
  CHECK(a_of(s) == "5");
  CHECK(s.refuses(redo{}).limit == 0);
  s.does(undo{2});
  s.does(create_checkpoint{.id = "c"});  // no change of content
  CHECK(s.refuses(redo{3}).limit == 2);
  s.does(redo{});
  CHECK(a_of(s) == "4");
  s.set("b", 1);
  CHECK(s.refuses(redo{}).code == errc::nothing_to_undo);
  s.does(undo{});
  CHECK(s.keys() == R"({"a":4})");
  s.does(undo{});
  CHECK(s.keys() == R"({"a":3})");
}

TEST_CASE("several steps are what single ones are together") {
  auto one = counted(6), many = counted(6);
  for (int i = 0; i < 3; ++i)
    one.does(undo{});
  many.does(undo{3});
  CHECK(same_content(one.state(), many.state()));
  CHECK(one.state().redo == many.state().redo);
  CHECK(many.refuses(undo{3})
        == error{.code = errc::nothing_to_undo,
                 .message = "there are 2 changes to undo, not 3",
                 .limit = 2});
  CHECK_FALSE(many.does(undo{0}).changed);
  CHECK_FALSE(many.does(redo{0}).changed);
}

TEST_CASE("what does not change content is no step to undo and stays where it is") {
  auto s = counted(3);
  s.does(create_checkpoint{.id = "c"});
  s.does(record_usage{1, 1});
  s.does(update_info{.tags = std::vector<std::string>{"t"}, .ttl_ms = 9});
  s.does(update_info{.shares = std::vector<share>{{"bob"}}});
  s.does(record_call{"t"});
  CHECK(s.state().content_revision == 3);
  s.does(undo{});
  CHECK(a_of(s) == "2");
  CHECK(checkpoints(s) == "c@3");
  CHECK(usage_of(s.state()).total.total() == 2);
  CHECK(info_of(s.state()).tags == std::vector<std::string>{"t"});
  CHECK(info_of(s.state()).shares.size() == 1);
}

TEST_CASE("steps of undo pass over revisions that did not change content") {
  auto s = counted(3);
  s.does(create_checkpoint{.id = "c"});
  s.does(record_usage{1, 1});
  s.set("a", 6);
  s.does(undo{});
  CHECK(s.state().content_revision == 3);
  s.does(undo{});
  CHECK(a_of(s) == "2");
  s.does(redo{2});
  s.does(undo{2});
  CHECK(a_of(s) == "2");
}

TEST_CASE("undo brings items back with their numbers and times and gives no number twice") {
  auto s = live();
  s.append({json(R"({"n":1})"), json(R"({"n":2})")});
  s.now = {2000};
  s.does(pop_items{2});
  s.now = {3000};
  s.does(undo{});
  CHECK(s.items() == R"(1{"n":1} 2{"n":2})");
  CHECK(s.state().items[1].at == timestamp{1000});
  s.does(undo{});
  CHECK(s.items() == "");
  CHECK(s.append({json("{}")}).first_seq == 3);
}

TEST_CASE("undo covers metadata and todos and notebook as well as the state") {
  auto s = live();
  s.does(update_info{.metadata_patch = json(R"({"m":1})")}, put_todos{{{"t", ""}}},
         update_notebook{.id = "n", .variables = json(R"({"v":"int"})")},
         patch_state{{set_key{"a", 1}}});
  s.does(undo{});
  CHECK(same_content(s.state(), *s.kept.at(1)));
  CHECK(todos_of(s.state()).empty());
  s.does(redo{});
  CHECK(same_content(s.state(), *s.kept.at(2)));
}

TEST_CASE("what has expired does not come back with an undo") {
  auto s = live();
  s.patch({set_key{.key = "a", .data = 1, .ttl_ms = 500}});
  s.removes("a");
  s.now = {1400};
  s.does(undo{});
  CHECK(s.key("a")->expires == timestamp{1500});
  s.does(redo{});
  s.now = {1500};
  s.does(undo{});
  CHECK(count_entries(s.state(), section::state, {}) == 0);
}

TEST_CASE("undo of what is not kept any more is revision_gone") {
  auto s = counted(6);
  s.kept.prune({.last = 1}, s.now);
  s.does(undo{});
  CHECK(s.refuses(undo{})
        == error{.code = errc::revision_gone, .message = "revision 4 is not kept"});
  const command request = s.asks(undo{});
  CHECK(decide(s.state(), request, {.now = s.now}).error().code == errc::revision_gone);
}

TEST_CASE("a restore takes the content of any kept revision and can be undone") {
  auto s = counted(5);
  CHECK(s.does(restore{std::uint64_t{2}}).revision == 6);
  CHECK(s.last_change() == "6 @ 1000: restored to 2 null | state_set a = 2");
  CHECK(s.state().content_revision == 6);
  CHECK_FALSE(s.does(restore{std::uint64_t{2}}).changed);
  s.does(undo{});
  CHECK(a_of(s) == "5");
  s.does(redo{});
  CHECK(a_of(s) == "2");
  for (const std::uint64_t none : {0u, 99u})
    CHECK(s.refuses(restore{none}).code == errc::revision_gone);
  s.does(restore{std::uint64_t{1}});
  CHECK(s.keys() == "{}");
}

TEST_CASE("nothing brings back what was deleted") {
  auto s = counted(3);
  s.does(erase{});
  s.begins();
  REQUIRE(s.kept.at(3));
  CHECK(s.refuses(restore{std::uint64_t{3}}).code == errc::revision_gone);
  CHECK(s.refuses(restore{std::uint64_t{4}}).code == errc::revision_gone);
  CHECK(s.refuses(undo{}).code == errc::nothing_to_undo);
}

TEST_CASE("undo and redo and restore and merge stand alone in their command") {
  auto s = counted(3);
  for (const operation& op : {operation{undo{}}, operation{redo{}},
                              operation{restore{std::uint64_t{2}}}, operation{merge_fork{}}}) {
    CHECK(s.refuses(op, clear_state{}).code == errc::malformed);
    CHECK(s.refuses(clear_state{}, op).code == errc::malformed);
  }
}

// Checkpoints
// ------------------------------------------------------------------------------------------------

TEST_CASE("a checkpoint pins the revision it stands on with name and tags and metadata") {
  auto s = counted(3);
  s.now = {2000};
  CHECK(s.does(create_checkpoint{"c", "before", {"x", "y"}, json(R"({"m":1})")}).revision == 4);
  CHECK(find_checkpoint(s.state(), "c")
        == checkpoint{"c", "before", 3, {2000}, {"x", "y"}, json(R"({"m":1})"), false});
  CHECK_FALSE(find_checkpoint(s.state(), "d"));
  s.set("a", 9);
  s.does(restore{"c"});
  CHECK(a_of(s) == "3");
  CHECK(where(s.refuses(restore{"d"})) == "not_found at /id");
  s.does(patch_state{{set_key{"a", 10}}}, create_checkpoint{.id = "d"});
  CHECK(checkpoints(s) == "d@7 c@3");
  s.does(delete_checkpoint{"c"});
  CHECK(checkpoints(s) == "d@7");
  CHECK(where(s.refuses(delete_checkpoint{"c"})) == "not_found at /id");
}

TEST_CASE("a checkpoint with a fault is refused with its path") {
  auto s = live();
  s.does(create_checkpoint{.id = "c"});
  CHECK(where(s.refuses(create_checkpoint{.id = "c"})) == "already_exists at /id");
  CHECK(where(s.refuses(create_checkpoint{.id = ""})) == "bad_id at /id");
  CHECK(where(s.refuses(create_checkpoint{.id = "auto-1"})) == "reserved_field at /id");
  CHECK(where(s.refuses(create_checkpoint{.id = "d", .name = "\xff"})) == "invalid_value at /name");
  CHECK(where(s.refuses(create_checkpoint{.id = "d", .tags = {"t", "\n"}})) == "bad_id at /tags/1");
  CHECK(where(s.refuses(create_checkpoint{.id = "d", .tags = std::vector<std::string>(65, "t")}))
        == "too_many_elements at /tags");
  CHECK(where(s.refuses(create_checkpoint{.id = "d", .metadata = 1})) == "wrong_type at /metadata");
}

TEST_CASE("every so many tool calls make an automatic checkpoint and the last are kept") {
  auto s = live({.checkpoint_every = 2, .keep_checkpoints = 2});
  s.does(create_checkpoint{.id = "mine"});
  for (int i = 1; i <= 7; ++i)
    s.does(record_call{"t", i});
  CHECK(checkpoints(s) == "auto-00000000000000000008@8 auto-00000000000000000006@6 mine@1");
  CHECK(find_checkpoint(s.state(), "auto-00000000000000000008")->automatic);
  CHECK(s.refuses(create_checkpoint{.id = "auto-9"}).code == errc::reserved_field);
  auto none = live();
  for (int i = 1; i <= 60; ++i)
    none.does(record_call{"t", i});
  CHECK(checkpoints(none) == "");
  none.inherited = {.checkpoint_every = 1};
  for (int i = 1; i <= 60; ++i)
    none.does(record_call{"t", i});
  CHECK(checkpoints_of(none.state()).size() == default_keep_checkpoints);
}

// Kept revisions
// ------------------------------------------------------------------------------------------------

TEST_CASE("a timeline gives every revision until it is pruned") {
  auto s = counted(4);
  CHECK(s.kept.revisions() == numbers({0, 1, 2, 3, 4}));
  CHECK(s.kept.at(2)->revision == 2);
  CHECK(s.kept.at(5) == nullptr);
  s.kept.prune({.last = 2}, s.now);
  CHECK(s.kept.revisions() == numbers({2, 3, 4}));
  CHECK(s.kept.at(1) == nullptr);
  CHECK(s.kept.at(3)->revision == 3);
  s.kept.prune({.last = 0}, s.now);
  CHECK(s.kept.revisions() == numbers({4}));
  s.kept.prune({.last = std::numeric_limits<std::uint64_t>::max()}, s.now);
  CHECK(s.kept.revisions() == numbers({4}));
}

TEST_CASE("what a checkpoint or a fork stands on is kept whatever its age") {
  auto s = counted(4);
  s.does(restore{std::uint64_t{2}});
  s.does(create_checkpoint{.id = "c"});  // pins 5
  for (int i = 0; i < 5; ++i)
    s.set("b", i);
  const std::uint64_t forks[] = {3};
  s.now = {1'000'000};
  s.kept.prune({.last = 2, .max_age_ms = 1}, s.now, forks);
  CHECK(s.kept.revisions() == numbers({3, 5, 11}));
  s.does(delete_checkpoint{"c"});
  s.kept.prune({.last = 1}, s.now);
  CHECK(s.kept.revisions() == numbers({11, 12}));
}

TEST_CASE("a revision is kept up to its greatest age and not beyond") {
  auto s = live();
  for (int i = 1; i <= 3; ++i) {
    s.now.ms += 100;
    s.set("a", i);  // revisions 2, 3, 4 at 1100, 1200, 1300
  }
  auto all = s.kept;
  all.prune({.max_age_ms = std::numeric_limits<std::uint64_t>::max()}, {1300});
  CHECK(all.revisions() == numbers({0, 1, 2, 3, 4}));
  s.kept.prune({.max_age_ms = 100}, {1300});
  CHECK(s.kept.revisions() == numbers({3, 4}));
  auto back = s.kept;
  back.prune({.max_age_ms = 0}, {900});  // the clock went back
  CHECK(back.revisions() == numbers({3, 4}));
  s.kept.prune({.max_age_ms = 0}, {9999});
  CHECK(s.kept.revisions() == numbers({4}));
}

TEST_CASE("retention comes from the policy and the scopes above and the default") {
  CHECK(retention_of(live().state()).last == 100);
  CHECK_FALSE(retention_of(live().state()).max_age_ms);
  const auto own = live({.keep_revisions = 7});
  const auto both = retention_of(own.state(), {.keep_revisions = 9, .keep_revisions_ms = 5});
  CHECK(both.last == 7);
  CHECK(both.max_age_ms == 5);
  CHECK(retention_of(live({.keep_revisions = 10'000}).state()).last == 10'000);
  CHECK(retention_of(live().state(), {.keep_revisions = 10'001}).last == 10'000);
}

TEST_CASE("a kept revision costs its change and not its content") {
  auto s = live();
  for (int i = 0; i < 300; ++i)
    s.append({value::map({{"text", std::string(1000, 'x')}})});
  auto next = s.state();
  allocation_watch watch;
  for (int i = 0; i < 100; ++i) {
    next = evolve(next, {next.revision + 1, {}, {entry_set{section::state, "a", i}}});
    s.kept.push(next, {});
  }
  CHECK(watch.total() < 400'000);
  CHECK(find(*s.kept.at(350), section::state, "a", {})->data == value{48});
}

// Differences
// ------------------------------------------------------------------------------------------------

TEST_CASE("a diff names each path with what was and what is") {
  auto s = live();
  s.patch({set_key{"a", 1}, set_key{"gone", 2}, set_key{"x/y", 1}});
  s.says("user", "hi");
  s.says("user", "old");
  const auto before = s.state();
  s.does(pop_items{}, append_items{{json(R"({"n":1})")}},
         patch_state{{set_key{"a", 1.0}, delete_key{"gone"}, set_key{"x/y", true}}},
         put_todos{{{"t", "c"}}}, update_info{.tags = std::vector<std::string>{"z"}});
  CHECK(differences(before, s.state())
        == "/tags/z: nothing -> true\n"
           "/state/a: 1 -> 1.0\n"
           "/state/gone: 2 -> nothing\n"
           "/state/x~1y: 1 -> true\n"
           "/todos/t: nothing -> "
           R"({"position":0,"content":"c","status":"pending","priority":"medium"})"
           "\n"
           R"(/items/2: {"role":"user","content":"old"} -> nothing)"
           "\n"
           R"(/items/3: nothing -> {"n":1})"
           "\n");
  CHECK(differences(s.state(), s.state()) == "");
}

TEST_CASE("a diff of a key that was set back to what it was is empty") {
  auto s = counted(3);
  const auto before = s.state();
  s.set("a", 9);
  s.set("a", 3);
  CHECK(differences(before, s.state()) == "");
  s.patch({set_key{.key = "a", .data = 3, .ttl_ms = 5}});
  CHECK(differences(before, s.state()) == "/state/a: 3 -> 3\n");
}

TEST_CASE("the steps between two states give the one the content of the other") {
  auto s = live();
  for (int i = 0; i < 40; ++i) {
    s.set("k" + std::to_string(i % 7), i);
    s.says("assistant", std::to_string(i));
    if (i % 5 == 4)
      s.does(pop_items{3}, patch_state{{delete_key{"k1"}}});
  }
  for (const std::uint64_t from : {1u, 9u, 20u, 41u, 60u}) {
    for (const std::uint64_t to : {1u, 9u, 20u, 41u, 60u}) {
      auto state = *s.kept.at(from);
      for (const auto& step : steps_between(state, *s.kept.at(to), s.now))
        apply(state, step, 99, s.now);
      CHECK(same_content(state, *s.kept.at(to)));
    }
  }
}
