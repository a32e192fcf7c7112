#include "support/entities.hpp"
#include "support/event_node.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

struct fixture {
  deterministic_system world;
  event_node node{world};

  void does(const std::string& id, operation what) {
    REQUIRE(node.execute(session_ref(id), std::move(what)));
  }
};

subscribe_options of(event_filter filter, std::optional<std::string> after = {}) {
  return {.filter = std::move(filter), .after = std::move(after)};
}

commit_request request(const std::string& id, std::uint64_t sequence) {
  commit_request out;
  out.entity = session_ref(id);
  out.sequence = sequence;
  out.payload = encode(change{.revision = sequence, .events = {entity_created{}}});
  return out;
}

}  // namespace

TEST_CASE("a subscriber gets what is answered after it subscribed and nothing before") {
  fixture f;
  f.does("a", create{});
  auto all = f.node.listens();
  auto a = f.node.listens(of({.entity = session_ref("a")}));
  f.does("a", item());
  f.does("b", create{});
  CHECK(taken(all) == list{"session/a 2", "session/b 1"});
  CHECK(taken(a) == list{"session/a 2"});
}

TEST_CASE("an event tells its entity and time and principal and what was done") {
  fixture f;
  auto all = f.node.listens();
  REQUIRE(f.node.execute({.entity = session_ref("a"),
                          .operations = {create{}},
                          .once = idempotency{"ann", "key", "hash"}}));
  const auto got = all.try_next();
  const auto& what = *std::get<std::shared_ptr<const committed_change>>((**got).what);
  CHECK(what.entity == session_ref("a"));
  CHECK(what.epoch == 1);
  CHECK(what.position == 1);
  CHECK(what.what.at == f.node.clock);
  CHECK(what.what.asked_by->principal == "ann");
  CHECK(describe(what.what.events.front()) == "created session");
  CHECK((**got).cursor == "s0-1-1");
}

TEST_CASE("a stream goes on behind its cursor and tells deletions") {
  fixture f;
  f.does("a", create{});
  f.does("b", create{});
  f.does("a", item());
  f.does("a", erase{});
  auto all = f.node.listens(of({}, "s0-1-1"));
  auto a = f.node.listens(of({.entity = session_ref("a")}, "1-1"));
  auto b = f.node.listens(of({.entity = session_ref("b")}, "1-1"));
  f.world.run();
  CHECK(taken(all) == list{"session/b 1", "session/a 2", "session/a 3"});
  CHECK(taken(a) == list{"session/a 2", "session/a 3"});
  CHECK(taken(b).empty());
  f.does("a", create{});
  f.does("b", item());
  CHECK(taken(all) == list{"session/a 4", "session/b 2"});
  CHECK(taken(a) == list{"session/a 4"});
  CHECK(taken(b) == list{"session/b 2"});
}

TEST_CASE("a cursor of another epoch or ahead of the store is a gap and the stream goes on live") {
  fixture f;
  f.does("a", create{});
  f.does("a", item());
  auto other = f.node.listens(of({.entity = session_ref("a")}, "2-1"));
  auto ahead = f.node.listens(of({.entity = session_ref("a")}, "1-3"));
  auto all_other = f.node.listens(of({}, "s0-2-1"));
  auto all_ahead = f.node.listens(of({}, "s0-1-3"));
  auto half_ahead = f.node.listens(of({}, "s0-1-2-1"));
  f.world.run();
  f.does("a", item());
  const list of_a{"gap 2 1-2", "session/a 3"}, of_all{"gap 0 s0-1-2", "session/a 3"};
  CHECK(taken(other) == of_a);
  CHECK(taken(ahead) == of_a);
  CHECK(taken(all_other) == of_all);
  CHECK(taken(all_ahead) == of_all);
  CHECK(taken(half_ahead) == of_all);
}

TEST_CASE("a refused change is no event though others of its batch are") {
  fixture f;
  auto all = f.node.listens();
  f.world.run();
  f.node.commit({request("a", 1)});
  f.node.commit({request("b", 7)});
  f.node.commit({request("c", 1)});
  f.world.run();
  CHECK(taken(all) == list{"session/a 1", "session/c 1"});
}

TEST_CASE("a set is told together and a cursor in its middle tells the rest") {
  fixture f;
  auto all = f.node.listens();
  f.node.commit({request("a", 1), request("b", 1), request("c", 1)});
  f.node.commit({request("d", 1)});
  f.world.run();
  list cursors;
  for (auto next = all.try_next(); *next; next = all.try_next())
    cursors.push_back((**next).cursor);
  CHECK(cursors == list{"s0-1-0-1", "s0-1-0-2", "s0-1-1", "s0-1-2"});
  const list told{"session/a 1", "session/b 1", "session/c 1", "session/d 1"};
  for (std::size_t i = 0; i < cursors.size(); ++i) {
    auto again = f.node.listens(of({}, cursors[i]));
    f.world.run();
    CHECK(taken(again) == list(told.begin() + static_cast<std::ptrdiff_t>(i) + 1, told.end()));
  }
}

TEST_CASE("changes of level memory are told when they are committed") {
  fixture f;
  f.does("a", create{});
  auto all = f.node.listens();
  REQUIRE(f.node.execute(
      {.entity = session_ref("a"), .operations = {item()}, .level = durability::memory}));
  CHECK(taken(all).empty());
  f.does("a", item());
  CHECK(taken(all) == list{"session/a 2", "session/a 3"});
}

TEST_CASE("a filter lets through scopes and events and children and another namespace nothing") {
  fixture f;
  auto sessions = f.node.listens(of({.kinds = {entity_kind::session}}));
  auto items = f.node.listens(of({.events = {"items_appended", "deleted"}}));
  auto children = f.node.listens(of({.entity = workflow_ref("w"), .children = true}));
  auto other = f.node.listens(of({.name_space = "other"}));
  REQUIRE(f.node.execute(workflow_ref("w"), create{}));
  f.does("a", create{{.workflow = "w"}});
  f.does("b", create{{.workflow = "v"}});
  f.does("a", item());
  f.does("b", update_info{.workflow = "w"});
  f.does("b", item());
  f.does("b", update_info{.workflow = ""});
  f.does("b", item());
  f.does("a", erase{});
  CHECK(taken(sessions)
        == list{"session/a 1", "session/b 1", "session/a 2", "session/b 2", "session/b 3",
                "session/b 4", "session/b 5", "session/a 3"});
  CHECK(taken(items) == list{"session/a 2", "session/b 3", "session/b 5", "session/a 3"});
  const list wanted{"workflow/w 1", "session/a 1", "session/a 2", "session/b 2",
                    "session/b 3",  "session/b 4", "session/a 3"};
  CHECK(taken(children) == wanted);
  CHECK(taken(other).empty());

  auto again = f.node.listens(of({.entity = workflow_ref("w"), .children = true}, "s0-1-0"));
  f.world.run();
  CHECK(taken(again) == wanted);
  auto later = f.node.listens(of({.entity = workflow_ref("w"), .children = true}, "s0-1-4"));
  f.world.run();
  CHECK(taken(later) == list(wanted.begin() + 3, wanted.end()));
}

TEST_CASE("a fork is its parent's workflow's child") {
  fixture f;
  f.does("a", create{{.workflow = "w"}});
  auto live = f.node.listens(of({.entity = workflow_ref("w"), .children = true}));
  REQUIRE(f.node.execute(session_ref("f"), fork_from{.parent = session_ref("a")}));
  f.does("f", item());
  CHECK(taken(live) == list{"session/f 2", "session/f 3"});
  auto again = f.node.listens(of({.entity = workflow_ref("w"), .children = true}, "s0-1-1"));
  f.world.run();
  CHECK(taken(again) == list{"session/f 2", "session/f 3"});
}

TEST_CASE("a slow subscriber is cut off and resumes while writers go on") {
  fixture f;
  f.does("a", create{});
  auto slow = f.node.listens({.max_bytes = 300});
  auto quick = f.node.listens();
  list all;
  for (int i = 2; i <= 20; ++i) {
    f.does("a", item());
    all.push_back("session/a " + std::to_string(i));
  }
  CHECK(taken(quick) == all);
  auto got = taken(slow);
  REQUIRE(got.size() > 3);
  CHECK(got.size() < all.size());
  CHECK(got.back() == "end: busy");
  got.pop_back();
  REQUIRE(got.back().starts_with("slow "));
  const auto cursor = got.back().substr(5);
  got.pop_back();
  auto again = f.node.listens(of({}, cursor));
  f.world.run();
  for (const auto& one : taken(again))
    got.push_back(one);
  CHECK(got == all);
}

TEST_CASE("what is read from the journal waits for room and is not cut off") {
  fixture f;
  f.does("a", create{});
  list all;
  for (int i = 2; i <= 3'000; ++i) {
    f.node.send({.entity = session_ref("a"), .operations = {item()}});
    if (i % 50 == 0)
      f.world.run();
    all.push_back("session/a " + std::to_string(i));
  }
  f.world.run();
  auto narrow = f.node.listens({.after = "s0-1-1", .max_bytes = 300});
  list got;
  for (auto some = list{""}; !some.empty();) {
    f.world.run();
    some = taken(narrow);
    CHECK(some.size() <= max_slice_changes);
    got.insert(got.end(), some.begin(), some.end());
  }
  CHECK(got == all);
  f.does("a", item());
  CHECK(taken(narrow) == list{"session/a 3001"});
}

TEST_CASE("a batch that was read from the journal is not told again") {
  fixture f;
  f.does("a", create{});
  auto all = f.node.listens(of({}, "s0-1-0"));
  f.world.run();
  committed_batch again;
  again.epoch = 1;
  again.through = 1;
  again.changes.push_back({request("a", 1), 1, 0, 1});
  f.node.feed->tell(std::move(again));
  f.world.run();
  CHECK(taken(all) == list{"session/a 1"});
}

TEST_CASE("what is told before a slice comes back is read from the journal") {
  fixture f;
  f.does("a", create{});
  auto all = f.node.listens(of({}, "s0-1-0"));
  // The hub is told of the second change before the store has written it or read the first.
  committed_batch early;
  early.epoch = 1;
  early.after = 1;
  early.through = 2;
  early.changes.push_back({request("a", 2), 2, 0, 1});
  f.node.feed->tell(std::move(early));
  for (int i = 0; i < 3; ++i)
    REQUIRE(f.world.step());
  f.node.feed->wanted = false;  // so that it is not told again
  f.node.commit({request("a", 2)});
  f.world.run();
  CHECK(taken(all) == list{"session/a 1", "session/a 2"});
}

TEST_CASE("what the store could not tell is read from the journal") {
  fixture f;
  f.does("a", create{});
  auto all = f.node.listens();
  auto a = f.node.listens(of({.entity = session_ref("a")}));
  f.world.run();
  f.does("a", item());
  f.node.feed->bytes += commit_feed::max_bytes;
  f.does("a", item());
  f.does("b", create{});
  f.node.feed->bytes -= commit_feed::max_bytes;
  CHECK(f.node.feed->bytes == 0);
  f.does("a", item());
  CHECK(taken(all) == list{"session/a 2", "session/a 3", "session/b 1", "session/a 4"});
  CHECK(taken(a) == list{"session/a 2", "session/a 3", "session/a 4"});
}

TEST_CASE("the store tells nothing while nobody is subscribed") {
  fixture f;
  CHECK_FALSE(f.node.feed->wanted);
  {
    auto one = f.node.listens();
    auto two = f.node.listens();
    f.world.run();
    CHECK(f.node.feed->wanted);
    one.close();
    f.world.run();
    CHECK(f.node.feed->wanted);
  }
  f.world.run();
  CHECK_FALSE(f.node.feed->wanted);
}

TEST_CASE("a stream that the runtime ends says so after all that was committed") {
  fixture f;
  auto all = f.node.listens();
  f.does("a", create{});
  f.node.drain_hub();
  CHECK(taken(all) == list{"session/a 1", "end: draining"});
  auto late = f.node.listens();
  f.world.run();
  CHECK(taken(late) == list{"end: draining"});
}

TEST_CASE("a hub that ends tells its subscribers") {
  fixture f;
  auto all = f.node.listens();
  f.does("a", create{});
  caf::anon_send_exit(f.node.hub, caf::exit_reason::kill);
  f.world.run();
  CHECK(taken(all) == list{"session/a 1", "end: internal"});
  f.does("a", item());
  CHECK_FALSE(f.node.feed->wanted);
}
