#include <troupe/state/schema.hpp>

#include "../support/entities.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

expected<void> is_integer(value_view x) {
  if (x.type() == value_type::integer)
    return {};
  return fail(errc::wrong_type, "an integer", "/here");
}

expected<value> fails(const value&) {
  return fail(errc::invalid_value, "cannot be migrated");
}

/// v1: count is an integer. v2: it is called "total". v3: {"total": {"n": it}}, and "max" is no
/// less than it.
std::vector<schema_version> counters() {
  schema_version v1{.version = 1, .keys = {{"count", is_integer}}};
  schema_version v2{.version = 2,
                    .migrate = [](const value& state) -> expected<value> {
                      members out;
                      for (auto& [key, data] : members_of(state))
                        out.emplace_back(key == "count" ? "total" : key, data);
                      return map_of(out);
                    },
                    .keys = {{"total", is_integer}}};
  schema_version v3{
      .version = 3,
      .migrate = [](const value& state) -> expected<value> {
        members out;
        for (auto& [key, data] : members_of(state))
          out.emplace_back(key, key == "total" ? value::map({{"n", data}}) : data);
        return map_of(out);
      },
      .keys = {{"total",
                [](value_view x) -> expected<void> {
                  return is_integer(x.find("n").value_or(value_view{}));
                }}},
      .rules = {[](const entity_state& state) -> expected<void> {
        const auto* max = find(state, section::state, "max", {});
        const auto* total = find(state, section::state, "total", {});
        if (!max || !total
            || max->data.view().as_int64() >= total->data.view().find("n")->as_int64())
          return {};
        return fail(errc::invalid_value, "beyond max", "/total");
      }}};
  return {v1, v2, v3};
}

/// The versions from first to last of the above.
schema_registry knows(std::size_t first, std::size_t last) {
  auto all = counters();
  schema_registry out;
  REQUIRE(out.add("counters", {all.begin() + static_cast<std::ptrdiff_t>(first - 1),
                               all.begin() + static_cast<std::ptrdiff_t>(last)}));
  return out;
}

/// Follows a version, as a host wrote it that knew no newer one.
entity_fixture following(std::uint32_t version, std::string_view state) {
  entity_fixture s;
  s.begins({.schema = schema_id{"counters", version}});
  s.merges(state);
  return s;
}

schema_registry migrating(std::function<expected<value>(const value&)> migrate) {
  schema_registry out;
  REQUIRE(out.add("counters", {{.version = 1}, {.version = 2, .migrate = std::move(migrate)}}));
  return out;
}

}  // namespace

TEST_CASE("versions of a schema ascend by one and all but the first migrate") {
  const auto migrate = [](const value& x) -> expected<value> { return x; };
  schema_registry r;
  CHECK(r.add("", {{.version = 1}}).error().code == errc::bad_id);
  CHECK(r.add("s", {}).error().code == errc::invalid_value);
  CHECK(r.add("s", {{.version = 1}, {.version = 3, .migrate = migrate}}).error().message
        == "versions ascend by one");
  CHECK(r.add("s", {{.version = 1}, {.version = 2}}).error().message
        == "version 2 has no migration");
  CHECK(r.add("s", {{.version = 5}, {.version = 6, .migrate = migrate}}));
  CHECK(r.add("s", {{.version = 1}}).error().code == errc::already_exists);
  CHECK(r.known({"s", 5}));
  CHECK(r.known({"s", 6}));
  CHECK(r.known({"s", 4}).error()
        == error{.code = errc::unknown_schema,
                 .message = "schema 's' is registered for versions 5 to 6, not 4"});
  CHECK(r.known({"s", 7}).error().code == errc::unknown_schema);
  CHECK(r.known({"t", 5}).error()
        == error{.code = errc::unknown_schema, .message = "schema 't' is not registered here"});
}

TEST_CASE("an empty function is refused and never called") {
  schema_registry r;
  const auto of_key = r.add("s", {{.version = 1, .keys = {{"a/b", nullptr}}}}).error();
  CHECK(of_key.code == errc::invalid_value);
  CHECK(of_key.path == "/a~1b");
  const auto of_rule = r.add("s", {{.version = 1, .rules = {nullptr}}}).error();
  CHECK(of_rule.code == errc::invalid_value);
  CHECK(of_rule.message == "version 1 has an empty rule");
  CHECK(r.known({"s", 1}).error().code == errc::unknown_schema);
}

TEST_CASE("a stored version that is none is read as none and never as another one") {
  schema_registry r;
  CHECK(r.add("s", {{.version = 0}}).error().code == errc::invalid_value);
  REQUIRE(r.add("s", {{.version = 1}}));
  for (const value& version : {value{(std::uint64_t{1} << 32) + 1}, value{std::uint64_t{1} << 32},
                               value{-1}, value{1.0}, value{"1"}, value{}}) {
    entity_state state;
    state.status = lifecycle::live;
    apply(state, entry_set{section::schema, "id", value::array({"s", version}), {}}, 1, {});
    CHECK(schema_of(state) == schema_id{"s", 0});
    CHECK(r.read(state, {}).error().code == errc::unknown_schema);
    CHECK(r.migrate(state, {}).error().code == errc::unknown_schema);
  }
}

TEST_CASE("without a registry a schema is a label") {
  auto s = following(77, R"({"count":"no integer"})");
  CHECK(schema_of(s.state()) == schema_id{"counters", 77});
  CHECK_FALSE(s.does(migrate_state{}).changed);
}

TEST_CASE("a validator refuses a value under its key with path and reason") {
  const auto r = knows(1, 1);
  auto s = following(1, "{}");
  s.schemas = &r;
  CHECK(s.set("count", 1).changed);
  CHECK(s.set("other", "anything").changed);
  const error refused{
      .code = errc::invalid_by_schema, .message = "an integer", .path = "/count/here"};
  CHECK(s.refuses(patch_state{{set_key{"count", 1.0}}}) == refused);
  CHECK(s.refuses(merge_state{json(R"({"count":[1]})")}) == refused);
  CHECK(s.refuses(patch_state{{append_to{"count", {1}}}}).code == errc::wrong_type);
  CHECK(s.refuses(patch_state{{compare_and_set{"count", value{1}, true}}}) == refused);
  CHECK(s.refuses(patch_state{{add_to{"count", 0.5}}}) == refused);
  CHECK(s.patch({set_key{"count", "x"}, set_key{"count", 2}}).changed);
  CHECK(s.patch({set_key{"count", "x"}, delete_key{"count"}}).changed);
  CHECK(s.keys() == R"({"other":"anything"})");
}

TEST_CASE("a rule looks at the whole after any change of the state") {
  const auto r = knows(3, 3);
  auto s = following(3, R"({"max":5})");
  s.schemas = &r;
  CHECK(s.set("total", json(R"({"n":5})")).changed);
  const error refused{.code = errc::invalid_by_schema, .message = "beyond max", .path = "/total"};
  CHECK(s.refuses(patch_state{{set_key{"total", json(R"({"n":6})")}}}) == refused);
  CHECK(s.refuses(patch_state{{set_key{"max", 4}}}) == refused);
  CHECK(s.patch({set_key{"max", 9}, set_key{"total", json(R"({"n":9})")}}).changed);
  CHECK(s.removes("max").changed);
  CHECK(s.set("total", json(R"({"n":99})")).changed);
  CHECK(s.says("user", "max").changed);
}

TEST_CASE("a rule sees a removal and a clear") {
  schema_registry r;
  schema_version needs{.version = 1};
  needs.rules.emplace_back([](const entity_state& state) -> expected<void> {
    if (find(state, section::state, "k", {}))
      return {};
    return fail(errc::not_found, "k is needed");
  });
  REQUIRE(r.add("counters", {needs}));
  auto s = following(1, R"({"k":1})");
  s.schemas = &r;
  CHECK(s.refuses(patch_state{{delete_key{"k"}}}).message == "k is needed");
  CHECK(s.refuses(clear_state{}).message == "k is needed");
  CHECK(s.refuses(merge_state{json(R"({"k":null})")}).code == errc::invalid_by_schema);
}

TEST_CASE("a read gives the newest version and leaves the entity as it is") {
  const auto r = knows(1, 3);
  const auto s = following(1, R"({"count":7,"x":1})");
  const auto before = encode(s.state());
  CHECK(r.read(s.state(), s.now) == json(R"({"total":{"n":7},"x":1})"));
  CHECK(encode(s.state()) == before);
  const auto v2 = following(2, R"({"total":7})");
  CHECK(r.read(v2.state(), v2.now) == json(R"({"total":{"n":7}})"));
  const auto v3 = following(3, R"({"total":"as it stands"})");
  CHECK(r.read(v3.state(), v3.now) == json(R"({"total":"as it stands"})"));
  entity_fixture none;
  none.begins();
  none.set("count", 1);
  CHECK(r.read(none.state(), none.now) == json(R"({"count":1})"));
  CHECK(r.migrate(none.state(), none.now).value().empty());
}

TEST_CASE("a write migrates first and in the same revision") {
  const auto r = knows(1, 3);
  auto s = following(1, R"({"count":7,"x":1})");
  s.schemas = &r;
  CHECK(s.set("y", 2).revision == 3);
  CHECK(s.last_change()
        == R"(3 @ 1000: state_erased count | state_set total = {"n":7} | )"
           R"(schema_set id = ["counters",3] | state_set y = 2)");
  CHECK(s.keys() == R"({"total":{"n":7},"x":1,"y":2})");
  CHECK(s.key("x")->revision == 2);
  CHECK(schema_of(s.state()) == schema_id{"counters", 3});
  auto cleared = following(1, R"({"count":7})");
  cleared.schemas = &r;
  cleared.does(clear_state{});
  CHECK(schema_of(cleared.state())->version == 3);
  auto merged = following(1, R"({"count":7})");
  merged.schemas = &r;
  merged.merges(R"({"total":{"m":1}})");
  CHECK(merged.keys() == R"({"total":{"n":7,"m":1}})");
  auto asked = following(2, R"({"total":7})");
  asked.schemas = &r;
  CHECK(asked.does(migrate_state{}).changed);
  CHECK_FALSE(asked.does(migrate_state{}).changed);
  CHECK(asked.keys() == R"({"total":{"n":7}})");
  auto item = following(1, R"({"count":7})");
  item.schemas = &r;
  item.says("user", "hi");
  CHECK(schema_of(item.state())->version == 1);
}

TEST_CASE("a key that a migration keeps keeps its expiry") {
  const auto r = knows(1, 2);
  auto s = following(1, "{}");
  s.patch({set_key{.key = "x", .data = 1, .ttl_ms = 50},
           set_key{.key = "gone", .data = 1, .ttl_ms = 5}});
  s.schemas = &r;
  s.now = {1010};
  s.does(migrate_state{});
  CHECK(s.keys() == R"({"x":1})");
  CHECK(s.key("x")->expires == timestamp{1050});
  const auto newest = knows(1, 3);
  s.patch({set_key{.key = "total", .data = 7, .ttl_ms = 50}});
  s.schemas = &newest;
  s.does(migrate_state{});
  CHECK(s.keys() == R"({"total":{"n":7},"x":1})");
  CHECK(s.key("total")->expires == timestamp{1060});
}

TEST_CASE("a preview says what a migration would do and does nothing") {
  const auto r = knows(1, 3);
  const auto s = following(1, R"({"count":7})");
  const auto before = encode(s.state());
  const auto preview = r.preview(s.state(), s.now).value();
  CHECK(preview.from == schema_id{"counters", 1});
  CHECK(preview.to == schema_id{"counters", 3});
  CHECK(preview.changes
        == std::vector<difference>{
            {"/state/count", value{7}, {}},
            {"/state/total", {}, json(R"({"n":7})")},
            {"/schema/id", json(R"(["counters",1])"), json(R"(["counters",3])")}});
  CHECK(encode(s.state()) == before);
  const auto newest = following(3, "{}");
  CHECK(r.preview(newest.state(), {})->changes.empty());
}

TEST_CASE("what this host has not registered is neither read nor written") {
  const auto r = knows(2, 2);
  for (const std::uint32_t version : {1u, 3u}) {
    auto s = following(version, R"({"count":7})");
    s.schemas = &r;
    CHECK(r.read(s.state(), {}).error().code == errc::unknown_schema);
    CHECK(r.preview(s.state(), {}).error().code == errc::unknown_schema);
    CHECK(s.refuses(patch_state{{set_key{"a", 1}}}).code == errc::unknown_schema);
    CHECK(s.refuses(merge_state{json(R"({"a":1})")}).code == errc::unknown_schema);
    CHECK(s.refuses(clear_state{}).code == errc::unknown_schema);
    CHECK(s.refuses(migrate_state{}).code == errc::unknown_schema);
    CHECK(s.refuses(undo{}).code == errc::unknown_schema);
    CHECK(s.says("user", "hi").changed);
    CHECK(s.does(erase{}).changed);
  }
  entity_fixture fresh;
  fresh.schemas = &r;
  CHECK(fresh.refuses(create{{.schema = schema_id{"other", 1}}}).code == errc::unknown_schema);
  CHECK(fresh.begins({.schema = schema_id{"counters", 2}}).created);
}

TEST_CASE("a migration that fails or makes what cannot be kept changes nothing") {
  const auto refused = [](std::function<expected<value>(const value&)> migrate) {
    const auto r = migrating(std::move(migrate));
    auto s = following(1, R"({"count":7})");
    s.schemas = &r;
    const auto why = s.refuses(migrate_state{});
    CHECK(r.read(s.state(), {}).error() == why);
    CHECK(r.preview(s.state(), {}).error() == why);
    CHECK(s.refuses(patch_state{{set_key{"a", 1}}}) == why);
    return where(why);
  };
  const auto gives = [](value x) { return [x](const value&) -> expected<value> { return x; }; };
  CHECK(refused(fails) == "invalid_value at ");
  CHECK(refused(gives(value::array({1}))) == "invalid_by_schema at ");
  CHECK(refused(gives(value::map({{"a", "\xff"}}))) == "invalid_by_schema at ");
  CHECK(refused(gives(value::map({{"a", deep(65)}}))) == "invalid_by_schema at ");
  CHECK(refused(gives(value::map({{"a", std::string(max_value_bytes, 'x')}})))
        == "invalid_by_schema at /a");
  CHECK(refused(gives(value::map({{std::string(257, 'k'), 1}})))
        == "invalid_by_schema at /" + std::string(257, 'k'));
}

TEST_CASE("what a migration makes is held to the keys and rules of its version") {
  const auto r = knows(1, 3);
  const auto wrong = following(1, R"({"count":"seven"})");
  CHECK(where(r.read(wrong.state(), {}).error()) == "invalid_by_schema at /total/here");
  const auto beyond = following(1, R"({"count":7,"max":5})");
  CHECK(r.read(beyond.state(), {}).error()
        == error{.code = errc::invalid_by_schema, .message = "beyond max", .path = "/total"});
  CHECK(r.preview(beyond.state(), {}).error().code == errc::invalid_by_schema);
}

TEST_CASE("undo across a migration goes back to the old version and redo forward") {
  const auto r = knows(1, 3);
  auto s = following(1, R"({"count":7})");
  s.schemas = &r;
  s.set("x", 1);
  s.does(undo{});
  CHECK(s.keys() == R"({"count":7})");
  CHECK(schema_of(s.state())->version == 1);
  CHECK(r.read(s.state(), {}) == json(R"({"total":{"n":7}})"));
  s.does(redo{});
  CHECK(s.keys() == R"({"total":{"n":7},"x":1})");
  CHECK(schema_of(s.state())->version == 3);
  s.does(undo{});
  s.set("count2", 1);
  CHECK(schema_of(s.state())->version == 3);
}

TEST_CASE("a fork of another version is not merged until both are migrated") {
  const auto r = knows(1, 3);
  auto parent = following(1, R"({"count":7})");
  entity_fixture child{entity_kind::session, "child"};
  const auto shared = [](const entity_fixture& x) {
    return std::make_shared<const entity_state>(x.state());
  };
  child.does(fork_from{parent.ref, shared(parent)});
  const auto base = shared(child);
  parent.schemas = child.schemas = &r;
  child.set("x", 1);
  CHECK(parent.refuses(merge_fork{child.ref, base, shared(child)}).code == errc::invalid_by_schema);
  parent.does(migrate_state{});
  parent.does(merge_fork{child.ref, base, shared(child)});
  CHECK(parent.keys() == R"({"total":{"n":7},"x":1})");
}
