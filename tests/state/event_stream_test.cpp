#include <troupe/state/event_stream.hpp>

#include "support/entities.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

committed_change at(std::uint64_t position, std::uint32_t part, std::uint32_t parts) {
  return {.entity = session_ref("a"),
          .what = {.revision = 7},
          .epoch = 3,
          .position = position,
          .part = part,
          .parts = parts};
}

const event_filter of_all{};
const event_filter of_a{.entity = session_ref("a")};

}  // namespace

TEST_CASE("a cursor says behind which change a stream goes on") {
  CHECK(to_string(entity_cursor_of(at(12, 0, 1))) == "3-7");
  CHECK(to_string(stream_cursor_of(at(12, 0, 1))) == "s0-3-12");
  CHECK(to_string(stream_cursor_of(at(12, 0, 3))) == "s0-3-11-1");
  CHECK(to_string(stream_cursor_of(at(12, 1, 3))) == "s0-3-11-2");
  CHECK(to_string(stream_cursor_of(at(12, 2, 3))) == "s0-3-12");
}

TEST_CASE("a cursor is read back and nothing else is read") {
  CHECK(std::get<entity_cursor>(*parse_cursor(of_a, "3-7")) == entity_cursor{3, 7});
  CHECK(std::get<stream_cursor>(*parse_cursor(of_all, "s0-3-12")) == stream_cursor{3, 12, 0});
  CHECK(std::get<stream_cursor>(*parse_cursor(of_all, "s0-3-11-2")) == stream_cursor{3, 11, 2});
  for (const auto* text : {"", "3", "3-", "-3-7", "3-7-1", "03-7", "3-07", "3-7 ", "+3-7",
                           "3-18446744073709551616", "s0-3-12", "s0-3-7", "\n"})
    CHECK_MESSAGE(parse_cursor(of_a, text).error().code == errc::malformed, text);
  for (const auto* text : {"", "s0", "s0-", "s0-3", "s1-3-12", "s0-3-12-0", "s0-3-12-1-1", "3-7",
                           "s0-3-12,s1-1-1", "s0-3-12-4294967296"})
    CHECK_MESSAGE(parse_cursor(of_all, text).error().code == errc::malformed, text);
}

TEST_CASE("a filter that can match nothing sensible is refused") {
  CHECK(check_filter(of_all));
  CHECK(check_filter(of_a));
  CHECK(check_filter({.name_space = ""}).error().code == errc::bad_id);
  CHECK(check_filter({.entity = session_ref("")}).error().code == errc::bad_id);
  CHECK(check_filter({.name_space = "other", .entity = session_ref("a")}).error().code
        == errc::invalid_value);
  CHECK(check_filter({.children = true}).error().code == errc::invalid_value);
  CHECK(check_filter({.entity = session_ref("a"), .children = true}).error().code
        == errc::invalid_value);
  CHECK(check_filter({.entity = ref_of(entity_kind::team, "t"), .children = true}));
  CHECK(check_filter({.events = std::vector<std::string>(65, "created")}).error().code
        == errc::too_many_elements);
}

TEST_CASE("the parents that changes tell of are those of the state they make") {
  entity_fixture one;
  entity_parents known;
  const auto follows = [&] {
    const auto next = follow(known, one.changes.back());
    REQUIRE(next);
    known = *next;
    CHECK(known == parents_of(one.state()));
  };
  one.begins({.user = "ann", .workflow = "w", .team = "t"});
  CHECK(begins_entity(one.changes.back()));
  follows();
  CHECK(known == entity_parents{"ann", "w", "t"});
  CHECK(known.has(ref_of(entity_kind::workflow, "w")));
  CHECK(known.has(ref_of(entity_kind::team, "t")));
  CHECK(known.has(ref_of(entity_kind::user, "ann")));
  CHECK_FALSE(known.has(ref_of(entity_kind::user, "w")));
  CHECK(known.has(ref_of(entity_kind::global, "any")));
  one.set("workflow", value{"not a parent"});
  CHECK_FALSE(begins_entity(one.changes.back()));
  follows();
  one.does(update_info{.workflow = "v"});
  follows();
  CHECK(known.workflow == "v");
  one.does(update_info{.team = ""});
  follows();
  CHECK(known.team.empty());
  one.does(erase{});
  follows();
  CHECK(known == entity_parents{});
  one.begins({.user = "bob"});
  follows();
}

TEST_CASE("a fork's parents are not told by its change") {
  entity_fixture parent;
  parent.begins({.user = "ann", .workflow = "w"});
  entity_fixture fork{entity_kind::session, "fork"};
  fork.does(fork_from{.parent = parent.ref,
                      .base = std::make_shared<const entity_state>(parent.state())});
  CHECK(begins_entity(fork.changes.back()));
  CHECK_FALSE(follow({}, fork.changes.back()));
  CHECK(parents_of(fork.state()).workflow == "w");
}

TEST_CASE("a filter lets through by namespace and scope and entity and name of event") {
  const auto a = session_ref("a"), w = ref_of(entity_kind::workflow, "w");
  CHECK(may_want(of_all, a));
  CHECK_FALSE(may_want({.name_space = "other"}, a));
  CHECK(may_want(of_a, a));
  CHECK_FALSE(may_want(of_a, session_ref("b")));
  CHECK_FALSE(may_want({.kinds = {entity_kind::workflow}}, a));
  CHECK(may_want({.kinds = {entity_kind::workflow, entity_kind::session}}, a));
  CHECK(may_want({.entity = w, .children = true}, a));
  change what{.revision = 1, .events = {entity_created{}, entry_set{.key = "k"}}};
  CHECK(wants_events({.events = {"state_set"}}, what));
  CHECK_FALSE(wants_events({.events = {"items_appended"}}, what));
  const event_filter of_w{.entity = w, .children = true};
  CHECK(wants_child(of_w, w, {}, {}));
  CHECK(wants_child(of_w, a, {.workflow = "w"}, {}));
  CHECK(wants_child(of_w, a, {}, {.workflow = "w"}));
  CHECK_FALSE(wants_child(of_w, a, {.user = "w"}, {.team = "w"}));
}
