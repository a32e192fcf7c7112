#include <troupe/state/decide.hpp>

#include "../support/entities.hpp"

#include <limits>

using namespace troupe;
using namespace troupe::testing;

namespace {

patch_state sets(const std::string& key, const value& data) {
  return {{set_key{key, data}}};
}

/// One entity of each name in order, and what is asked of it.
struct change_set {
  std::vector<entity_state> held;
  std::vector<command> commands;

  void add(const entity_fixture& of, command what) {
    held.push_back(of.state());
    commands.push_back(std::move(what));
  }
  [[nodiscard]] expected<std::vector<decision>> decide_it() const {
    std::vector<const entity_state*> states;
    for (const auto& one : held)
      states.push_back(&one);
    const std::vector<decide_context> contexts(commands.size(), decide_context{.now = {1000}});
    return decide_all(states, commands, contexts);
  }
};

}  // namespace

TEST_CASE("every command but create is not_found where there is no entity") {
  entity_fixture s;
  const error none{.code = errc::not_found, .message = "no such session"};
  const auto all_refuse = [&] {
    CHECK(s.refuses(erase{}) == none);
    CHECK(s.refuses(append_items{{value::map({})}}) == none);
    CHECK(s.refuses(append_items{}) == none);
    CHECK(s.refuses(patch_state{}) == none);
    CHECK(s.refuses(update_info{}) == none);
    CHECK(s.refuses(merge_state{value::map({})}) == none);
    CHECK(s.refuses(undo{}) == none);
    CHECK(s.refuses(erase{}, create{}) == none);
  };
  all_refuse();
  s.begins();
  s.does(erase{});
  all_refuse();
  entity_fixture team{entity_kind::team};
  CHECK(team.refuses(erase{}).message == "no such team");
}

TEST_CASE("a create that finds the entity changes nothing") {
  entity_fixture s;
  s.begins({.user = "ann"});
  s.now = {2000};
  CHECK(s.begins({.user = "bob"}) == outcome{.revision = 1});
  CHECK(s.begins({.user = "\x01", .metadata = value{1}}) == outcome{.revision = 1});
  CHECK(user_of(s.state()) == "ann");
  CHECK(s.state().last_activity == timestamp{1000});
}

TEST_CASE("a create only if absent is refused with the current revision") {
  entity_fixture s;
  CHECK(s.does(create{{}, true}).created);
  s.set("a", 1);
  CHECK(s.refuses(create{{}, true})
        == error{.code = errc::already_exists,
                 .message = "the session is there already",
                 .current_revision = 2});
  s.does(erase{});
  CHECK(s.does(create{{}, true}) == outcome{.revision = 4, .changed = true, .created = true});
}

TEST_CASE("a delete empties the entity and a create after it continues the revisions") {
  entity_fixture s;
  s.begins({.user = "ann", .metadata = json(R"({"tag":"x"})")});
  s.append({value::map({{"n", 1}})});
  s.set("k", 1);
  s.does(undo{});
  s.now = {2000};
  CHECK(s.does(erase{}) == outcome{.revision = 5, .changed = true});
  CHECK(s.last_change() == "5 @ 2000: deleted");
  entity_state expected;
  expected.status = lifecycle::deleted;
  expected.revision = expected.content_revision = 5;
  expected.last_activity = {2000};
  CHECK(s.state() == expected);
  s.now = {3000};
  CHECK(s.begins() == outcome{.revision = 6, .changed = true, .created = true});
  CHECK(s.state().created == timestamp{3000});
  CHECK(s.state().first_revision == 6);
  CHECK(s.keys() == "{}");
  CHECK(info_of(s.state()) == entity_info{});
}

TEST_CASE("an expected revision that is not the current one is refused with the current one") {
  entity_fixture s;
  const auto expecting = [&](std::uint64_t revision, auto operation) {
    auto what = s.asks(std::move(operation));
    what.expected_revision = revision;
    return what;
  };
  CHECK(s.refused(expecting(0, create{}))
        == error{.code = errc::revision_conflict,
                 .message = "expected revision 0, found none",
                 .current_revision = 0});
  s.begins();
  s.set("a", 1);
  for (const std::uint64_t wrong : {0u, 1u, 3u}) {
    const error conflict{.code = errc::revision_conflict,
                         .message = "expected revision " + std::to_string(wrong) + ", found 2",
                         .current_revision = 2};
    CHECK(s.refused(expecting(wrong, create{})) == conflict);
    CHECK(s.refused(expecting(wrong, erase{})) == conflict);
    CHECK(s.refused(expecting(wrong, append_items{})) == conflict);
    CHECK(s.refused(expecting(wrong, patch_state{})) == conflict);
    CHECK(s.refused(expecting(wrong, undo{})) == conflict);
  }
  CHECK(s.runs(expecting(2, sets("a", 2))).revision == 3);
  CHECK(s.runs(expecting(3, create{})) == outcome{.revision = 3});
  CHECK(s.runs(expecting(3, erase{})).revision == 4);
  CHECK(s.refused(expecting(4, create{}))
        == error{.code = errc::revision_conflict,
                 .message = "expected revision 4, found none",
                 .current_revision = 4});
}

TEST_CASE("one command is one revision however many operations and events it has") {
  entity_fixture s;
  CHECK(s.does(create{}, sets("a", 1), append_items{{value::map({})}},
               patch_state{{set_key{"b", 2}, delete_key{"a"}}})
        == outcome{.revision = 1, .changed = true, .created = true, .first_seq = 1, .last_seq = 1});
  CHECK(s.last_change()
        == "1 @ 1000: created session | state_set a = 1 | items_appended 1 [{}] | state_set b = 2 "
           "| state_erased a");
  CHECK(s.keys() == R"({"b":2})");
  CHECK(s.key("b")->revision == 1);
}

TEST_CASE("a command whose last operation is refused changes nothing") {
  entity_fixture s;
  s.begins();
  s.set("a", 1);
  CHECK(s.refuses(sets("a", 2), append_items{{value::map({})}}, sets(std::string(257, 'k'), 1)).code
        == errc::bad_id);
  CHECK(s.refuses(erase{}, sets("a", 2)).code == errc::not_found);
  CHECK(s.keys() == R"({"a":1})");
  CHECK(s.does(erase{}, create{}, sets("b", 1))
        == outcome{.revision = 3, .changed = true, .created = true});
  CHECK(s.keys() == R"({"b":1})");
}

TEST_CASE("a command has from one to a thousand operations") {
  entity_fixture s;
  s.begins();
  CHECK(s.refuses()
        == error{.code = errc::malformed,
                 .message = "a command has at least one operation",
                 .path = "/operations"});
  auto what = s.asks();
  what.operations.assign(1001, clear_state{});
  CHECK(s.refused(what)
        == error{.code = errc::too_many_elements,
                 .message = "a command has at most 1,000 operations",
                 .path = "/operations",
                 .limit = 1000});
  what.operations.pop_back();
  CHECK_FALSE(s.runs(what).changed);
}

// Quota and limits
// ------------------------------------------------------------------------------------------------

TEST_CASE("an entity that is full takes what frees as much as it adds") {
  entity_fixture s;
  s.begins();
  const value big{std::string(250'000, 'x')};
  int kept = 0;
  for (; s.state().bytes() + big.bytes().size() + 2 <= max_entity_bytes; ++kept)
    s.set(std::to_string(kept), big);
  CHECK(kept == 33);
  CHECK(s.refuses(sets("n", big)).code == errc::quota_exceeded);
  CHECK(s.refuses(append_items{{value::map({{"x", big}})}})
        == error{.code = errc::quota_exceeded,
                 .message = "a session holds at most 8 MiB of items, keys and values",
                 .limit = max_entity_bytes});
  CHECK(s.does(patch_state{{set_key{"n", big}, delete_key{"0"}}}).changed);
  CHECK(s.does(merge_state{value::map({{"1", nullptr}, {"m", big}})}).changed);
  CHECK(s.does(erase{}).changed);
}

TEST_CASE("an entity beyond its quota may shrink and not grow") {
  entity_fixture s;
  s.begins();
  auto over = s.state();
  const value big{std::string(250'000, 'x')};
  for (int i = 0; i < 40; ++i)
    over =
        evolve(over, {over.revision + 1, {}, {entry_set{section::state, std::to_string(i), big}}});
  CHECK(decide(over, s.asks(patch_state{{delete_key{"1"}}}), s.context()));
  CHECK(decide(over, s.asks(patch_state{{set_key{"1", "x"}}}), s.context()));
  CHECK(decide(over, s.asks(sets("more", 1)), s.context()).error().code == errc::quota_exceeded);
}

TEST_CASE("an entity has at most a hundred thousand entries") {
  entity_fixture s;
  s.begins();
  auto full = s.state();
  change fill{.revision = 2, .events = {}};
  for (std::size_t i = 0; i < max_entries; ++i)
    fill.events.emplace_back(entry_set{section::state, std::to_string(i), 1});
  full = evolve(full, fill);
  CHECK(decide(full, s.asks(sets("more", 1)), s.context()).error()
        == error{.code = errc::quota_exceeded,
                 .message = "an entity has at most 100,000 entries",
                 .limit = max_entries});
  CHECK(decide(full, s.asks(sets("1", 2)), s.context()));
  CHECK(decide(full, s.asks(patch_state{{set_key{"more", 1}, delete_key{"1"}}}), s.context()));
}

TEST_CASE("values that a C++ host made and no reader could give back are refused") {
  entity_fixture s;
  s.begins();
  const value not_finite{std::numeric_limits<double>::infinity()}, not_text{"\xff"};
  for (const auto& bad : {not_finite, not_text}) {
    const auto nested = value::map({{"x", value::array({1, bad})}});
    CHECK(s.refuses(append_items{{nested}}).code == errc::invalid_value);
    CHECK(s.refuses(sets("k", bad)).code == errc::invalid_value);
    CHECK(s.refuses(merge_state{value::map({{"k", nested}})}).code == errc::invalid_value);
    CHECK(s.refuses(update_info{.metadata_patch = nested}).code == errc::invalid_value);
    CHECK(s.refuses(record_call{"t", nested}).code == errc::invalid_value);
  }
}

TEST_CASE("an operation of another scope is refused as wrong_scope") {
  entity_fixture session, workflow{entity_kind::workflow}, team{entity_kind::team},
      global{entity_kind::global};
  for (auto* one : {&session, &workflow, &team, &global})
    one->begins();
  for (const operation& op :
       {operation{append_items{{value::map({})}}}, operation{pop_items{}}, operation{clear_items{}},
        operation{drop_oldest_items{}}, operation{record_usage{}}, operation{reset_usage{}},
        operation{put_todos{}}, operation{patch_todos{}}, operation{record_call{"t"}},
        operation{reset_calls{}}, operation{update_notebook{}}})
    for (const auto* one : {&workflow, &team, &global})
      CHECK(one->refuses(op).code == errc::wrong_scope);
  for (const operation& op : {operation{define_nodes{}}, operation{update_node{"n"}},
                              operation{cancel_workflow{}}, operation{resume_workflow{}}})
    for (const auto* one : {&session, &team, &global})
      CHECK(one->refuses(op).code == errc::wrong_scope);
  for (const operation& op : {operation{add_member{"m"}}, operation{remove_member{"m"}},
                              operation{send_message{"m"}}, operation{acknowledge{"m"}}})
    for (const auto* one : {&session, &workflow, &global})
      CHECK(one->refuses(op).code == errc::wrong_scope);
  CHECK(team.refuses(define_nodes{}).message == "a team has no nodes");
}

// Numbers
// ------------------------------------------------------------------------------------------------

TEST_CASE("a command beyond the last number is refused and no item is lost") {
  entity_fixture s;
  s.begins();
  const append_items two{{value::map({}), value::map({})}};
  const auto appended = [&](std::uint64_t revision, std::uint64_t last_seq) {
    auto state = s.state();
    state.revision = revision;
    state.last_seq = last_seq;
    return decide(state, {.entity = s.ref, .operations = {two}}, {.now = {1000}});
  };
  constexpr auto top = std::numeric_limits<std::uint64_t>::max();
  CHECK(appended(1, max_number - 2)->next.items.last_seq() == max_number);
  CHECK(appended(max_number - 1, 0)->next.revision == max_number);
  for (const auto last : {max_number - 1, max_number, top - 3, top - 1}) {
    const auto refused = appended(1, last);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::quota_exceeded);
    CHECK(refused.error().limit == max_number);
  }
  CHECK(appended(max_number, 0).error().code == errc::quota_exceeded);
  CHECK(appended(top, 0).error().code == errc::quota_exceeded);
}

// What a caller learns
// ------------------------------------------------------------------------------------------------

TEST_CASE("an outcome is a function of the change alone") {
  CHECK(outcome_of({.revision = 7}) == outcome{.revision = 7});
  const auto item = value::map({});
  change all{.revision = 9,
             .events = {entity_created{}, items_appended{5, {item, item}}, items_removed{1, 3},
                        items_appended{7, {item}}, items_removed{0, 1}}};
  CHECK(outcome_of(all)
        == outcome{.revision = 9,
                   .changed = true,
                   .created = true,
                   .first_seq = 5,
                   .last_seq = 7,
                   .removed = 4});
  CHECK(outcome_of({.revision = 1, .events = {entity_forked{}}}).created);
  entity_fixture s;
  s.begins();
  const auto answer = s.does(record_usage{3, 4}, record_call{"t", 1}, record_call{"u", 1});
  REQUIRE(answer.usage);
  CHECK(answer.usage->last == usage_counters{3, 4});
  CHECK(answer.loop == loop_verdict{"u", 1, 5, false});
}

TEST_CASE("the request's idempotency key stands in its change") {
  entity_fixture s;
  auto what = s.asks(create{});
  what.once = idempotency{"ann", "k", "hash"};
  s.runs(what);
  CHECK(s.changes[0].asked_by == what.once);
  s.set("a", 1);
  CHECK_FALSE(s.changes[1].asked_by);
}

TEST_CASE("reads never touch the last activity and every write does") {
  entity_fixture s;
  s.begins();
  const auto touches = [&](auto... operations) {
    s.now.ms += 1000;
    s.does(operations...);
    return s.state().last_activity == s.now;
  };
  CHECK(touches(append_items{{value::map({})}}));
  CHECK(touches(sets("a", 1)));
  CHECK(touches(update_notebook{.variables = json(R"({"v":"int"})")}));
  CHECK(touches(update_info{.tags = std::vector<std::string>{"t"}}));
  CHECK(touches(pop_items{}));
  CHECK(touches(undo{}));
  CHECK_FALSE(touches(sets("a", 1)));
  CHECK_FALSE(touches(create_checkpoint{.id = "c"}));
  CHECK_FALSE(touches(delete_checkpoint{"c"}));
  CHECK_FALSE(touches(undo{0}));
  const auto before = encode(s.state());
  s.now.ms += 1000;
  (void)info_of(s.state());
  (void)s.items();
  (void)s.keys();
  (void)diff(s.state(), s.state());
  CHECK(encode(s.state()) == before);
}

// Several entities at once
// ------------------------------------------------------------------------------------------------

TEST_CASE("a change set decides all its entities or none") {
  entity_fixture a{entity_kind::session, "a"}, b{entity_kind::session, "b"};
  a.begins();
  b.begins();
  change_set step;
  step.add(b, b.asks(sets("x", 1)));
  step.add(a, a.asks(append_items{{value::map({})}}));
  const auto done = step.decide_it();
  REQUIRE(done);
  REQUIRE(done->size() == 2);
  CHECK(describe((*done)[0].what) == "2 @ 1000: state_set x = 1");
  CHECK(describe((*done)[1].what) == "2 @ 1000: items_appended 1 [{}]");
  step.commands[0].expected_revision = 7;
  CHECK(step.decide_it().error()
        == error{.code = errc::revision_conflict,
                 .message = "expected revision 7, found 1",
                 .path = "/changes/0",
                 .current_revision = 1});
}

TEST_CASE("a change set is decided in the order of its entities whatever the order it names them") {
  entity_fixture a{entity_kind::session, "a"}, b{entity_kind::session, "b"},
      w{entity_kind::workflow, "a"};
  for (auto* one : {&a, &b, &w})
    one->begins();
  change_set step;
  step.add(w, w.asks(sets(std::string(257, 'w'), 1)));
  step.add(b, b.asks(sets("ok", 1), append_items{}));
  step.add(a, a.asks(sets("ok", 1)));
  CHECK(step.decide_it().error().code == errc::malformed);
  CHECK(step.decide_it().error().path == "/changes/1/operations/1/items");
  step.commands[1] = b.asks(sets("ok", 1));
  CHECK(step.decide_it().error().code == errc::bad_id);
  CHECK(step.decide_it().error().path.starts_with("/changes/0"));
}

TEST_CASE("a change set names from one to eight entities and each once") {
  change_set step;
  CHECK(step.decide_it().error()
        == error{.code = errc::malformed,
                 .message = "a change set names at least one entity",
                 .path = "/changes"});
  for (int i = 0; i < 8; ++i) {
    const entity_fixture one{entity_kind::session, std::to_string(i)};
    step.add(one, one.asks(create{}));
  }
  CHECK(step.decide_it());
  const entity_fixture ninth{entity_kind::session, "8"};
  step.add(ninth, ninth.asks(create{}));
  CHECK(step.decide_it().error()
        == error{.code = errc::too_many_elements,
                 .message = "a change set names at most eight entities",
                 .path = "/changes",
                 .limit = 8});
  step.held.pop_back();
  step.commands.pop_back();
  step.commands[6].entity = step.commands[2].entity;
  CHECK(step.decide_it().error()
        == error{.code = errc::invalid_value,
                 .message = "a change set names each entity once",
                 .path = "/changes/6"});
  step.commands[6].entity.name_space = "other";
  CHECK(step.decide_it());
}

TEST_CASE("what one command changes is bounded however small it is") {
  entity_fixture s;
  s.begins();
  s.does(patch_state{{set_key{.key = "list", .data = value::array({std::string(200'000, 'x')})}}});
  patch_state amplified;
  for (int i = 0; i < 1'000; ++i)
    amplified.ops.push_back(append_to{.key = "list", .values = {value{i}}});
  const auto refused = s.refuses(amplified);
  CHECK(refused.code == errc::too_large);
  CHECK(refused.limit == max_change_bytes);
  const std::vector<state_op> many(max_state_ops + 1, set_key{.key = "a", .data = 1});
  CHECK(s.refuses(patch_state{many}).code == errc::too_many_elements);
  auto request = s.asks(patch_state{{set_key{.key = "a", .data = 1}}});
  request.once = idempotency{.principal = "p", .key = "k", .body_hash = std::string(65, 'h')};
  CHECK(decide(s.state(), request, s.context()).error().code == errc::too_large);
}

TEST_CASE("what has expired makes room before a write is refused") {
  entity_fixture s;
  s.begins();
  const std::string big(250'000, 'x');
  for (int i = 0; i < 33; ++i)
    s.does(patch_state{{set_key{.key = std::to_string(i), .data = big, .ttl_ms = 100}}});
  CHECK(s.refuses(patch_state{{set_key{.key = "more", .data = big}}}).code == errc::quota_exceeded);
  s.now.ms += 100;
  CHECK(s.does(patch_state{{set_key{.key = "more", .data = big}}}).changed);
  CHECK(s.state().bytes() < 300'000);
}

TEST_CASE("a merge starts from where the fork was merged last and from nowhere else") {
  entity_fixture parent{entity_kind::session, "p"}, child{entity_kind::session, "c"};
  parent.begins();
  child.does(fork_from{parent.ref, std::make_shared<const entity_state>(parent.state())});
  const auto begun = std::make_shared<const entity_state>(child.state());
  child.does(append_items{{value::map({{"n", 1}})}});
  const auto now = std::make_shared<const entity_state>(child.state());
  CHECK(parent.does(merge_fork{child.ref, begun, now}).changed);
  CHECK(where(parent.refuses(merge_fork{child.ref, begun, now})) == "invalid_value at /base");
  CHECK(parent.state().items.size() == 1);
  for (int i = 0; i < 5; ++i)
    child.set("k", i);
  child.kept.prune({.last = 0}, child.now);
  CHECK(child.kept.at(begun->revision) != nullptr);
}
