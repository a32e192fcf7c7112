#include <troupe/state/codec.hpp>

#include "../support/entities.hpp"
#include "../support/fold.hpp"
#include "../support/golden.hpp"

#include <limits>
#include <memory>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr timestamp at{1'767'323'045'678};                              // 2026-01-02T03:04:05.678Z
constexpr std::size_t plain = std::numeric_limits<std::size_t>::max();  // never compressed

change one(std::uint64_t revision, event what) {
  return {.revision = revision, .at = at, .events = {std::move(what)}};
}

/// One change of each kind of event, by the name of its golden file.
std::vector<std::pair<std::string, change>> one_of_each() {
  const entity_ref other{"default", entity_kind::session, "p"};
  change asked = one(9, entry_set{section::state, "k", 1});
  asked.asked_by = idempotency{"ann", "key-1", std::string{"\x00\xff", 2}};
  change several = one(6, entry_set{section::state, "a", value::binary("\x01\xff")});
  several.events.emplace_back(entry_erased{section::state, "b"});
  several.events.emplace_back(entry_set{section::state, "a", 2});
  change early = one(5'000'000'000, entry_erased{section::tags, "", true});
  early.at = {-1};
  return {
      {"change_created.hex", one(1, entity_created{entity_kind::team})},
      {"change_deleted.hex", one(300, entity_deleted{})},
      {"change_items_appended.hex",
       one(2, items_appended{7, {json(R"({"role":"user","content":"h\u00e4"})"), json("{}")}})},
      {"change_items_removed.hex", one(3, items_removed{5, 70'000})},
      {"change_items_restored.hex",
       one(4, items_restored{{{6, {-1}, json(R"({"n":1})")}, {9, at, json("{}")}}})},
      {"change_entry_set.hex",
       one(70'000,
           entry_set{section::state, "k", json(R"([1,1.0,-1,null,true,"",{}])"), {at.ms + 1}})},
      {"change_entry_erased.hex", early},
      {"change_section_cleared.hex", one(8, section_cleared{section::calls})},
      {"change_forked.hex",
       one(1, entity_forked{std::make_shared<const lineage>(lineage{other, 42}), value{"ann"}})},
      {"change_reverted.hex",
       one(10, content_reverted{revert_cause::redo, 3, value::array({9, 8})})},
      {"change_merged.hex", one(11, fork_merged{other, 7})},
      {"change_asked_by.hex", asked},
      {"change_several_events.hex", several},
      {"change_without_events.hex", {.revision = 0, .events = {}}},
  };
}

template <class... Operations>
entity_state done(entity_kind kind, Operations... operations) {
  entity_fixture s{kind};
  s.now = at;
  s.begins({.user = "ann", .limits = {.loop_limit = 3}, .tags = {"x"}});
  ++s.now.ms;
  s.does(std::move(operations)...);
  return s.state();
}

/// One entity of each kind, by the name of its golden file.
std::vector<std::pair<std::string, entity_state>> entities() {
  entity_fixture gone;
  gone.now = at;
  gone.begins();
  gone.set("a", 1);
  gone.does(erase{});
  entity_fixture fork{entity_kind::session, "f"};
  fork.now = at;
  entity_fixture parent{entity_kind::session, "p"};
  parent.begins();
  parent.set("a", 1);
  fork.does(fork_from{parent.ref, std::make_shared<const entity_state>(parent.state())});
  fork.set("a", 2);
  fork.does(undo{});
  return {
      {"snapshot_session.hex",
       done(entity_kind::session, append_items{{json(R"({"role":"user","content":"hi"})")}},
            patch_state{{set_key{"b", json("[1,1.0]"), 5}, set_key{"a", ~0ull}}},
            put_todos{{{"t", "c"}}}, update_notebook{"n", 3, json(R"({"v":"int"})")},
            record_usage{1, 2}, record_call{"tool", 1}, create_checkpoint{.id = "c"})},
      {"snapshot_workflow.hex",
       done(entity_kind::workflow, define_nodes{{{"a", {}}, {"b", {"a"}}}},
            update_node{"a", node_status::running}, update_node{"a", node_status::done, value{1}},
            cancel_workflow{})},
      {"snapshot_team.hex", done(entity_kind::team, add_member{"ann", "lead"}, add_member{"bob"},
                                 send_message{"ann", "bob", "hi"}, acknowledge{"bob", 1})},
      {"snapshot_user.hex", done(entity_kind::user, patch_state{{set_key{"", nullptr}}})},
      {"snapshot_global.hex", done(entity_kind::global, patch_state{{set_key{"k", 1}}})},
      {"snapshot_deleted.hex", gone.state()},
      {"snapshot_absent.hex", entity_state{}},
      {"snapshot_fork_after_undo.hex", fork.state()},
  };
}

void check_refused(const std::string& bytes, errc code) {
  CAPTURE(to_hex(bytes));
  const auto as_change = decode_change(bytes);
  REQUIRE_FALSE(as_change);
  CHECK(as_change.error().code == code);
  CHECK_FALSE(as_change.error().message.empty());
}

/// A change from its fields; [2, revision, at, events, asked_by].
std::string stored(const std::vector<value>& fields) {
  return std::string{array_of(fields).bytes()};
}
std::string with_event(const value& e) {
  return stored({2, 1, 0, value::array({e}), value{}});
}

}  // namespace

// Golden bytes
// ------------------------------------------------------------------------------------------------

TEST_CASE("the bytes of each kind of change never change") {
  for (const auto& [name, what] : one_of_each()) {
    CAPTURE(name);
    check_golden(name, encode(what));
    const auto read = decode_change(golden(name));
    REQUIRE(read);
    CHECK(describe(*read) == describe(what));
    CHECK(read->at == what.at);
    CHECK(read->asked_by == what.asked_by);
    CHECK(read->extra.is_null());
    CHECK(encode(*read) == encode(what));
  }
}

TEST_CASE("the bytes of each kind of entity never change") {
  for (const auto& [name, state] : entities()) {
    CAPTURE(name);
    check_golden(name, encode(state, plain));
    const auto read = decode_entity(golden(name));
    REQUIRE(read);
    CHECK(*read == state);
    CHECK(read->bytes() == state.bytes());
    CHECK(encode(*read) == encode(state));
  }
}

TEST_CASE("a change is the bytes that the format says") {
  CHECK(to_hex(encode(one_of_each()[1].second))  // [2, 300, at, [[2]], null]
        == "9502cd012ccf0000019b7ca98f2e919102c0");
  // [2, 8, at, [[11, 14]], null]
  CHECK(to_hex(encode(one(8, section_cleared{section::calls})))
        == "950208cf0000019b7ca98f2e91920b0ec0");
}

TEST_CASE("the numbers of events and enums stand on disk") {
  const std::uint8_t events[] = {
      entity_created::number, entity_deleted::number, items_appended::number,
      items_removed::number,  items_restored::number, entry_set::number,
      entry_erased::number,   entity_forked::number,  content_reverted::number,
      fork_merged::number,    section_cleared::number};
  for (std::uint8_t i = 0; i < 11; ++i)
    CHECK(events[i] == i + 1);
  CHECK(static_cast<int>(lifecycle::absent) == 0);
  CHECK(static_cast<int>(lifecycle::live) == 1);
  CHECK(static_cast<int>(lifecycle::deleted) == 2);
  CHECK(static_cast<int>(revert_cause::undo) == 1);
  CHECK(static_cast<int>(revert_cause::redo) == 2);
  CHECK(static_cast<int>(revert_cause::restore) == 3);
  CHECK(static_cast<int>(entity_kind::session) == 1);
  CHECK(static_cast<int>(entity_kind::global) == 5);
  CHECK(int{oldest_codec_version} == 2);
  CHECK(int{current_codec_version} == 2);
}

// Other versions
// ------------------------------------------------------------------------------------------------

TEST_CASE("a document of a newer version is refused as newer_format") {
  for (const value& version : {value{3}, value{128}, value{~0ull}}) {
    check_refused(stored({version}), errc::newer_format);
    CHECK(decode_entity(stored({version, "anything"})).error().code == errc::newer_format);
  }
  const auto newer = stored({3});
  CHECK(decode_entity(newer).error().message
        == "a snapshot has version 3; this build reads up to 2");
  CHECK(restore_entity(newer, {}).error().code == errc::newer_format);
  CHECK(fold_whole(newer, {}).error().code == errc::newer_format);
  CHECK(restore_entity("", {newer}).error().code == errc::newer_format);
}

TEST_CASE("a document of an older version or of none is damaged") {
  for (const char* hex : {"", "c0", "02", "80", "90", "a0", "9100", "9101", "91c0", "91ff",
                          "91a102", "91cb4000000000000000", "81a0c0", "c1"}) {
    check_refused(from_hex(hex), errc::damaged);
    CHECK(decode_entity(from_hex(hex)).error().code == errc::damaged);
  }
}

TEST_CASE("an unknown event is refused as newer_format") {
  for (const value& number : {value{0}, value{12}, value{~0ull}}) {
    check_refused(with_event(value::array({number})), errc::newer_format);
    check_refused(with_event(value::array({number, "more", 1})), errc::newer_format);
  }
}

TEST_CASE("an unknown section is refused as newer_format where the rest is good") {
  const auto none = value{};
  for (const value& number : {value{18}, value{255}, value{~0ull}}) {
    check_refused(with_event(value::array({6, number, "k", 1, 0})), errc::newer_format);
    check_refused(with_event(value::array({7, number, "k", true})), errc::newer_format);
    check_refused(with_event(value::array({11, number})), errc::newer_format);
    check_refused(with_event(value::array({6, number, "k", 1})), errc::damaged);
    check_refused(with_event(value::array({7, number, "k", 1})), errc::damaged);
    const auto snapshot = [&](const value& entry) {
      return decode_entity(stored(
          {2, 1, 1, 9, 1, 8, 0, 0, 0, none, none, none, value::array({}), value::array({entry})}));
    };
    CHECK(snapshot(value::array({5, "k", 1, 0, 2})));
    CHECK(snapshot(value::array({number, "k", 1, 0, 2})).error().code == errc::newer_format);
    CHECK(snapshot(value::array({number, "k", 1, 0})).error().code == errc::damaged);
  }
}

TEST_CASE("a fork without its lineage is no fork and has no bytes") {
  const change what = one(1, entity_forked{});
  const auto state = evolve({}, what);
  CHECK(state.live());
  CHECK_FALSE(lineage_of(state));
  CHECK(decode_entity(encode(state)).value() == state);
  CHECK_THROWS_AS(static_cast<void>(encode(what)), std::logic_error);
}

TEST_CASE("fields of a newer minor version survive reading and writing") {
  for (const auto& [name, what] : one_of_each()) {
    CAPTURE(name);
    const auto bytes = encode(what);
    std::vector<value> fields;
    for (auto field = value_view{bytes}.children(); field.next();)
      fields.emplace_back(field.item());
    auto own = fields;
    own.emplace_back(json(R"({"new":[1,2]})"));
    own.emplace_back(nullptr);
    CHECK(encode(decode_change(stored(own)).value()) == stored(own));
    std::vector<value> events;
    for (auto e = kept(fields[3]).view().children(); e.next();) {
      std::vector<value> parts;
      for (auto part = e.item().children(); part.next();)
        parts.emplace_back(part.item());
      if (events.size() != 1)  // the second of several has none
        parts.insert(parts.end(), {value{"new"}, value{}, value::array({7})});
      events.push_back(array_of(parts));
    }
    fields[3] = array_of(events);
    CHECK(encode(decode_change(stored(fields)).value()) == stored(fields));
    CHECK(describe(decode_change(stored(fields)).value()) == describe(what));
    own[3] = fields[3];
    CHECK(encode(decode_change(stored(own)).value()) == stored(own));
  }
}

TEST_CASE("a snapshot keeps the fields of a newer minor version through changes") {
  for (const auto& [name, state] : entities()) {
    CAPTURE(name);
    const auto bytes = encode(state, plain);
    std::vector<value> fields;
    for (auto field = value_view{bytes}.children(); field.next();)
      fields.emplace_back(field.item());
    fields.insert(fields.end(), {json(R"({"new":1})"), value{}});
    const auto read = decode_entity(stored(fields));
    REQUIRE(read);
    CHECK_FALSE(*read == state);  // it knows more
    auto without = *read;
    without.extra = {};
    CHECK(without == state);
    CHECK(encode(*read, plain) == stored(fields));
    const auto next = evolve(*read, one(99, entry_set{section::state, "z", 1}));
    CHECK(next.extra == value::array({json(R"({"new":1})"), value{}}));
  }
}

// Faults
// ------------------------------------------------------------------------------------------------

TEST_CASE("a change that lacks a field or has one of another type is damaged") {
  const auto good = std::vector<value>{2, 1, 0, value::array({}), value{}};
  REQUIRE(decode_change(stored(good)));
  for (std::size_t size = 1; size < good.size(); ++size)
    check_refused(stored({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}),
                  errc::damaged);
  const auto refuse = [&](std::size_t i, const value& x) {
    auto fields = good;
    fields[i] = x;
    check_refused(stored(fields), errc::damaged);
  };
  for (const value& bad : {value{}, value{-1}, value{1.0}, value{"1"}})
    refuse(1, bad);
  for (const value& bad : {value{}, value{9223372036854775808u}, value{1.0}})
    refuse(2, bad);
  for (const value& bad : {value{}, value{1}, value::map({}), value::array({1})})
    refuse(3, bad);
  const auto hash = value::binary("h");
  for (const value& bad :
       {value{1}, value::array({}), value::array({"p", "k"}), value::array({"p", "k", "h"}),
        value::array({"p", 1, hash}), value::array({"p", "k", hash, 1})})
    refuse(4, bad);
}

TEST_CASE("an event that lacks a field or has one of another type is damaged") {
  const auto map = value::map({});
  const auto ref = value::array({"ns", 1, "id"});
  const std::vector<std::vector<value>> good{{1, 5, value{}},
                                             {2},
                                             {3, 1, value::array({map})},
                                             {4, 1, 2},
                                             {5, value::array({value::array({1, 0, map})})},
                                             {6, 5, "k", 1, 0},
                                             {7, 5, "k", true},
                                             {8, value::array({ref, 1}), value{}},
                                             {9, 1, 2, value::array({})},
                                             {10, ref, 1},
                                             {11, 17}};
  for (const auto& fields : good) {
    REQUIRE(decode_change(with_event(array_of(fields))));
    for (std::size_t size = 0; size < fields.size(); ++size)
      check_refused(with_event(array_of(
                        {fields.begin(), fields.begin() + static_cast<std::ptrdiff_t>(size)})),
                    errc::damaged);
    for (std::size_t i = 1; i < fields.size(); ++i) {
      if (fields[0] == value{6} && i == 3)
        continue;  // any value is
      auto bad = fields;
      bad[i] = 1.5;
      check_refused(with_event(array_of(bad)), errc::damaged);
    }
  }
  const auto none = value{};
  for (const auto& bad : std::vector<value>{
           value::array({1, 0, none}),
           value::array({1, 6, none}),
           value::array({3, 1, value::array({1})}),
           value::array({3, -1, value::array({})}),
           value::array({3, 1, map}),
           value::array({5, value::array({value::array({1, 0})})}),
           value::array({5, value::array({value::array({1, 0, 1})})}),
           value::array({5, value::array({value::array({1, 0, map, 1})})}),
           value::array({6, 0, "k", 1, 0}),
           value::array({6, 5, std::string(601, 'k'), 1, 0}),
           value::array({7, 5, std::string(601, 'k'), true}),
           value::array({7, 5, "k", none}),
           value::array({8, value::array({value::array({"", 1, "id"}), 1}), none}),
           value::array({8, value::array({value::array({"ns", 0, "id"}), 1}), none}),
           value::array({8, value::array({value::array({"ns", 6, "id"}), 1}), none}),
           value::array({8, value::array({value::array({"ns", 1, "\n"}), 1}), none}),
           value::array({8, value::array({value::array({"ns", 1, "id", 1}), 1}), none}),
           value::array({8, value::array({ref, 1, 1}), none}),
           value::array({8, value::array({ref, 1}), 1}),
           value::array({1, 1, ""}),
           value::array({9, 0, 2, none}),
           value::array({9, 4, 2, none}),
           value::array({9, 1, 2, map}),
           value::array({11, 0})})
    check_refused(with_event(bad), errc::damaged);
  CHECK(decode_change(with_event(value::array({6, 5, std::string(600, 'k'), 1, 0}))));
}

TEST_CASE("a snapshot that lacks a field or has one of another type is damaged") {
  history items;
  const auto map = value::map({});
  items.append(3, at, map);
  std::string_view chunk;
  items.for_each_chunk([&](const packed_chunk& c) { chunk = c.bytes; });
  const auto packed = value::binary(chunk);
  const auto entry = value::array({5, "k", 1, 0, 2});
  const std::vector<value> good{2,
                                1,
                                1,
                                9,
                                1,
                                8,
                                1000,
                                2000,
                                3,
                                "ann",
                                value::array({value::array({"ns", 1, "p"}), 8}),
                                value{},
                                value::array({packed}),
                                value::array({entry})};
  REQUIRE(decode_entity(stored(good)));
  const auto refuse = [](const std::vector<value>& fields) {
    const auto out = decode_entity(stored(fields));
    CAPTURE(to_hex(stored(fields)));
    REQUIRE_FALSE(out);
    CHECK(out.error().code == errc::damaged);
  };
  for (std::size_t size = 1; size < good.size(); ++size)
    refuse({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)});
  const auto with = [&](std::size_t i, const value& x) {
    auto fields = good;
    fields[i] = x;
    return fields;
  };
  for (std::size_t i = 1; i < good.size(); ++i) {
    if (i < 9 || i > 11)  // no owner, no parent, nothing to redo
      refuse(with(i, value{}));
    refuse(with(i, 1.0));
    refuse(with(i, value::binary("x")));
  }
  for (const auto& [i, x] : std::vector<std::pair<std::size_t, value>>{
           {1, 3},
           {1, 257},
           {2, 0},
           {2, 6},
           {3, -1},
           {6, 9223372036854775808u},
           {8, 2},
           {9, map},
           {9, ""},
           {10, map},
           {10, value::array({1})},
           {10, value::array({value::array({"ns", 1, "p"}), 8, 1})},
           {11, map},
           {12, map},
           {13, map}})
    refuse(with(i, x));
  for (const value& bad : {value{}, value{1}, value{"text"}, value::binary(""),
                           value::binary(chunk.substr(1)), value::array({packed})})
    refuse(with(12, value::array({bad})));
  refuse(with(12, value::array({packed, packed})));
  for (const value& bad : {value{}, value{1}, value::array({}), value::array({5, "k", 1, 0}),
                           value::array({0, "k", 1, 0, 2}), value::array({5, 1, 1, 0, 2}),
                           value::array({5, "k", -1, 0, 2}), value::array({5, "k", 1, "0", 2}),
                           value::array({5, std::string(601, 'k'), 1, 0, 2}),
                           value::array({5, "k", 1, 0, 2, 3}), entry}) {  // the last is a key twice
    refuse(with(13, value::array({entry, bad})));
  }
}

TEST_CASE("a document cut short or gone on anywhere is damaged") {
  for (const auto& [name, what] : one_of_each()) {
    CAPTURE(name);
    const auto bytes = encode(what);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK(decode_change(bytes.substr(0, size)).error().code == errc::damaged);
    CHECK(decode_change(bytes + '\0').error().code == errc::damaged);
  }
  for (const auto& [name, state] : entities()) {
    CAPTURE(name);
    for (const auto& bytes : {encode(state, plain), encode(state, 0)}) {
      for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK(decode_entity(bytes.substr(0, size)).error().code == errc::damaged);
      CHECK(decode_entity(bytes + '\0').error().code == errc::damaged);
    }
  }
}
