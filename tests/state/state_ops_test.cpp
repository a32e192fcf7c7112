#include <troupe/state/decide.hpp>

#include "../support/entities.hpp"

#include <array>
#include <limits>

using namespace troupe;
using namespace troupe::testing;

namespace {

entity_fixture live() {
  entity_fixture s;
  s.begins();
  return s;
}

/// What a number becomes when another one is added, or why not.
expected<value> added(const value& to, const value& by) {
  auto s = live();
  s.set("n", to);
  return decide(s.state(), s.asks(patch_state{{add_to{"n", by}}}), s.context())
      .map([&](const decision& d) { return find(d.next, section::state, "n", s.now)->data; });
}

constexpr auto int_max = std::numeric_limits<std::int64_t>::max();
constexpr auto int_min = std::numeric_limits<std::int64_t>::min();
constexpr auto uint_max = std::numeric_limits<std::uint64_t>::max();

}  // namespace

// Set and delete
// ------------------------------------------------------------------------------------------------

TEST_CASE("setting an equal value and deleting a missing key spend no revision") {
  auto s = live();
  s.set("a", json(R"({"x":1,"y":[2]})"));
  s.now = {2000};
  CHECK(s.set("a", json(R"({"y":[2],"x":1})")) == outcome{.revision = 2});
  CHECK(s.removes("b") == outcome{.revision = 2});
  CHECK(s.patch({}) == outcome{.revision = 2});
  CHECK(s.removes(std::string(1000, 'x')) == outcome{.revision = 2});
  CHECK(s.patch({set_key{"a", json(R"({"x":1,"y":[2]})")}, delete_key{"b"}})
        == outcome{.revision = 2});
  CHECK(s.merges("{}") == outcome{.revision = 2});
  CHECK(s.merges(R"({"a":{"x":1},"b":null})") == outcome{.revision = 2});
  CHECK(s.state().last_activity == timestamp{1000});
  CHECK(s.changes.size() == 2);
}

TEST_CASE("a value of another type or sign is not equal") {
  auto s = live();
  s.set("a", 1);
  CHECK(s.set("a", 1.0).changed);
  CHECK(s.set("a", true).changed);
  CHECK(s.set("a", "1").changed);
  CHECK(s.set("a", 0.0).changed);
  CHECK(s.set("a", -0.0).changed);
  CHECK(s.set("a", value{}).changed);
  CHECK(s.keys() == R"({"a":null})");
  CHECK(s.removes("a").changed);
  CHECK(s.keys() == "{}");
  s.set("n", json(R"([{"x":1}])"));
  CHECK(s.set("n", json(R"([{"x":true}])")).changed);
}

TEST_CASE("later operations of a patch see the earlier ones") {
  auto s = live();
  s.set("a", 1);
  s.patch({delete_key{"a"}, delete_key{"a"}, set_key{"a", 1}, set_key{"a", 1}});
  CHECK(s.last_change() == "3 @ 1000: state_erased a | state_set a = 1");
  s.patch({set_key{"b", 1}, add_to{"b", 2}, set_key{"b", 3}, delete_key{"b"}, delete_key{"b"}});
  CHECK(s.last_change() == "4 @ 1000: state_set b = 1 | state_set b = 3 | state_erased b");
  CHECK(s.keys() == R"({"a":1})");
  CHECK(s.key("a")->revision == 3);
}

TEST_CASE("a refused patch changes nothing though its first operations were good") {
  auto s = live();
  s.set("a", 1);
  const auto at_fault = [&](state_op last) {
    return s.refuses(patch_state{{set_key{"a", 2}, delete_key{"a"}, std::move(last)}});
  };
  const auto long_key = at_fault(set_key{std::string(257, 'k'), 1});
  CHECK(long_key.code == errc::bad_id);
  CHECK(long_key.limit == 256);
  CHECK(at_fault(set_key{"\xff", 1}).code == errc::bad_id);
  CHECK(at_fault(set_key{"b/~", std::string(max_value_bytes - 4, 'x')})
        == error{.code = errc::too_large,
                 .message = "one value is at most 256 KiB of msgpack",
                 .path = "/b~1~0",
                 .limit = 262144});
  const auto nested = at_fault(set_key{"b", deep(65)});
  CHECK(nested.code == errc::too_deep);
  CHECK(nested.path == "/b");
  CHECK(nested.limit == 64);
  CHECK(at_fault(append_to{"a", {deep(65)}}).code == errc::too_deep);
  CHECK(at_fault(append_to{"b", {deep(64)}}).code == errc::too_deep);
  CHECK(at_fault(compare_and_set{std::string(257, 'k'), {}, 1}).code == errc::bad_id);
  CHECK(s.keys() == R"({"a":1})");
  CHECK(s.changes.size() == 2);
}

TEST_CASE("a key at its limit and any text as a key is kept") {
  auto s = live();
  for (const std::string& key : {std::string{}, std::string{"\0", 1}, std::string{"__proto__"},
                                 std::string(256, 'k'), std::string{"\n/~"}})
    CHECK(s.set(key, 1).changed);
  CHECK(s.set("v", std::string(max_value_bytes - 5, 'x')).changed);
  CHECK(s.set("d", deep(64)).changed);
  CHECK(count_entries(s.state(), section::state, s.now) == 7);
}

TEST_CASE("clearing empties the state once and touches nothing else") {
  auto s = live();
  s.patch({set_key{"a", 1}, set_key{"b", 2}});
  s.does(update_info{.metadata_patch = json(R"({"m":1})")});
  CHECK(s.does(clear_state{}).changed);
  CHECK(s.last_change() == "4 @ 1000: state_cleared");
  CHECK(s.keys() == "{}");
  CHECK(info_of(s.state()).metadata == json(R"({"m":1})"));
  CHECK_FALSE(s.does(clear_state{}).changed);
}

// Revisions of keys
// ------------------------------------------------------------------------------------------------

TEST_CASE("an entry carries the revision of its last write") {
  auto s = live();
  s.set("a", 1);
  s.set("b", 1);
  s.set("a", 1);
  CHECK(s.key("a")->revision == 2);
  s.set("a", 2);
  CHECK(s.key("a")->revision == 4);
  CHECK(s.key("b")->revision == 3);
  s.merges(R"({"b":{"x":1}})");
  CHECK(s.key("b")->revision == 5);
}

TEST_CASE("a write that expects another revision of its key is refused with the current one") {
  auto s = live();
  s.set("a", 1);
  s.set("other", 1);
  const auto conflict = [](std::uint64_t wanted, std::uint64_t found) {
    return error{.code = errc::cas_mismatch,
                 .message = "the key is at revision " + std::to_string(found) + ", not "
                            + std::to_string(wanted),
                 .path = "/a",
                 .current_revision = found};
  };
  CHECK(s.refuses(patch_state{{set_key{.key = "a", .data = 2, .expected_revision = 3}}})
        == conflict(3, 2));
  CHECK(s.refuses(patch_state{{delete_key{"a", 0}}}) == conflict(0, 2));
  CHECK(s.patch({set_key{.key = "a", .data = 2, .expected_revision = 2}}).changed);
  CHECK(s.patch({delete_key{"a", 4}}).changed);
  CHECK(s.refuses(patch_state{{delete_key{"a", 4}}}) == conflict(4, 0));
  CHECK(s.patch({set_key{.key = "a", .data = 3, .expected_revision = 0}}).changed);
}

TEST_CASE("a key of a fork never comes back to a revision that it had in the parent") {
  auto parent = live();
  parent.set("a", "old");  // revision 2
  parent.set("b", "old");  // revision 3
  entity_fixture child{entity_kind::session, "child"};
  child.does(fork_from{parent.ref, std::make_shared<const entity_state>(parent.state())});
  CHECK(child.key("a")->revision == 2);
  child.set("a", "new");  // revision 2 of the child
  CHECK(child.key("a")->revision > 2);
  CHECK(child.refuses(patch_state{{set_key{.key = "a", .data = 1, .expected_revision = 2}}}).code
        == errc::cas_mismatch);
  child.set("b", "new");
  child.set("b", "newer");
  CHECK(child.key("b")->revision > 3);
}

TEST_CASE("compare and set looks at the value with its type") {
  auto s = live();
  CHECK(s.refuses(patch_state{{compare_and_set{"a", value{}, 1}}})
        == error{.code = errc::cas_mismatch,
                 .message = "the key does not hold what was expected",
                 .path = "/a",
                 .current_revision = 0});
  CHECK(s.patch({compare_and_set{"a", {}, 1}}).changed);
  CHECK(s.refuses(patch_state{{compare_and_set{"a", {}, 2}}}).current_revision == 2);
  CHECK(s.refuses(patch_state{{compare_and_set{"a", value{true}, 2}}}).code == errc::cas_mismatch);
  CHECK(s.refuses(patch_state{{compare_and_set{"a", value{1.0}, 2}}}).code == errc::cas_mismatch);
  CHECK(s.patch({compare_and_set{"a", value{1}, json(R"({"x":1,"y":2})")}}).changed);
  CHECK(s.patch({compare_and_set{"a", json(R"({"y":2,"x":1})"), nullptr}}).changed);
  CHECK(s.patch({compare_and_set{"a", value{}, 5}}).changed);
  CHECK_FALSE(s.patch({compare_and_set{"a", value{5}, 5}}).changed);
}

// Numbers
// ------------------------------------------------------------------------------------------------

TEST_CASE("integers add up exactly over all 64 bits") {
  CHECK(added(1, 2) == value{3});
  CHECK(added(int_max, 1) == value{9223372036854775808u});
  CHECK(added(int_max, int_max) == value{18446744073709551614u});
  CHECK(added(uint_max, int_min) == value{int_max});
  CHECK(added(int_min, uint_max) == value{int_max});
  CHECK(added(uint_max, -1) == value{18446744073709551614u});
  CHECK(added(-1, 1) == value{0});
  CHECK(added(int_min, int_max) == value{-1});
  CHECK(added(uint_max, 0) == value{uint_max});
}

TEST_CASE("a sum beyond 64 bits is refused and does not wrap") {
  for (const auto& [a, b] :
       {std::pair<value, value>{uint_max, 1},
        {uint_max, uint_max},
        {int_min, -1},
        {int_min, int_min},
        {std::numeric_limits<double>::max(), std::numeric_limits<double>::max()},
        {-std::numeric_limits<double>::max(), -1e308}}) {
    const auto out = added(a, b);
    REQUIRE_FALSE(out);
    CHECK(out.error()
          == error{.code = errc::invalid_value,
                   .message = "the sum is beyond 64 bits or a finite double",
                   .path = "/n"});
  }
}

TEST_CASE("a sum with a real is a real") {
  CHECK(added(1, 0.5) == value{1.5});
  CHECK(added(0.5, 1) == value{1.5});
  CHECK(added(0.5, 0.5) == value{1.0});
  CHECK(added(1, 0.0) == value{1.0});
  CHECK(added(uint_max, 0.0) == value{18446744073709551616.0});
}

TEST_CASE("only numbers add up and an absent key counts as 0") {
  auto s = live();
  for (const value& other : {value{}, value{true}, value{"1"}, value::array({1}), value::map({})}) {
    CHECK(added(other, 1).error()
          == error{.code = errc::wrong_type, .message = "only numbers add up", .path = "/n"});
    CHECK(added(1, other).error().code == errc::wrong_type);
  }
  CHECK(added(1, std::numeric_limits<double>::quiet_NaN()).error().code == errc::invalid_value);
  s.patch({add_to{"n", 5}, add_to{"m", 0.5}, add_to{"n", -7}});
  CHECK(s.keys() == R"({"m":0.5,"n":-2})");
  CHECK_FALSE(s.patch({add_to{"n", 0}}).changed);
}

// Arrays
// ------------------------------------------------------------------------------------------------

TEST_CASE("an append adds all values and a union those that are not there") {
  auto s = live();
  s.patch({append_to{"a", {1, 1, "x"}}});
  CHECK(s.keys() == R"({"a":[1,1,"x"]})");
  s.patch({union_with{"a", {1, 2, 2, 1.0, true, "x"}}});
  CHECK(s.keys() == R"({"a":[1,1,"x",2,1.0,true]})");
  CHECK_FALSE(s.patch({union_with{"a", {2, 1}}}).changed);
  CHECK_FALSE(s.patch({append_to{"a", {}}}).changed);
  CHECK(s.patch({append_to{"a", {2}}}).changed);
  s.patch({union_with{"b", {json(R"({"x":1,"y":2})"), json(R"({"y":2,"x":1})")}}});
  CHECK(to_json(s.key("b")->data) == R"([{"x":1,"y":2}])");
}

TEST_CASE("only arrays are extended") {
  auto s = live();
  for (const value& other : {value{}, value{1}, value{"x"}, value::map({})}) {
    s.set("a", other);
    const error no{.code = errc::wrong_type, .message = "the key holds no array", .path = "/a"};
    CHECK(s.refuses(patch_state{{append_to{"a", {1}}}}) == no);
    CHECK(s.refuses(patch_state{{union_with{"a", {1}}}}) == no);
  }
  s.set("a", value::array({std::string(200'000, 'x')}));
  CHECK(s.refuses(patch_state{{append_to{"a", {std::string(100'000, 'x')}}}}).code
        == errc::too_large);
}

// Expiry
// ------------------------------------------------------------------------------------------------

TEST_CASE("a key with a ttl is there until then and absent from then on") {
  auto s = live();
  s.patch({set_key{.key = "a", .data = 1, .ttl_ms = 500}, set_key{"b", 2}});
  CHECK(s.last_change() == "2 @ 1000: state_set a = 1 until 1500 | state_set b = 2");
  s.now = {1499};
  CHECK(s.keys() == R"({"a":1,"b":2})");
  CHECK(s.refuses(patch_state{{compare_and_set{"a", {}, 1}}}).code == errc::cas_mismatch);
  s.now = {1500};
  CHECK(s.keys() == R"({"b":2})");
  CHECK_FALSE(s.key("a"));
  CHECK_FALSE(s.removes("a").changed);
  CHECK(s.patch({set_key{.key = "a", .data = 1, .expected_revision = 0}}).changed);
  CHECK(s.key("a")->expires == timestamp{});
}

TEST_CASE("an expired key counts as absent for every operation") {
  const auto expired = [] {
    auto s = live();
    s.patch({set_key{.key = "n", .data = 5, .ttl_ms = 1},
             set_key{.key = "l", .data = json("[1]"), .ttl_ms = 1},
             set_key{.key = "m", .data = json(R"({"x":1})"), .ttl_ms = 1}});
    s.now = {2000};
    return s;
  };
  auto s = expired();
  s.patch({add_to{"n", 2}, append_to{"l", {2}}});
  s.merges(R"({"m":{"y":2}})");
  CHECK(s.keys() == R"({"l":[2],"m":{"y":2},"n":2})");
  s.now = {9000};
  CHECK(s.keys() == R"({"l":[2],"m":{"y":2},"n":2})");
  auto cleared = expired();
  CHECK_FALSE(cleared.does(clear_state{}).changed);
  auto swapped = expired();
  CHECK(swapped.patch({compare_and_set{"n", {}, 1}}).changed);
}

TEST_CASE("a set renews the expiry and an operation on what is there keeps it") {
  auto s = live();
  s.patch({set_key{.key = "n", .data = 1, .ttl_ms = 500},
           set_key{.key = "l", .data = json("[]"), .ttl_ms = 500},
           set_key{.key = "m", .data = json("{}"), .ttl_ms = 500}});
  s.now = {1100};
  s.patch({add_to{"n", 1}, append_to{"l", {1}}});
  s.merges(R"({"m":{"x":1}})");
  for (const auto* key : {"n", "l", "m"})
    CHECK(s.key(key)->expires == timestamp{1500});
  CHECK(s.patch({set_key{.key = "n", .data = 2, .ttl_ms = 500}}).changed);
  CHECK(s.key("n")->expires == timestamp{1600});
  CHECK_FALSE(s.patch({set_key{.key = "n", .data = 2, .ttl_ms = 500}}).changed);
  CHECK(s.patch({set_key{"n", 2}}).changed);
  CHECK(s.key("n")->expires == timestamp{});
  CHECK_FALSE(s.patch({set_key{.key = "n", .data = 2, .ttl_ms = 0}}).changed);
}

TEST_CASE("a ttl beyond all time is for as long as time can be told") {
  auto s = live();
  s.patch({set_key{.key = "a", .data = 1, .ttl_ms = uint_max}});
  CHECK(s.key("a")->expires == timestamp{int_max});
  s.patch({set_key{.key = "a", .data = 1, .ttl_ms = static_cast<std::uint64_t>(int_max) - 1000}});
  CHECK(s.key("a")->expires == timestamp{int_max});
}

TEST_CASE("dropping what has expired is no activity and no change of content") {
  auto s = live();
  s.patch({set_key{.key = "a", .data = 1, .ttl_ms = 500}, set_key{.key = "c", .data = 1}});
  s.set("b", 2);
  s.now = {2000};
  const auto bytes = s.state().bytes();
  CHECK(s.does(drop_expired{}) == outcome{.revision = 4, .changed = true});
  CHECK(s.last_change() == "4 @ 2000: state_expired a");
  CHECK(s.state().bytes() == bytes - 2);
  CHECK(s.state().last_activity == timestamp{1000});
  CHECK(s.state().content_revision == 3);
  CHECK_FALSE(s.does(drop_expired{}).changed);
  s.does(undo{});
  CHECK(s.keys() == R"({"c":1})");
}

// Merge
// ------------------------------------------------------------------------------------------------

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
    auto s = live();
    for (const auto& [key, data] : members_of(json(target)))
      s.set(key, data);
    s.merges(patch);
    CHECK(s.keys() == result);
  }
}

TEST_CASE("a merge patch that is no map is refused") {
  auto s = live();
  for (const value& patch : {value{}, value{1}, value{"x"}, value::array({})})
    CHECK(s.refuses(merge_state{patch})
          == error{.code = errc::wrong_type, .message = "a merge patch of the state is an object"});
}

TEST_CASE("a merge that makes a value too large is refused whole") {
  auto s = live();
  s.set("a", value::map({{"x", std::string(200'000, 'x')}}));
  const auto more =
      value::map({{"first", 1}, {"a", value::map({{"y", std::string(100'000, 'y')}})}});
  const auto refusal = s.refuses(merge_state{more});
  CHECK(refusal.code == errc::too_large);
  CHECK(refusal.path == "/a");
  CHECK(s.refuses(merge_state{value::map({{std::string(257, 'k'), 1}})}).code == errc::bad_id);
  CHECK(s.refuses(merge_state{value::map({{"a", deep(65)}})}).code == errc::too_deep);
  CHECK(s.changes.size() == 2);
}

TEST_CASE("a merge writes only the keys that it changes") {
  auto s = live();
  s.patch({set_key{"a", json(R"({"x":1})")}, set_key{"b", 2}, set_key{"c", 3}});
  CHECK(s.merges(R"({"a":{"x":1},"b":null,"c":4,"d":null,"e":{"f":null}})").changed);
  CHECK(s.last_change() == "3 @ 1000: state_erased b | state_set c = 4 | state_set e = {}");
}
