#include <troupe/state/session.hpp>

#include "../support/allocations.hpp"
#include "../support/sessions.hpp"
#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

value deep(std::size_t arrays) {
  value_writer out;
  for (std::size_t i = 0; i < arrays; ++i)
    out.begin_array(1);
  return out.integer(1).finish();
}

/// A map of exactly `size` bytes.
value map_of_bytes(std::size_t size) {
  return value::map({{"t", std::string(size - 8, 'x')}});
}

}  // namespace

// Create and delete
// ----------------------------------------------------------------------------------------------

TEST_CASE("values that a C++ host made and no reader could give back are refused") {
  const auto live = evolve({}, decide({}, create_session{}, {}).value().what);
  const value not_finite{std::numeric_limits<double>::infinity()}, not_text{"\xff"};
  for (const auto& bad : {not_finite, not_text}) {
    const auto item = value::map({{"x", value::array({1, bad})}});
    CHECK(decide(live, append_items{{item}}, {}).error().code == errc::invalid_value);
    CHECK(decide(live, patch_state{{set_key{"k", bad}}}, {}).error().code == errc::invalid_value);
  }
}

TEST_CASE("a session that is full takes what frees as much as it adds") {
  auto state = evolve({}, decide({}, create_session{}, {}).value().what);
  const value big{std::string(250'000, 'x')};
  int kept = 0;
  while (auto next = decide(state, patch_state{{set_key{std::to_string(kept), big}}}, {})) {
    state = evolve(std::move(state), next->what);
    ++kept;
  }
  CHECK(kept == 33);
  CHECK(state.bytes <= max_session_bytes);
  const auto refused = decide(state, append_items{{value::map({{"x", big}})}}, {});
  CHECK(refused.error().code == errc::quota_exceeded);
  CHECK(refused.error().limit == max_session_bytes);
  CHECK(decide(state, patch_state{{delete_key{"0"}, set_key{"n", big}}}, {}));
  CHECK(decide(state, merge_state{value::map({{"0", nullptr}, {"n", big}})}, {}));
}

TEST_CASE("a session that was never created is absent and empty") {
  const session_state state;
  CHECK(state.status == lifecycle::absent);
  CHECK_FALSE(state.live());
  CHECK(state.revision == 0);
  CHECK(state.bytes == 0);
  CHECK(state.metadata == value::map({}));
}

TEST_CASE("every command but create is not_found where there is no session") {
  session_fixture s;
  const error none{.code = errc::not_found, .message = "no such session"};
  const auto all_refuse = [&] {
    CHECK(s.refuses(delete_session{}) == none);
    CHECK(s.refuses(append_items{{value::map({})}}) == none);
    CHECK(s.refuses(append_items{}) == none);
    CHECK(s.refuses(patch_state{}) == none);
    CHECK(s.refuses(merge_state{value::map({})}) == none);
    CHECK(s.refuses(delete_session{}, 7) == none);
  };
  all_refuse();
  s.create();
  s.does(delete_session{});
  all_refuse();
}

TEST_CASE("a create makes revision 1 with user and metadata and times") {
  session_fixture s;
  CHECK(s.does(create_session{"ann", json(R"({"tag":"x"})")})
        == outcome{.revision = 1, .changed = true, .created = true});
  CHECK(s.state.live());
  CHECK(s.state.user == "ann");
  CHECK(to_json(s.state.metadata) == R"({"tag":"x"})");
  CHECK(s.state.created == timestamp{1000});
  CHECK(s.state.last_activity == timestamp{1000});
  CHECK(s.state.bytes == 0);
  CHECK(describe(s.history[0]) == R"(1 @ 1000: created ann {"tag":"x"})");
}

TEST_CASE("a create that finds the session changes nothing") {
  session_fixture s;
  s.does(create_session{"ann", json(R"({"tag":"x"})")});
  s.now = {2000};
  CHECK(s.does(create_session{"bob", json(R"({"tag":"y"})")}) == outcome{.revision = 1});
  CHECK(s.does(create_session{"\x01", value{1}}) == outcome{.revision = 1});
  CHECK(s.state.user == "ann");
  CHECK(s.state.last_activity == timestamp{1000});
  CHECK(s.history.size() == 1);
}

TEST_CASE("a create only if absent is refused with the current revision") {
  session_fixture s;
  CHECK(s.does(create_session{"", value::map({}), true}).created);
  s.set("a", 1);
  CHECK(s.refuses(create_session{"", value::map({}), true})
        == error{.code = errc::already_exists,
                 .message = "the session is there already",
                 .current_revision = 2});
  s.does(delete_session{});
  CHECK(s.does(create_session{"", value::map({}), true})
        == outcome{.revision = 4, .changed = true, .created = true});
}

TEST_CASE("a create with a bad user or metadata is refused") {
  session_fixture s;
  CHECK(s.refuses(create_session{"\n"})
        == error{.code = errc::bad_id,
                 .message = "user: an id has no control characters",
                 .path = "/user"});
  CHECK(s.refuses(create_session{std::string(257, 'u')})
        == error{.code = errc::bad_id,
                 .message = "user: an id is at most 256 bytes long",
                 .path = "/user"});
  CHECK(s.refuses(create_session{"\xff"})
        == error{.code = errc::bad_id, .message = "user: an id is UTF-8", .path = "/user"});
  for (const value& metadata : {value{}, value{1}, value{"x"}, value::array({})})
    CHECK(s.refuses(create_session{"", metadata})
          == error{
              .code = errc::wrong_type, .message = "metadata is an object", .path = "/metadata"});
  CHECK(s.refuses(create_session{"", map_of_bytes(max_value_bytes + 1)})
        == error{.code = errc::too_large,
                 .message = "a state value is at most 256 KiB of msgpack",
                 .path = "/metadata",
                 .limit = 262144});
  CHECK(s.refuses(create_session{"", value::map({{"a", deep(64)}})}).code == errc::too_deep);
  CHECK(s.state.revision == 0);
  CHECK(s.does(create_session{std::string(256, 'u'), map_of_bytes(max_value_bytes)}).created);
}

TEST_CASE("a delete empties the session and a create after it continues the revisions") {
  session_fixture s;
  s.does(create_session{"ann", json(R"({"tag":"x"})")});
  s.append({value::map({{"n", 1}})});
  s.set("k", 1);
  s.now = {2000};
  CHECK(s.does(delete_session{}) == outcome{.revision = 4, .changed = true});
  CHECK(describe(s.history.back()) == "4 @ 2000: deleted");
  session_state expected;
  expected.status = lifecycle::deleted;
  expected.revision = 4;
  expected.last_activity = {2000};
  CHECK(s.state == expected);
  CHECK(s.state.bytes == 0);
  CHECK(s.state.user == "");
  CHECK(s.state.metadata == value::map({}));
  s.now = {3000};
  CHECK(s.create() == outcome{.revision = 5, .changed = true, .created = true});
  CHECK(s.state.created == timestamp{3000});
  CHECK(s.keys() == "{}");
  CHECK(s.append({value::map({})})
        == outcome{.revision = 6, .changed = true, .first_seq = 1, .last_seq = 1});
}

// Revisions
// ------------------------------------------------------------------------------------------------------

TEST_CASE("an expected revision that is not the current one is refused with the current one") {
  session_fixture s;
  CHECK(s.refuses(create_session{}, 0)
        == error{.code = errc::revision_conflict,
                 .message = "expected revision 0, found no session",
                 .current_revision = 0});
  s.create();
  s.set("a", 1);
  const auto conflict = [](std::uint64_t expected) {
    return error{.code = errc::revision_conflict,
                 .message = "expected revision " + std::to_string(expected) + ", found 2",
                 .current_revision = 2};
  };
  for (const std::uint64_t wrong : {0u, 1u, 3u}) {
    CHECK(s.refuses(create_session{}, wrong) == conflict(wrong));
    CHECK(s.refuses(delete_session{}, wrong) == conflict(wrong));
    CHECK(s.refuses(append_items{{value::map({})}}, wrong) == conflict(wrong));
    CHECK(s.refuses(append_items{}, wrong) == conflict(wrong));
    CHECK(s.refuses(patch_state{}, wrong) == conflict(wrong));
    CHECK(s.refuses(merge_state{value{1}}, wrong) == conflict(wrong));
  }
  CHECK(s.does(patch_state{{set_key{"a", 2}}}, 2).revision == 3);
  CHECK(s.does(create_session{}, 3) == outcome{.revision = 3});
  CHECK(s.does(delete_session{}, 3).revision == 4);
  CHECK(s.refuses(create_session{}, 4)
        == error{.code = errc::revision_conflict,
                 .message = "expected revision 4, found no session",
                 .current_revision = 4});
}

TEST_CASE("one command is one revision however many events it has") {
  session_fixture s;
  s.create();
  CHECK(s.does(patch_state{{set_key{"a", 1}, set_key{"b", 2}, delete_key{"a"}}})
        == outcome{.revision = 2, .changed = true});
  CHECK(describe(s.history.back()) == "2 @ 1000: set a = 1; set b = 2; delete a");
  CHECK(s.keys() == R"({"b":2})");
  CHECK(s.state.entries.find("b")->revision == 2);
}

TEST_CASE("a decision changes nothing by itself and copies no payload") {
  session_fixture s;
  s.create();
  s.set("big", std::string(200'000, 'x'));
  for (int i = 0; i < 2000; ++i)
    s.append({value::map({{"text", std::string(100, 'x')}})});
  allocation_watch watch;
  const auto decided = decide(s.state, patch_state{{set_key{"a", 1}}}, s.now);
  const auto copy = evolve(s.state, decided->what);
  CHECK(watch.total() < 16'000);
  CHECK_FALSE(s.state.entries.find("a"));
  CHECK(copy.entries.find("a")->data == value{1});
  CHECK(copy.entries.find("big")->data.bytes().data()
        == s.state.entries.find("big")->data.bytes().data());
}

// Items
// ----------------------------------------------------------------------------------------------------------

TEST_CASE("an append numbers its items in order from the last one on") {
  session_fixture s;
  s.create();
  s.now = {2000};
  CHECK(s.append({json(R"({"a":1})"), json(R"({"b":2})")})
        == outcome{.revision = 2, .changed = true, .first_seq = 1, .last_seq = 2});
  CHECK(describe(s.history.back()) == R"(2 @ 2000: items 1 [{"a":1},{"b":2}])");
  s.now = {3000};
  CHECK(s.append({json("{}")})
        == outcome{.revision = 3, .changed = true, .first_seq = 3, .last_seq = 3});
  REQUIRE(s.state.items.size() == 3);
  CHECK(s.state.items[0] == history_item{1, {2000}, json(R"({"a":1})")});
  CHECK(s.state.items[1] == history_item{2, {2000}, json(R"({"b":2})")});
  CHECK(s.state.items[2] == history_item{3, {3000}, json("{}")});
  CHECK(s.state.last_seq == 3);
  CHECK(s.state.last_activity == timestamp{3000});
  CHECK(s.state.created == timestamp{1000});
}

TEST_CASE("an append is refused whole and says which item is at fault") {
  session_fixture s;
  s.create();
  const auto good = value::map({{"role", "user"}});
  CHECK(s.refuses(append_items{})
        == error{.code = errc::malformed,
                 .message = "an append has at least one item",
                 .path = "/items"});
  for (const value& item : {value{}, value{1}, value{"x"}, value::array({good})})
    CHECK(
        s.refuses(append_items{{good, item}})
        == error{.code = errc::wrong_type, .message = "an item is an object", .path = "/items/1"});
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
                 .message = "an item is at most 256 KiB of msgpack",
                 .path = "/items/1",
                 .limit = 262144});
  CHECK(s.refuses(append_items{std::vector<value>(1001, good)})
        == error{.code = errc::too_many_elements,
                 .message = "an append has at most 1,000 items",
                 .path = "/items",
                 .limit = 1000});
  const auto fault = s.refuses(append_items{{good, value::map({{"a", deep(64)}})}});
  CHECK(fault.code == errc::too_deep);
  CHECK(fault.path == "/items/1");
  CHECK(fault.limit == 64);
  CHECK(s.state.items.empty());
  CHECK(s.history.size() == 1);
}

TEST_CASE("an append at each limit is kept") {
  session_fixture s;
  s.create();
  CHECK(s.append(std::vector<value>(1000, value::map({}))).last_seq == 1000);
  CHECK(s.append({map_of_bytes(max_value_bytes)}).last_seq == 1001);
  CHECK(s.append({value::map({{"a", deep(63)}})}).last_seq == 1002);
  CHECK(s.append({value::map({{"SEQ", 1}, {"a", value::map({{"seq", 1}, {"at", 2}})}})}).last_seq
        == 1003);
}

// Keys
// -----------------------------------------------------------------------------------------------------------

TEST_CASE("setting an equal value and deleting a missing key spend no revision") {
  session_fixture s;
  s.create();
  s.set("a", json(R"({"x":1,"y":[2]})"));
  s.now = {2000};
  CHECK(s.set("a", json(R"({"y":[2],"x":1})")) == outcome{.revision = 2});
  CHECK(s.remove("b") == outcome{.revision = 2});
  CHECK(s.does(patch_state{}) == outcome{.revision = 2});
  CHECK(s.does(patch_state{{delete_key{std::string(1000, 'x')}}}) == outcome{.revision = 2});
  CHECK(s.does(patch_state{{set_key{"a", json(R"({"x":1,"y":[2]})")}, delete_key{"b"}}})
        == outcome{.revision = 2});
  CHECK(s.merge("{}") == outcome{.revision = 2});
  CHECK(s.merge(R"({"a":{"x":1},"b":null})") == outcome{.revision = 2});
  CHECK(s.state.last_activity == timestamp{1000});
  CHECK(s.history.size() == 2);
}

TEST_CASE("a value of another type or sign is not equal") {
  session_fixture s;
  s.create();
  s.set("a", 1);
  CHECK(s.set("a", 1.0).changed);
  CHECK(s.set("a", true).changed);
  CHECK(s.set("a", "1").changed);
  CHECK(s.set("a", 0.0).changed);
  CHECK(s.set("a", -0.0).changed);
  CHECK(s.set("a", value{}).changed);
  CHECK(s.keys() == R"({"a":null})");
  CHECK(s.remove("a").changed);
  CHECK(s.keys() == "{}");
}

TEST_CASE("later operations of a patch see the earlier ones") {
  session_fixture s;
  s.create();
  s.set("a", 1);
  CHECK(s.does(patch_state{{delete_key{"a"}, delete_key{"a"}, set_key{"a", 1}, set_key{"a", 1}}})
            .changed);
  CHECK(describe(s.history.back()) == "3 @ 1000: delete a; set a = 1");
  CHECK(s.does(patch_state{{set_key{"b", 1}, set_key{"b", 1}, set_key{"b", 2}, delete_key{"b"},
                            delete_key{"b"}}})
            .changed);
  CHECK(describe(s.history.back()) == "4 @ 1000: set b = 1; set b = 2; delete b");
  CHECK(s.keys() == R"({"a":1})");
  CHECK(s.state.entries.find("a")->revision == 3);
}

TEST_CASE("a refused patch changes nothing though its first operations were good") {
  session_fixture s;
  s.create();
  s.set("a", 1);
  CHECK(
      s.refuses(patch_state{{set_key{"a", 2}, delete_key{"a"}, set_key{std::string(257, 'k'), 1}}})
      == error{
          .code = errc::bad_id, .message = "a state key is at most 256 bytes long", .limit = 256});
  CHECK(s.refuses(patch_state{{set_key{"a", 2}, set_key{"\xff", 1}}})
        == error{.code = errc::bad_id, .message = "a state key is UTF-8"});
  CHECK(s.refuses(
            patch_state{{set_key{"a", 2}, set_key{"b/~", std::string(max_value_bytes - 4, 'x')}}})
        == error{.code = errc::too_large,
                 .message = "a state value is at most 256 KiB of msgpack",
                 .path = "/b~1~0",
                 .limit = 262144});
  const auto fault = s.refuses(patch_state{{set_key{"a", 2}, set_key{"b", deep(65)}}});
  CHECK(fault.code == errc::too_deep);
  CHECK(fault.path == "/b");
  CHECK(fault.limit == 64);
  CHECK(s.keys() == R"({"a":1})");
  CHECK(s.history.size() == 2);
}

TEST_CASE("a key at its limit and any text as a key is kept") {
  session_fixture s;
  s.create();
  for (const std::string& key : {std::string{}, std::string{"\0", 1}, std::string{"__proto__"},
                                 std::string(256, 'k'), std::string{"\n/~"}})
    CHECK(s.set(key, 1).changed);
  CHECK(s.set("v", std::string(max_value_bytes - 5, 'x')).changed);
  CHECK(s.set("d", deep(64)).changed);
  CHECK(s.state.entries.size() == 7);
}

TEST_CASE("an entry carries the revision of its last write") {
  session_fixture s;
  s.create();
  s.set("a", 1);
  s.set("b", 1);
  s.set("a", 1);
  CHECK(s.state.entries.find("a")->revision == 2);
  s.set("a", 2);
  CHECK(s.state.entries.find("a")->revision == 4);
  CHECK(s.state.entries.find("b")->revision == 3);
  s.merge(R"({"b":{"x":1}})");
  CHECK(s.state.entries.find("b")->revision == 5);
}

TEST_CASE("bytes count items and keys and values and nothing else") {
  session_fixture s;
  s.does(create_session{"ann", json(R"({"tag":"x"})")});
  CHECK(s.state.bytes == 0);
  s.set("abc", 1);
  CHECK(s.state.bytes == 4);
  s.set("abc", "12345");
  CHECK(s.state.bytes == 9);
  s.append({value::map({}), value::map({{"a", 1}})});
  CHECK(s.state.bytes == 14);
  s.remove("abc");
  CHECK(s.state.bytes == 5);
  s.does(delete_session{});
  CHECK(s.state.bytes == 0);
}

// Merge
// ----------------------------------------------------------------------------------------------------------

TEST_CASE("a merge of the state does what RFC 7396 appendix A says of maps") {
  const std::vector<std::array<const char*, 3>> examples{
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
      {R"({"a":1})", R"({"a":{"b":1,"c":null}})", R"({"a":{"b":1}})"},
  };
  for (const auto& [target, patch, result] : examples) {
    CAPTURE(target);
    CAPTURE(patch);
    session_fixture s;
    s.create();
    for (const auto& [key, data] : members_of(json(target)))
      s.set(key, data);
    s.merge(patch);
    CHECK(s.keys() == result);
  }
}

TEST_CASE("a merge patch that is no map is refused") {
  session_fixture s;
  s.create();
  for (const value& patch : {value{}, value{1}, value{"x"}, value::array({})})
    CHECK(s.refuses(merge_state{patch})
          == error{.code = errc::wrong_type, .message = "a merge patch of the state is an object"});
}

TEST_CASE("a merge that makes a value too large is refused whole") {
  session_fixture s;
  s.create();
  s.set("a", value::map({{"x", std::string(200'000, 'x')}}));
  const auto more =
      value::map({{"first", 1}, {"a", value::map({{"y", std::string(100'000, 'y')}})}});
  CHECK(s.refuses(merge_state{more})
        == error{.code = errc::too_large,
                 .message = "a state value is at most 256 KiB of msgpack",
                 .path = "/a",
                 .limit = 262144});
  CHECK(s.refuses(merge_state{value::map({{std::string(257, 'k'), 1}})}).code == errc::bad_id);
  CHECK(s.refuses(merge_state{value::map({{"a", deep(65)}})}).code == errc::too_deep);
  CHECK(s.history.size() == 2);
}

TEST_CASE("a merge writes only the keys that it changes") {
  session_fixture s;
  s.create();
  s.does(patch_state{{set_key{"a", json(R"({"x":1})")}, set_key{"b", 2}, set_key{"c", 3}}});
  CHECK(s.merge(R"({"a":{"x":1},"b":null,"c":4,"d":null,"e":{"f":null}})").changed);
  CHECK(describe(s.history.back()) == "3 @ 1000: delete b; set c = 4; set e = {}");
}

// Everything
// -----------------------------------------------------------------------------------------------------

TEST_CASE("states are equal only if every part is") {
  session_fixture s;
  s.does(create_session{"ann", json(R"({"t":1,"u":2})")});
  s.append({value::map({{"n", 1}})});
  s.set("k", json(R"({"x":1,"y":2})"));
  const auto same = s.state;
  CHECK(s.state == same);
  const auto differs = [&](auto&& change_one) {
    auto other = same;
    change_one(other);
    return !(other == same) && !(same == other);
  };
  CHECK(differs([](session_state& x) { x.status = lifecycle::deleted; }));
  CHECK(differs([](session_state& x) { ++x.revision; }));
  CHECK(differs([](session_state& x) { ++x.created.ms; }));
  CHECK(differs([](session_state& x) { ++x.last_activity.ms; }));
  CHECK(differs([](session_state& x) { x.user = "bob"; }));
  CHECK(differs([](session_state& x) { x.metadata = json(R"({"t":1})"); }));
  CHECK(differs([](session_state& x) { ++x.last_seq; }));
  CHECK(differs([](session_state& x) { ++x.bytes; }));
  CHECK(differs([](session_state& x) { x.items.push_back({2, {}, value::map({})}); }));
  CHECK(differs([](session_state& x) { x.items = {{1, {1000}, value::map({{"n", 2}})}}; }));
  CHECK(differs([](session_state& x) { x.items = {{2, {1000}, value::map({{"n", 1}})}}; }));
  CHECK(differs([](session_state& x) { x.items = {{1, {1001}, value::map({{"n", 1}})}}; }));
  CHECK(differs([](session_state& x) { x.entries.set("l", {1, 3}); }));
  CHECK(differs([](session_state& x) { x.entries.set("k", {1, 3}); }));
  CHECK(differs([](session_state& x) { x.entries.set("k", {json(R"({"x":1,"y":2})"), 2}); }));
  CHECK(differs([](session_state& x) {
    x.entries.erase("k");
    x.entries.set("l", {json(R"({"x":1,"y":2})"), 3});
  }));
  CHECK_FALSE(differs([](session_state& x) { x.metadata = json(R"({"u":2,"t":1})"); }));
  CHECK_FALSE(differs([](session_state& x) { x.entries.set("k", {json(R"({"y":2,"x":1})"), 3}); }));
}

TEST_CASE("a session does what the naive one does for any commands") {
  std::size_t commands = 0, refusals = 0, changes = 0;
  holds("random commands", [&] {
    const auto from = any_pool();
    const auto steps = *any_steps(250);
    session_state state;
    naive_session naive;
    timestamp now{1'700'000'000'000};
    std::vector<change> history;
    std::vector<std::pair<session_state, std::string>> kept;
    for (const auto& s : steps) {
      now.ms += s.wait;
      const auto command = command_of(s, from);
      const auto expected =
          s.expect < 12 ? std::nullopt
          : s.expect < 15
              ? std::optional{state.revision}
              : std::optional<std::uint64_t>{state.revision + static_cast<unsigned>(s.more % 3)};
      const auto decided = decide(state, command, now, expected);
      const auto told = naive.apply(command, now, expected);
      ++commands;
      if (!decided) {
        RC_ASSERT(std::holds_alternative<errc>(told));
        RC_ASSERT(decided.error().code == std::get<errc>(told));
        ++refusals;
      } else {
        RC_ASSERT(std::holds_alternative<outcome>(told));
        RC_ASSERT(decided->answer == std::get<outcome>(told));
        RC_ASSERT(decided->answer.changed == !decided->what.events.empty());
        if (decided->answer.changed) {
          RC_ASSERT(decided->what.at == now);
          if (kept.size() < 20 && s.more % 8 == 0)
            kept.emplace_back(state, encode(state));
          state = evolve(std::move(state), decided->what);
          history.push_back(decided->what);
          ++changes;
        }
      }
      RC_ASSERT(difference(state, naive) == "");
    }
    session_state replayed;
    for (const auto& what : history)
      replayed = evolve(std::move(replayed), what);
    RC_ASSERT(replayed == state);
    RC_ASSERT(encode(replayed) == encode(state));
    for (const auto& [older, bytes] : kept)
      RC_ASSERT(encode(older) == bytes);
  });
  CHECK(commands >= 20'000);
  CHECK(changes >= commands / 4);
  CHECK(refusals >= commands / 20);
  MESSAGE(commands, " commands: ", changes, " changes and ", refusals, " refusals");
}

TEST_CASE("a change applied to a copy is not seen through the original") {
  session_fixture s;
  s.create();
  for (int i = 0; i < 100; ++i) {
    s.append({value::map({{"i", i}})});
    s.set("k" + std::to_string(i), i);
  }
  const auto original = s.state;
  const auto bytes = encode(original);
  auto left = original, right = original;
  for (int i = 0; i < 200; ++i) {
    left = evolve(left, {left.revision + 1,
                         {i},
                         {items_appended{left.last_seq + 1, {value::map({{"left", i}})}},
                          key_deleted{"k" + std::to_string(i)}}});
    right = evolve(right, {right.revision + 1, {i}, {key_set{"k" + std::to_string(i), "right"}}});
  }
  CHECK(encode(original) == bytes);
  CHECK(left.items.size() == 300);
  CHECK(left.entries.empty());
  CHECK(right.items.size() == 100);
  CHECK(right.entries.size() == 200);
  CHECK(original.entries.find("k7")->data == value{7});
}
