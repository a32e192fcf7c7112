#include <troupe/state/team.hpp>

#include "../support/entities.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

entity_fixture team_of(std::initializer_list<const char*> names) {
  entity_fixture t{entity_kind::team};
  t.begins();
  for (const auto* name : names)
    t.does(add_member{name, "worker"});
  return t;
}

void sends(entity_fixture& t, const std::string& from, std::optional<std::string> to,
           const value& body) {
  t.does(send_message{from, std::move(to), body});
}

/// "1:ann:hi 3:bob:2"
std::string inbox(const entity_fixture& t, std::string_view member,
                  std::optional<std::uint64_t> after = {}, std::size_t limit = 100) {
  std::string out;
  for (const auto& one : messages_for(t.state(), member, after, limit))
    out += (out.empty() ? "" : " ") + std::to_string(one.seq) + ':' + one.from + ':'
           + to_json(one.body);
  return out;
}

}  // namespace

TEST_CASE("members have roles that can change and leave") {
  auto t = team_of({"bob", "ann"});
  CHECK(members_of(t.state()) == std::vector<member>{{"ann", "worker", 0}, {"bob", "worker", 0}});
  CHECK(t.does(add_member{"ann", "lead"}).changed);
  CHECK_FALSE(t.does(add_member{"ann", "lead"}).changed);
  CHECK(members_of(t.state())[0] == member{"ann", "lead", 0});
  CHECK(t.does(remove_member{"bob"}).changed);
  CHECK_FALSE(t.does(remove_member{"bob"}).changed);
  CHECK(members_of(t.state()).size() == 1);
}

TEST_CASE("a member with a fault is refused with its path") {
  auto t = team_of({});
  CHECK(where(t.refuses(add_member{""})) == "bad_id at /name");
  CHECK(where(t.refuses(add_member{"a", "\xff"})) == "invalid_value at /role");
  CHECK(where(t.refuses(add_member{"a", std::string(70'000, 'r')})) == "too_large at /role");
  change many{.revision = 2, .events = {}};
  for (int i = 0; i < 1000; ++i)
    many.events.emplace_back(
        entry_set{section::members, std::to_string(i), value::map({{"role", ""}})});
  const auto full = evolve(t.state(), many);
  CHECK(decide(full, t.asks(add_member{"more"}), t.context()).error().limit == 1000);
  CHECK(decide(full, t.asks(add_member{"7", "lead"}), t.context()));
}

TEST_CASE("a message to one member is read by that one only") {
  auto t = team_of({"ann", "bob", "cy"});
  t.now = {5000};
  sends(t, "ann", "bob", json(R"({"x":1})"));
  CHECK(messages_for(t.state(), "bob")
        == std::vector<message>{{1, {5000}, "ann", "bob", json(R"({"x":1})")}});
  CHECK(inbox(t, "cy") == "");
  CHECK(inbox(t, "ann") == "");
  sends(t, "bob", "bob", "note");
  CHECK(inbox(t, "bob", 1) == R"(2:bob:"note")");
}

TEST_CASE("a message to nobody in particular is read by every other member") {
  auto t = team_of({"ann", "bob", "cy"});
  sends(t, "ann", {}, "all");
  CHECK(inbox(t, "bob") == R"(1:ann:"all")");
  CHECK(inbox(t, "cy") == R"(1:ann:"all")");
  CHECK(inbox(t, "ann") == "");
  CHECK_FALSE(messages_for(t.state(), "bob")[0].to);
}

TEST_CASE("both ends of a message are members") {
  auto t = team_of({"ann", "bob"});
  CHECK(where(t.refuses(send_message{"eve", {}, 1})) == "not_found at /from");
  CHECK(where(t.refuses(send_message{"ann", "eve", 1})) == "not_found at /to");
  CHECK(where(t.refuses(send_message{"ann", "bob", deep(64)})) == "too_deep at /body");
  CHECK(where(t.refuses(send_message{"ann", "bob", std::string(max_value_bytes, 'x')}))
        == "too_large at /body");
  sends(t, "ann", "bob", deep(63));
  CHECK(decode_entity(encode(t.state())) == t.state());
}

TEST_CASE("a cursor stands for each member and never goes back") {
  auto t = team_of({"ann", "bob", "cy"});
  for (int i = 1; i <= 3; ++i)
    sends(t, "ann", {}, i);
  CHECK(inbox(t, "bob") == "1:ann:1 2:ann:2 3:ann:3");
  CHECK(t.does(acknowledge{"bob", 2}).changed);
  CHECK(inbox(t, "bob") == "3:ann:3");
  CHECK(inbox(t, "cy") == "1:ann:1 2:ann:2 3:ann:3");
  CHECK(inbox(t, "bob", 0) == "1:ann:1 2:ann:2 3:ann:3");
  CHECK_FALSE(t.does(acknowledge{"bob", 1}).changed);
  CHECK_FALSE(t.does(acknowledge{"bob", 2}).changed);
  CHECK(members_of(t.state())[1].cursor == 2);
  CHECK(members_of(t.state())[2].cursor == 0);
  CHECK(t.refuses(acknowledge{"bob", 4})
        == error{.code = errc::invalid_value,
                 .message = "the newest message is number 3",
                 .path = "/seq"});
  CHECK(where(t.refuses(acknowledge{"eve", 1})) == "not_found at /member");
  t.does(acknowledge{"bob", 3});
  CHECK(inbox(t, "bob") == "");
}

TEST_CASE("a read of messages gives the oldest first and no more than asked for") {
  auto t = team_of({"ann", "bob"});
  for (int i = 1; i <= 5; ++i)
    sends(t, i % 2 == 1 ? "ann" : "bob", {}, i);
  CHECK(inbox(t, "bob", {}, 2) == "1:ann:1 3:ann:3");
  CHECK(inbox(t, "bob", 3, 2) == "5:ann:5");
  CHECK(inbox(t, "bob", {}, 0) == "");
}

TEST_CASE("a member that comes back goes on where it was") {
  auto t = team_of({"ann", "bob"});
  sends(t, "bob", {}, 1);
  t.does(acknowledge{"ann", 1});
  t.does(remove_member{"ann"});
  sends(t, "bob", {}, 2);
  t.does(remove_member{"bob"}, add_member{"ann"});
  CHECK(inbox(t, "ann") == "2:bob:2");
}

TEST_CASE("messages that every member has make room and the others stay") {
  auto t = team_of({"ann", "bob"});
  for (int i = 1; i <= 4; ++i)
    sends(t, "ann", {}, i);
  CHECK_FALSE(t.does(drop_delivered{}).changed);
  t.does(acknowledge{"ann", 4});
  t.does(acknowledge{"bob", 2});
  CHECK(t.does(drop_delivered{}).removed == 2);
  CHECK(t.state().items.size() == 2);
  CHECK(inbox(t, "bob") == "3:ann:3 4:ann:4");
  t.does(acknowledge{"bob", 4});
  t.does(drop_delivered{});
  CHECK(t.state().items.empty());
  CHECK(t.state().last_seq == 4);
  t.does(undo{});
  CHECK(t.state().items.size() == 2);
}

TEST_CASE("undo brings a member back and leaves the cursors where they are") {
  auto t = team_of({"ann", "bob"});
  sends(t, "ann", {}, 1);
  t.does(add_member{"bob", "lead"});
  t.does(acknowledge{"bob", 1});
  t.does(undo{});
  CHECK(members_of(t.state())[1] == member{"bob", "worker", 1});
}

TEST_CASE("members share the state of their team") {
  auto t = team_of({"ann"});
  t.by = user("ann");
  t.set("plan", "x");
  CHECK(t.keys() == R"({"plan":"x"})");
}
