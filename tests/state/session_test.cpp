#include <troupe/state/session.hpp>

#include "../support/entities.hpp"

#include <limits>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr auto top = std::numeric_limits<std::uint64_t>::max();

entity_fixture live(policy limits = {}) {
  entity_fixture s;
  s.begins({.limits = limits});
  return s;
}

/// The verdict on one call.
loop_verdict calls(entity_fixture& s, const std::string& tool, std::string_view arguments = "{}",
                   bool read_only = false) {
  const auto answer = s.does(record_call{tool, json(arguments), read_only});
  REQUIRE(answer.loop);
  return *answer.loop;
}

std::vector<std::uint64_t> call_numbers(const entity_fixture& s) {
  std::vector<std::uint64_t> out;
  for (const auto& call : calls_of(s.state()))
    out.push_back(call.number);
  return out;
}

/// "a:pending:high b:completed:low"
std::string todos(const entity_fixture& s) {
  std::string out;
  for (const auto& one : todos_of(s.state()))
    out += (out.empty() ? "" : " ") + one.id + ':' + std::string{to_string(one.status)} + ':'
           + std::string{to_string(one.priority)};
  return out;
}

}  // namespace

// Items
// ------------------------------------------------------------------------------------------------

TEST_CASE("an append numbers its items in order from the last one on") {
  auto s = live();
  s.now = {2000};
  CHECK(s.append({json(R"({"a":1})"), json(R"({"b":2})")})
        == outcome{.revision = 2, .changed = true, .first_seq = 1, .last_seq = 2});
  CHECK(s.last_change() == R"(2 @ 2000: items_appended 1 [{"a":1},{"b":2}])");
  s.now = {3000};
  CHECK(s.append({json("{}")})
        == outcome{.revision = 3, .changed = true, .first_seq = 3, .last_seq = 3});
  CHECK(s.items() == R"(1{"a":1} 2{"b":2} 3{})");
  CHECK(s.state().items[1].at == timestamp{2000});
  CHECK(s.state().items[2].at == timestamp{3000});
  CHECK(s.state().last_seq == 3);
  CHECK(s.state().created == timestamp{1000});
}

TEST_CASE("an append is refused whole and says which item is at fault") {
  auto s = live();
  const auto good = value::map({{"role", "user"}});
  CHECK(s.refuses(append_items{})
        == error{.code = errc::malformed,
                 .message = "an append has at least one item",
                 .path = "/items"});
  for (const value& item : {value{}, value{1}, value{"x"}, value::array({good})})
    CHECK(where(s.refuses(append_items{{good, item}})) == "wrong_type at /items/1");
  CHECK(s.refuses(append_items{{good, good, value::map({{"x", 1}, {"seq", 1}})}})
        == error{.code = errc::reserved_field,
                 .message = "'seq' belongs to Troupe",
                 .path = "/items/2/seq"});
  CHECK(s.refuses(append_items{{value::map({{"at", value{}}})}})
        == error{.code = errc::reserved_field,
                 .message = "'at' belongs to Troupe",
                 .path = "/items/0/at"});
  CHECK(s.refuses(append_items{{good, map_of_bytes(max_value_bytes + 1)}})
        == error{.code = errc::too_large,
                 .message = "one value is at most 256 KiB of msgpack",
                 .path = "/items/1",
                 .limit = 262144});
  CHECK(s.refuses(append_items{std::vector<value>(1001, good)})
        == error{.code = errc::too_many_elements,
                 .message = "an append has at most 1,000 items",
                 .path = "/items",
                 .limit = 1000});
  CHECK(where(s.refuses(append_items{{good, value::map({{"a", deep(64)}})}}))
        == "too_deep at /items/1");
  CHECK(s.items() == "");
}

TEST_CASE("an append at each limit is kept") {
  auto s = live();
  CHECK(s.append(std::vector<value>(1000, value::map({}))).last_seq == 1000);
  CHECK(s.append({map_of_bytes(max_value_bytes)}).last_seq == 1001);
  CHECK(s.append({value::map({{"a", deep(63)}})}).last_seq == 1002);
  CHECK(s.append({value::map({{"SEQ", 1}, {"a", value::map({{"seq", 1}, {"at", 2}})}})}).last_seq
        == 1003);
}

TEST_CASE("a pop takes the newest items and their numbers are never given again") {
  auto s = live();
  s.append({json(R"({"n":1})"), json(R"({"n":2})"), json(R"({"n":3})")});
  CHECK(s.does(pop_items{}) == outcome{.revision = 3, .changed = true, .removed = 1});
  CHECK(s.items() == R"(1{"n":1} 2{"n":2})");
  CHECK(s.append({json("{}")}).first_seq == 4);
  CHECK(s.items() == R"(1{"n":1} 2{"n":2} 4{})");
  CHECK(s.does(pop_items{100}).removed == 3);
  CHECK(s.append({json("{}")}).first_seq == 5);
  CHECK(s.does(clear_items{}).removed == 1);
  CHECK(s.append({json("{}")}).first_seq == 6);
}

TEST_CASE("a pop of nothing changes nothing") {
  auto s = live();
  CHECK_FALSE(s.does(pop_items{}).changed);
  CHECK_FALSE(s.does(clear_items{}).changed);
  s.append({json("{}")});
  CHECK_FALSE(s.does(pop_items{0}).changed);
}

TEST_CASE("a pop that expects another newest item is refused") {
  auto s = live();
  CHECK(s.refuses(pop_items{1, 1}).code == errc::tail_mismatch);
  CHECK_FALSE(s.does(pop_items{1, 0}).changed);
  s.append({json("{}"), json("{}")});
  CHECK(s.refuses(pop_items{1, 1})
        == error{.code = errc::tail_mismatch, .message = "the newest item is number 2, not 1"});
  CHECK(s.does(pop_items{1, 2}).removed == 1);
  CHECK(s.refuses(pop_items{1, 2}).message == "the newest item is number 1, not 2");
}

TEST_CASE("the oldest items are forgotten once there are too many and the rest keeps its numbers") {
  auto s = live();
  s.append({json(R"({"n":1})"), json(R"({"n":2})"), json(R"({"n":3})")});
  CHECK_FALSE(s.does(drop_oldest_items{.keep = 2, .beyond = 3}).changed);
  CHECK_FALSE(s.does(drop_oldest_items{.keep = 3, .beyond = 0}).changed);
  CHECK(s.does(drop_oldest_items{.keep = 2, .beyond = 2}).removed == 1);
  CHECK(s.items() == R"(2{"n":2} 3{"n":3})");
  CHECK(s.append({json("{}")}).first_seq == 4);
  CHECK(s.does(drop_oldest_items{}).removed == 3);
  CHECK(s.items() == "");
  CHECK(s.append({json("{}")}).first_seq == 5);
}

// Usage
// ------------------------------------------------------------------------------------------------

TEST_CASE("usage adds up and saturates and tells the last one") {
  auto s = live();
  CHECK(usage_of(s.state()) == usage_report{});
  const auto answer = s.does(record_usage{10, 5});
  CHECK(answer.usage == usage_report{.last = {10, 5}, .total = {10, 5}});
  s.does(record_usage{top - 12, 3});
  CHECK(usage_of(s.state()).total == usage_counters{top - 2, 8});
  CHECK(usage_of(s.state()).total.total() == top);
  s.does(record_usage{5, top});
  CHECK(usage_of(s.state()).total == usage_counters{top, top});
  CHECK(usage_of(s.state()).last == usage_counters{5, top});
  CHECK(usage_counters{1, 2}.total() == 3);
}

TEST_CASE("a budget is reported and never refused") {
  auto s = live({.token_budget = 10});
  s.does(record_usage{4, 6});
  CHECK(usage_of(s.state()).budget == 10);
  CHECK_FALSE(usage_of(s.state()).over_budget());
  CHECK(s.does(record_usage{1, 0}).changed);
  CHECK(usage_of(s.state()).over_budget());
  CHECK(s.says("assistant", "hi").changed);
  CHECK(usage_of(s.state(), {.token_budget = 99}).budget == 10);
  s.does(update_info{.limits = policy{}});
  CHECK(usage_of(s.state(), {.token_budget = 99}).budget == 99);
  CHECK_FALSE(usage_of(s.state()).over_budget());
}

TEST_CASE("a reset of usage begins at zero and keeps the count of tool calls") {
  auto s = live();
  s.does(record_usage{4, 6});
  calls(s, "t");
  calls(s, "t");
  CHECK(s.does(reset_usage{}).changed);
  CHECK(usage_of(s.state()) == usage_report{.tool_calls = 2});
  CHECK_FALSE(s.does(reset_usage{}).changed);
}

// Todos
// ------------------------------------------------------------------------------------------------

TEST_CASE("a put makes the list exactly this in this order") {
  auto s = live();
  s.does(put_todos{{{"b", "1"}, {"a", "2", todo_status::in_progress, todo_priority::high}}});
  CHECK(todos(s) == "b:pending:medium a:in_progress:high");
  CHECK(todos_of(s.state())[1].content == "2");
  s.does(put_todos{{{"c", "3", todo_status::cancelled, todo_priority::low}, {"b", "1"}}});
  CHECK(todos(s) == "c:cancelled:low b:pending:medium");
  CHECK_FALSE(
      s.does(put_todos{{{"c", "3", todo_status::cancelled, todo_priority::low}, {"b", "1"}}})
          .changed);
  s.does(put_todos{});
  CHECK(todos(s) == "");
}

TEST_CASE("a patch of todos changes some in their place and adds new ones last") {
  auto s = live();
  s.does(put_todos{{{"c", ""}, {"b", ""}, {"a", ""}}});
  s.does(patch_todos{{{"b", "", todo_status::completed}, {"0", ""}, {"z", ""}}, {"c", "none"}});
  CHECK(todos(s) == "b:completed:medium a:pending:medium 0:pending:medium z:pending:medium");
  s.does(patch_todos{{{"c", ""}}, {"z"}});
  CHECK(todos(s) == "b:completed:medium a:pending:medium 0:pending:medium c:pending:medium");
  CHECK_FALSE(s.does(patch_todos{{{"c", ""}}, {"z"}}).changed);
}

TEST_CASE("a list of todos with a fault is refused with its path") {
  auto s = live();
  CHECK(where(s.refuses(put_todos{{{"a", ""}, {"", ""}}})) == "bad_id at /todos/1/id");
  CHECK(where(s.refuses(put_todos{{{"a", ""}, {"a", ""}}})) == "invalid_value at /todos/1/id");
  CHECK(where(s.refuses(put_todos{{{"a", "\xff"}}})) == "invalid_value at /todos/0/content");
  CHECK(where(s.refuses(put_todos{{{"a", std::string((64 << 10) + 1, 'x')}}}))
        == "too_large at /todos/0/content");
  CHECK(where(s.refuses(patch_todos{{{"a", ""}, {"\n", ""}}, {}})) == "bad_id at /todos/1/id");
  put_todos full;
  for (int i = 0; i < 1000; ++i)
    full.todos.push_back({std::to_string(i), ""});
  s.does(full);
  CHECK(where(s.refuses(patch_todos{{{"more", ""}}, {}})) == "too_many_elements at /todos");
  CHECK(s.does(patch_todos{{{"more", ""}}, {"0"}}).changed);
  full.todos.push_back({"more", ""});
  CHECK(s.refuses(full).limit == 1000);
}

TEST_CASE("the words for todos are read back as what they say") {
  for (const auto x : {todo_status::pending, todo_status::in_progress, todo_status::completed,
                       todo_status::cancelled})
    CHECK(todo_status_from(to_string(x)) == x);
  for (const auto x : {todo_priority::high, todo_priority::medium, todo_priority::low})
    CHECK(todo_priority_from(to_string(x)) == x);
  CHECK(to_string(todo_status::in_progress) == "in_progress");
  CHECK(todo_status_from("done").error()
        == error{.code = errc::invalid_value,
                 .message = "this is one of pending, in_progress, completed, cancelled"});
  CHECK(todo_priority_from("High").error().message == "this is one of high, medium, low");
}

// Tool calls
// ------------------------------------------------------------------------------------------------

TEST_CASE("five equal calls in a row are a loop") {
  auto s = live();
  for (std::uint64_t n = 1; n <= 4; ++n)
    CHECK(calls(s, "t") == loop_verdict{"t", n, 5, false});
  CHECK(calls(s, "t") == loop_verdict{"t", 5, 5, true});
  CHECK(calls(s, "t") == loop_verdict{"t", 6, 5, true});
  CHECK(loop_of(s.state()) == loop_verdict{"t", 6, 5, true});
}

TEST_CASE("a call of another tool or with other arguments begins anew") {
  auto s = live();
  calls(s, "t");
  CHECK(calls(s, "t").count == 2);
  CHECK(calls(s, "u").count == 1);
  CHECK(calls(s, "t").count == 1);
  CHECK(calls(s, "t", R"({"x":1})").count == 1);
  CHECK(calls(s, "t", R"({"x":1.0})").count == 1);
  CHECK(calls(s, "t", R"({"x":true})").count == 1);
  CHECK(calls(s, "t", R"({"x":true})").count == 2);
}

TEST_CASE("the order of keys in the arguments does not matter and that of arrays does") {
  auto s = live();
  calls(s, "t", R"({"a":{"x":1,"y":[1,2]},"b":2})");
  CHECK(calls(s, "t", R"({"b":2,"a":{"y":[1,2],"x":1}})").count == 2);
  CHECK(calls(s, "t", R"({"b":2,"a":{"y":[2,1],"x":1}})").count == 1);
}

TEST_CASE("read-only calls are noted and neither count nor interrupt") {
  auto s = live({.loop_limit = 2});
  calls(s, "t");
  for (int i = 0; i < 9; ++i)
    CHECK(calls(s, "read", "{}", true) == loop_verdict{"read", 0, 2, false});
  CHECK(calls(s, "t", "{}", true).count == 0);
  CHECK(calls(s, "t") == loop_verdict{"t", 2, 2, true});
  CHECK(call_numbers(s).size() == 12);
  CHECK(loop_of(s.state()) == loop_verdict{"t", 2, 2, true});
}

TEST_CASE("the limit comes from the nearest policy that has one") {
  auto own = live({.loop_limit = 3});
  own.inherited = {.loop_limit = 2};
  CHECK(calls(own, "t").limit == 3);
  auto inheriting = live();
  inheriting.inherited = {.loop_limit = 2};
  CHECK(calls(inheriting, "t") == loop_verdict{"t", 1, 2, false});
  CHECK(calls(inheriting, "t").looping);
  CHECK(loop_of(inheriting.state(), inheriting.inherited).looping);
  CHECK_FALSE(loop_of(inheriting.state()).looping);
}

TEST_CASE("an item with role user begins a turn and forgets the calls") {
  auto s = live();
  calls(s, "t");
  s.says("assistant", "hi");
  s.append({json(R"({"role":["user"]})"), json(R"({"Role":"user"})")});
  CHECK(calls(s, "t").count == 2);
  s.append(
      {json(R"({"role":"assistant"})"), json(R"({"role":"user"})"), json(R"({"role":"tool"})")});
  CHECK(call_numbers(s).empty());
  CHECK(loop_of(s.state()) == loop_verdict{"", 0, 5, false});
  CHECK(calls(s, "t").count == 1);
  s.does(reset_calls{});
  CHECK(calls(s, "t").count == 1);
  CHECK(call_numbers(s) == std::vector<std::uint64_t>{4});
  s.does(reset_calls{});
  CHECK_FALSE(s.does(reset_calls{}).changed);
}

TEST_CASE("a session that begins again has no calls and neither has a fork") {
  auto s = live();
  calls(s, "t");
  entity_fixture child{entity_kind::session, "child"};
  child.does(fork_from{s.ref, std::make_shared<const entity_state>(s.state())});
  CHECK(call_numbers(child).empty());
  CHECK(calls(child, "t").count == 1);
  child.says("user", "hi");
  child.does(reset_calls{});
  CHECK(calls(s, "t").count == 2);  // what the child does is not the parent's
  s.does(erase{});
  s.begins();
  CHECK(calls(s, "t").count == 1);
}

TEST_CASE("undo begins loop detection anew") {
  auto s = live();
  s.set("a", 1);
  calls(s, "t");
  s.does(undo{});
  CHECK(calls(s, "t").count == 1);
}

TEST_CASE("at most 64 calls are kept and the oldest is forgotten first") {
  auto s = live();
  for (int i = 0; i < 70; ++i)
    calls(s, "t" + std::to_string(i));
  CHECK(call_numbers(s).size() == 64);
  CHECK(call_numbers(s).front() == 7);
  CHECK(call_numbers(s).back() == 70);
  CHECK(usage_of(s.state()).tool_calls == 70);
}

TEST_CASE("a run of equal calls outlives any number of read-only ones") {
  auto s = live();
  for (int i = 0; i < 4; ++i)
    calls(s, "t");
  for (int i = 0; i < 200; ++i)
    calls(s, "read", "{}", true);
  CHECK(call_numbers(s).size() == 64);
  CHECK(call_numbers(s).front() == 4);
  CHECK(calls(s, "t") == loop_verdict{"t", 5, 5, true});
}

TEST_CASE("a call needs a name and arguments that can be kept") {
  auto s = live();
  CHECK(where(s.refuses(record_call{""})) == "bad_id at /tool");
  CHECK(where(s.refuses(record_call{"t", deep(65)})) == "too_deep at /arguments");
  CHECK(where(s.refuses(record_call{"t", map_of_bytes(max_value_bytes + 1)}))
        == "too_large at /arguments");
}

// Notebook
// ------------------------------------------------------------------------------------------------

TEST_CASE("a notebook keeps what an update does not name") {
  auto s = live();
  CHECK(notebook_of(s.state()) == notebook{});
  s.does(update_notebook{"n", 3, json(R"({"x":"int","y":"str"})")});
  s.does(update_notebook{.variables = json(R"({"x":null,"z":"df"})")});
  CHECK(notebook_of(s.state()) == notebook{"n", 3, json(R"({"y":"str","z":"df"})")});
  s.does(update_notebook{.cell_count = 4});
  CHECK(notebook_of(s.state()).cell_count == 4);
  CHECK_FALSE(s.does(update_notebook{"n", 4, json(R"({"y":"str","w":null})")}).changed);
}

TEST_CASE("replacing the variables leaves only those given") {
  auto s = live();
  s.does(update_notebook{"n", 3, json(R"({"x":"int","y":"str"})")});
  s.does(update_notebook{.variables = json(R"({"x":"int","n":null})"), .replace_variables = true});
  CHECK(notebook_of(s.state()) == notebook{"n", 3, json(R"({"x":"int"})")});
  s.does(update_notebook{.replace_variables = true});
  CHECK(notebook_of(s.state()).variables == json("{}"));
}

TEST_CASE("a notebook with a fault is refused with its path") {
  auto s = live();
  CHECK(where(s.refuses(update_notebook{.id = "\n"})) == "bad_id at /id");
  CHECK(where(s.refuses(update_notebook{.variables = 1})) == "wrong_type at /variables");
  CHECK(s.refuses(update_notebook{.variables = value::map({{std::string(257, 'v'), "int"}})}).code
        == errc::bad_id);
  CHECK(notebook_of(s.state()) == notebook{});
}
