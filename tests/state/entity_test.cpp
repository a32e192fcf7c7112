#include <troupe/state/entity.hpp>

#include "../support/allocations.hpp"
#include "../support/entities.hpp"

#include <map>
#include <set>

using namespace troupe;
using namespace troupe::testing;

namespace {

entity_info full_info() {
  return {.user = "ann",
          .workflow = "w",
          .team = "t",
          .placement = "p",
          .ttl_ms = 60'000,
          .schema = schema_id{"s", 3},
          .limits = {.loop_limit = 7,
                     .token_budget = 1,
                     .checkpoint_every = 2,
                     .keep_checkpoints = 3,
                     .keep_revisions = 4,
                     .keep_revisions_ms = 5},
          .metadata = json(R"({"a":1,"b":[2]})"),
          .tags = {"blue", "red"},
          .shares = {{"bob", access::read}, {"cy", access::write}},
          .forked_from = {}};
}

entity_fixture large_session() {
  entity_fixture s;
  s.begins();
  s.set("big", std::string(200'000, 'x'));
  for (int i = 0; i < 500; ++i) {
    std::vector<state_op> ops;
    ops.emplace_back(set_key{"k" + std::to_string(i), i});
    s.does(append_items{{value::map({{"text", std::string(1000, 'x')}})}},
           patch_state{std::move(ops)});
  }
  return s;
}

}  // namespace

TEST_CASE("an entity that was never created is absent and empty") {
  const entity_state state;
  CHECK(state.status == lifecycle::absent);
  CHECK_FALSE(state.live());
  CHECK(state.revision == 0);
  CHECK(state.bytes() == 0);
  CHECK(info_of(state) == entity_info{});
}

TEST_CASE("the description given at creation is read back whole") {
  for (const auto kind : {entity_kind::session, entity_kind::workflow, entity_kind::team,
                          entity_kind::user, entity_kind::global}) {
    entity_fixture s{kind};
    CHECK(s.begins(full_info()) == outcome{.revision = 1, .changed = true, .created = true});
    CHECK(info_of(s.state()) == full_info());
    CHECK(s.state().kind == kind);
    CHECK(user_of(s.state()) == "ann");
    CHECK(policy_of(s.state()) == full_info().limits);
    CHECK(schema_of(s.state()) == schema_id{"s", 3});
    CHECK_FALSE(lineage_of(s.state()));
    CHECK(s.state().created == timestamp{1000});
    CHECK(s.state().last_activity == timestamp{1000});
  }
}

TEST_CASE("an update of the description leaves what it does not name") {
  entity_fixture s;
  s.begins(full_info());
  auto expected = full_info();
  s.does(update_info{.metadata_patch = json(R"({"a":null,"c":{"d":null,"e":3}})")});
  expected.metadata = json(R"({"b":[2],"c":{"e":3}})");
  CHECK(info_of(s.state()) == expected);
  s.does(update_info{.tags = std::vector<std::string>{"red", "green"}});
  expected.tags = {"green", "red"};
  CHECK(info_of(s.state()) == expected);
  s.does(update_info{.shares = std::vector<share>{{"bob", access::write}}});
  expected.shares = {{"bob", access::write}};
  CHECK(info_of(s.state()) == expected);
  s.does(update_info{.workflow = "", .team = "u", .ttl_ms = 0, .limits = policy{}});
  expected.workflow = "";
  expected.team = "u";
  expected.ttl_ms = 0;
  expected.limits = {};
  CHECK(info_of(s.state()) == expected);
  CHECK_FALSE(s.does(update_info{}).changed);
  CHECK_FALSE(s.does(update_info{.metadata_patch = json(R"({"a":null,"b":[2]})"),
                                 .tags = std::vector<std::string>{"red", "green"},
                                 .team = "u",
                                 .limits = policy{}})
                  .changed);
}

TEST_CASE("a description with a fault is refused with its path") {
  const auto fault = [](auto change_one) {
    entity_fixture s;
    auto info = full_info();
    change_one(info);
    return s.refuses(create{info});
  };
  CHECK(where(fault([](entity_info& x) { x.user = "\n"; })) == "bad_id at /user");
  CHECK(where(fault([](entity_info& x) { x.workflow = "\xff"; })) == "bad_id at /workflow");
  CHECK(where(fault([](entity_info& x) { x.team = std::string(257, 't'); })) == "bad_id at /team");
  CHECK(where(fault([](entity_info& x) { x.placement = "\x7f"; })) == "bad_id at /placement");
  CHECK(where(fault([](entity_info& x) { x.schema->id = ""; })) == "bad_id at /schema/id");
  CHECK(where(fault([](entity_info& x) { x.limits.loop_limit = 0; }))
        == "invalid_value at /policy/loop_limit");
  CHECK(where(fault([](entity_info& x) { x.limits.keep_revisions = 10'001; }))
        == "invalid_value at /policy/keep_revisions");
  CHECK(where(fault([](entity_info& x) { x.tags[1] = ""; })) == "bad_id at /tags/1");
  CHECK(fault([](entity_info& x) { x.tags.resize(65, "t"); })
        == error{.code = errc::too_many_elements,
                 .message = "at most 64 tags",
                 .path = "/tags",
                 .limit = 64});
  CHECK(where(fault([](entity_info& x) { x.shares[1].user = ""; })) == "bad_id at /shares/1/user");
  CHECK(where(fault([](entity_info& x) { x.shares.resize(65, {"u"}); }))
        == "too_many_elements at /shares");
  for (const value& other : {value{}, value{1}, value{"x"}, value::array({})})
    CHECK(where(fault([&](entity_info& x) { x.metadata = other; })) == "wrong_type at /metadata");
  CHECK(where(fault([](entity_info& x) {
          x.metadata = value::map({{"a", std::string(max_value_bytes - 4, 'x')}});
        }))
        == "too_large at /metadata");
  CHECK(fault([](entity_info& x) {
          x.metadata = value::map({{std::string(257, 'k'), 1}});
        }).code
        == errc::bad_id);
  CHECK(where(fault([](entity_info& x) {
          x.metadata = value::map({{"a", deep(64)}});
        }))
        == "too_deep at /metadata");
}

TEST_CASE("no two sections share an entry though the key is the same") {
  entity_fixture s;
  s.begins({.metadata = json(R"({"id":1})"), .tags = {"id"}});
  s.set("id", 2);
  s.does(update_notebook{.id = "n", .variables = json(R"({"id":"int"})")},
         put_todos{{{.id = "id", .content = "t"}}}, create_checkpoint{.id = "id"});
  std::map<section, value> found;
  for (const auto& rules : all_sections)
    if (const auto* held = find(s.state(), rules.id, "id", {}))
      found.emplace(rules.id, held->data);
  CHECK(found.size() == 7);
  CHECK(found[section::metadata] == value{1});
  CHECK(found[section::tags] == value{true});
  CHECK(found[section::state] == value{2});
  CHECK(found[section::notebook] == value{"n"});
  CHECK(found[section::variables] == value{"int"});
  CHECK(s.keys() == R"({"id":2})");
}

TEST_CASE("the numbers and names of the sections stand on disk") {
  const char* names[] = {"info",     "metadata", "tags",        "shares",  "state",   "variables",
                         "notebook", "todos",    "nodes",       "members", "cursors", "run",
                         "usage",    "calls",    "checkpoints", "merges",  "schema"};
  for (std::size_t i = 0; i < all_sections.size(); ++i) {
    CHECK(static_cast<std::size_t>(all_sections[i].id) == i + 1);
    CHECK(all_sections[i].name == names[i]);
    CHECK(&rules_of(all_sections[i].id) == &all_sections[i]);
  }
  CHECK_FALSE(is_section(0));
  CHECK(is_section(17));
  CHECK_FALSE(is_section(18));
}

TEST_CASE("each scope has its own sections and no other") {
  const auto sections_of = [](entity_kind kind) {
    std::set<std::string_view> out;
    for (const auto& rules : all_sections)
      if (has_section(kind, rules.id))
        out.insert(rules.name);
    return out;
  };
  const std::set<std::string_view> common{"info",  "metadata",    "tags",   "shares",
                                          "state", "checkpoints", "merges", "schema"};
  const auto with = [&](std::initializer_list<std::string_view> more) {
    auto out = common;
    out.insert(more);
    return out;
  };
  CHECK(sections_of(entity_kind::session)
        == with({"variables", "notebook", "todos", "usage", "calls"}));
  CHECK(sections_of(entity_kind::workflow) == with({"nodes", "run"}));
  CHECK(sections_of(entity_kind::team) == with({"members", "cursors"}));
  CHECK(sections_of(entity_kind::user) == common);
  CHECK(sections_of(entity_kind::global) == common);
}

TEST_CASE("an entry is there until its time comes") {
  entry never{.data = 1}, once{.data = 1, .expires = {100}};
  CHECK(never.live({1'000'000}));
  CHECK(once.live({99}));
  CHECK_FALSE(once.live({100}));
}

TEST_CASE("a snapshot is a copy of pointers whatever the size") {
  const auto s = large_session();
  allocation_watch watch;
  const auto snapshot = s.state();
  CHECK(watch.count() == 0);
  CHECK(snapshot == s.state());
}

TEST_CASE("a decision and its change copy no payload") {
  const auto s = large_session();
  allocation_watch watch;
  std::vector<state_op> ops;
  ops.emplace_back(set_key{"a", 1});
  const auto decided = decide(s.state(), s.asks(patch_state{std::move(ops)}), s.context());
  CHECK(watch.total() < 32'000);
  REQUIRE(decided);
  CHECK_FALSE(s.key("a"));
  CHECK(find(decided->next, section::state, "a", s.now)->data == value{1});
  CHECK(find(decided->next, section::state, "big", s.now)->data.bytes().data()
        == s.key("big")->data.bytes().data());
  CHECK(decided->next.items[0].fields.bytes().data() == s.state().items[0].fields.bytes().data());
}

TEST_CASE("a fork copies no payload whatever the size") {
  const auto cost = [](const entity_fixture& parent) {
    entity_fixture child{entity_kind::session, "child"};
    const auto base = std::make_shared<const entity_state>(parent.state());
    const auto request = child.asks(fork_from{parent.ref, base});
    allocation_watch watch;
    const auto decided = decide(child.state(), request, child.context());
    const auto total = watch.total();
    REQUIRE(decided);
    CHECK(decided->next.bytes() >= parent.state().bytes());
    return total;
  };
  entity_fixture small;
  small.begins();
  small.set("a", 1);
  const auto large = large_session();
  CHECK(large.state().bytes() > 700'000);
  CHECK(cost(large) < 16'000);
  CHECK(cost(small) < 16'000);
}

TEST_CASE("a change of one copy is not seen through another") {
  entity_fixture s;
  s.begins();
  for (int i = 0; i < 100; ++i) {
    s.append({value::map({{"i", i}})});
    s.set("k" + std::to_string(i), i);
  }
  const auto original = s.state();
  const auto bytes = encode(original);
  auto left = original, right = original;
  for (int i = 0; i < 200; ++i) {
    const auto key = "k" + std::to_string(i);
    left = evolve(left, {left.revision + 1,
                         {i},
                         {items_appended{left.last_seq + 1, {value::map({{"left", i}})}},
                          entry_erased{section::state, key}}});
    right = evolve(right, {right.revision + 1, {i}, {entry_set{section::state, key, "right"}}});
  }
  CHECK(encode(original) == bytes);
  CHECK(left.items.size() == 300);
  CHECK(count_entries(left, section::state, {}) == 0);
  CHECK(right.items.size() == 100);
  CHECK(count_entries(right, section::state, {}) == 200);
  CHECK(s.key("k7")->data == value{7});
}

TEST_CASE("bytes count items and keys and values and nothing else") {
  entity_fixture s;
  s.begins();
  CHECK(s.state().bytes() == 0);
  s.set("abc", 1);
  CHECK(s.state().bytes() == 4);
  s.set("abc", "12345");
  CHECK(s.state().bytes() == 9);
  s.append({value::map({}), value::map({{"a", 1}})});
  CHECK(s.state().bytes() == 14);
  s.removes("abc");
  CHECK(s.state().bytes() == 5);
  s.does(pop_items{1});
  CHECK(s.state().bytes() == 1);
  s.set("abc", 1);
  s.does(clear_state{});
  CHECK(s.state().bytes() == 1);
  s.does(erase{});
  CHECK(s.state().bytes() == 0);
}

TEST_CASE("states are equal only if every part is") {
  entity_fixture s;
  s.begins({.metadata = json(R"({"t":{"a":1,"b":2}})")});
  s.append({value::map({{"n", 1}})});
  s.set("k", json(R"({"x":1,"y":2})"));
  const auto same = s.state();
  const auto differs = [&](auto&& change_one) {
    auto other = same;
    change_one(other);
    return !(other == same) && !(same == other);
  };
  CHECK(differs([](entity_state& x) { x.status = lifecycle::deleted; }));
  CHECK(differs([](entity_state& x) { x.kind = entity_kind::team; }));
  CHECK(differs([](entity_state& x) { ++x.revision; }));
  CHECK(differs([](entity_state& x) { ++x.first_revision; }));
  CHECK(differs([](entity_state& x) { ++x.content_revision; }));
  CHECK(differs([](entity_state& x) { ++x.created.ms; }));
  CHECK(differs([](entity_state& x) { ++x.last_activity.ms; }));
  CHECK(differs([](entity_state& x) { ++x.last_seq; }));
  CHECK(differs([](entity_state& x) { ++x.entry_bytes; }));
  CHECK(differs([](entity_state& x) { x.redo = value::array({1}); }));
  CHECK(differs([](entity_state& x) { x.extra = value::array({1}); }));
  CHECK(differs([](entity_state& x) {
    const auto empty = value::map({});
    x.items.append(2, {}, empty);
  }));
  const auto key = entry_key{section::state, "k"}.str();
  const auto data = json(R"({"y":2,"x":1})");
  CHECK(differs([&](entity_state& x) { x.entries.set(key, {1, 3, {}}); }));
  CHECK(differs([&](entity_state& x) { x.entries.set(key, {data, 2, {}}); }));
  CHECK(differs([&](entity_state& x) { x.entries.set(key, {data, 3, {1}}); }));
  CHECK(differs([&](entity_state& x) { x.entries.erase(key); }));
  CHECK_FALSE(differs([&](entity_state& x) { x.entries.set(key, {data, 3, {}}); }));
}

TEST_CASE("content is the same when revisions and what does not revert differ") {
  entity_fixture a;
  a.begins();
  a.set("k", 1);
  const auto before = a.state();
  a.does(create_checkpoint{.id = "c"}, record_usage{1, 2}, update_info{.ttl_ms = 5});
  CHECK(same_content(before, a.state()));
  a.set("k", 2);
  CHECK_FALSE(same_content(before, a.state()));
  a.set("k", 1);
  CHECK(same_content(before, a.state()));
  a.says("assistant", "hi");
  CHECK_FALSE(same_content(before, a.state()));
}
