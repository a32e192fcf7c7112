#include <troupe/state/codec.hpp>

#include "actors/scope_node.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

using namespace troupe;
using node = testing::scope_node;
using testing::item;
using testing::texts;
using list = std::vector<std::string>;

TEST_CASE("an append is answered only after its commit returned") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  const auto answer = n.send(item("a"));
  n.world.run();
  CHECK_FALSE(answer->has_value());
  n.release();
  n.world.run();
  CHECK(n.now(answer) == outcome{.revision = 2, .changed = true, .first_seq = 1, .last_seq = 1});
}

TEST_CASE("a published snapshot never shows a change that is not committed") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  n.send(item("a"));
  n.world.run();
  REQUIRE(n.live->find(session_ref("s")));
  CHECK(n.live->find(session_ref("s"))->read()->revision == 1);
  n.release();
  n.world.run();
  CHECK(n.live->find(session_ref("s"))->read()->revision == 2);
}

TEST_CASE("a strict read waits for the commands before it") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  n.send(item("a"));
  const auto read = n.read();
  n.world.run();
  CHECK_FALSE(read->has_value());
  n.release();
  n.world.run();
  CHECK(texts(*n.now(read)->state) == list{"a"});
}

TEST_CASE("pipelined appends are decided against each other and answered in order") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  const auto a = n.send(item("a")), b = n.send(item("b"));
  n.world.run();
  REQUIRE(n.disk->held.size() == 2);
  n.release();
  n.world.run();
  CHECK(n.now(a)->last_seq == 1);
  CHECK_FALSE(b->has_value());
  n.release();
  n.world.run();
  CHECK(n.now(b)->last_seq == 2);
  CHECK(n.now(b)->revision == 3);
}

TEST_CASE("a commit shows its own change and none that is still on its way") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  n.send(item("a"));
  const auto read = n.read();
  n.send(item("b"));
  n.world.run();
  n.release();
  n.world.run();
  CHECK(n.live->find(session_ref("s"))->read()->revision == 2);
  CHECK(texts(*n.live->find(session_ref("s"))->read()) == list{"a"});
  CHECK(texts(*n.now(read)->state) == list{"a"});
}

TEST_CASE("a refusal that depends on a pending change waits for it") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  n.send(item("a"));
  const auto conflict = n.send(item("b"), "s", 1);
  n.world.run();
  CHECK_FALSE(conflict->has_value());
  n.release();
  n.world.run();
  CHECK(n.now(conflict).error().code == errc::revision_conflict);
  CHECK(n.now(conflict).error().current_revision == 2);
}

TEST_CASE("a durable answer without a change waits until what it was decided upon is on disk") {
  node n;
  n.disk->hold = true;
  n.send_at(durability::memory, create{});
  const auto found = n.send(create{}), refused = n.send(create{.only_if_absent = true});
  n.world.run();
  CHECK_FALSE(found->has_value());
  CHECK_FALSE(refused->has_value());
  n.release();
  n.world.run();
  CHECK_FALSE(n.now(found)->changed);
  CHECK(n.now(refused).error().code == errc::already_exists);
}

TEST_CASE("a fork behind a deletion is decided when that is on disk or lost") {
  node n;
  REQUIRE(n.execute(create{}, "parent"));
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  const auto erased = n.send(erase{}), forked = n.send(fork_from{.parent = session_ref("parent")});
  const auto a = n.send(item("a"));
  n.world.run();
  REQUIRE(n.disk->held.size() == 1);
  n.disk->hold = false;
  SUBCASE("on disk") {
    n.release();
    n.world.run();
    CHECK(n.now(erased));
    CHECK(n.now(forked)->created);
    CHECK(n.now(a)->revision == 4);
  }
  SUBCASE("lost") {
    n.disk->fail = error{errc::store_failed, "the write failed"};
    n.release();
    n.world.run();
    CHECK(n.now(erased).error().code == errc::store_failed);
    CHECK(n.now(forked).error().code == errc::already_exists);
    CHECK(n.now(a)->revision == 2);
  }
}

TEST_CASE("a failed commit takes back all that was decided upon it") {
  node n;
  REQUIRE(n.execute(create{}));
  REQUIRE(n.execute(item("kept")));
  n.disk->hold = true;
  const auto a = n.send(item("a")), b = n.send(item("b"));
  n.world.run();
  n.disk->fail = error{errc::store_full, "the disk is full"};
  n.release();
  n.world.run();
  CHECK(n.now(a).error().code == errc::store_full);
  CHECK(n.now(b).error().code == errc::store_full);
  CHECK(n.live->find(session_ref("s"))->read()->revision == 2);
  n.disk->hold = false;
  n.release_all();
  n.world.run();
  const auto c = n.execute(item("c"));
  REQUIRE(c);
  CHECK(c->revision == 3);
  CHECK(c->first_seq == 2);
  CHECK(texts(n.committed()) == list{"kept", "c"});
  CHECK(n.disk->changes[session_ref("s")].size() == 3);
}

TEST_CASE("a command that was sent after a failed commit is not hurt by the ones before it") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  n.send(item("a"));
  n.send(item("b"));
  n.world.run();
  n.disk->fail = error{errc::store_failed, "the write failed"};
  n.release();  // a fails, b is still on its way to the disk
  n.world.run();
  const auto c = n.send(item("c"));
  n.world.run();
  REQUIRE(n.disk->held.size() == 2);
  n.release();  // b: does not follow
  n.release();  // c
  n.world.run();
  REQUIRE(n.now(c));
  CHECK(texts(n.committed()) == list{"c"});
}

TEST_CASE("an unknown outcome ends the actor and the next one reads the truth from disk") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  const auto a = n.send(item("a"));
  n.world.run();
  n.disk->fail = error{errc::outcome_unknown, "the commit did not return"};
  n.disk->land_anyway = true;
  n.release();
  n.disk->hold = false;
  n.world.run();
  CHECK(n.now(a).error().code == errc::outcome_unknown);
  CHECK(n.live->size() == 0);
  CHECK(texts(n.committed()) == list{"a"});
  CHECK(n.execute(item("b"))->last_seq == 2);
}

TEST_CASE("a session that crashed wakes from the store with everything that was acknowledged") {
  node n;
  REQUIRE(n.execute(create{}));
  REQUIRE(n.execute(item("a")));
  n.crash_next_command = true;
  const auto lost = n.execute(item("b"));
  CHECK(lost.error().code == errc::outcome_unknown);
  CHECK(n.live->size() == 0);
  CHECK(texts(n.committed()) == list{"a"});
  CHECK(n.execute(item("c"))->last_seq == 2);
}

TEST_CASE("a command behind a crash is answered busy and was not done") {
  node n;
  REQUIRE(n.execute(create{}));
  n.crash_next_command = true;
  const auto lost = n.send(item("a")), next = n.send(item("b"));
  n.world.run();
  CHECK(n.now(lost).error().code == errc::outcome_unknown);
  CHECK(n.now(next).error().code == errc::busy);
  CHECK(texts(n.committed()).empty());
}

TEST_CASE(
    "a host that sends again at once what was refused is not called on its own stack for ever") {
  node n;
  REQUIRE(n.execute(create{}));
  n.crash_next_command = true;
  const auto lost = n.send(item("a"));
  int tries = 0, deep = 0, deepest = 0;
  std::optional<expected<command_result>> last;
  std::function<void()> again = [&] {
    ++tries;
    deepest = std::max(deepest, ++deep);
    n.way_in.send(host_command{{session_ref("s"), {item("b")}},
                               completion<command_result>{[&](expected<command_result> x) {
                                 last = x;
                                 if (!x && x.error().code == errc::busy && tries < 1'000)
                                   again();
                               }}});
    --deep;
  };
  again();
  n.world.run();
  CHECK(n.now(lost).error().code == errc::outcome_unknown);
  CHECK(tries > 1);
  CHECK(deepest <= 2);
  REQUIRE((last && *last));
  CHECK((*last)->first_seq == 1);
}

TEST_CASE("a deleted session leaves no actor behind and comes back with its revision") {
  node n;
  REQUIRE(n.execute(create{}));
  REQUIRE(n.execute(erase{}));
  CHECK(n.live->size() == 0);
  CHECK(n.execute(create{})->revision == 3);
}

TEST_CASE("a session that could not be created leaves no actor behind") {
  node n;
  n.disk->fail = error{errc::store_full, "the disk is full"};
  CHECK(n.execute(create{}).error().code == errc::store_full);
  CHECK(n.live->size() == 0);
}

TEST_CASE("an answer comes with the state of its own commit") {
  node n;
  n.disk->hold = true;
  const auto created = n.send(create{}), a = n.send(item("a"));
  n.world.run();
  n.release_all();
  CHECK(n.now(created)->state->revision == 1);
  CHECK(n.now(a)->state->revision == 2);
}

TEST_CASE("a callback that throws hurts nobody else") {
  node n;
  for (int i = 0; i < 2; ++i) {  // by the supervisor and straight to the actor
    n.way_in.send(host_command{{session_ref("s"), {create{}}}, completion<command_result>{[](auto) {
                                 throw std::runtime_error{"planted"};
                               }}});
    n.world.run();
  }
  n.world.run();
  CHECK(n.execute(item("a")));
}

TEST_CASE("a drain answers what waits for a successor that will not come") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  const auto a = n.send(item("a"));
  n.world.run();
  compat::anon_send(n.supervisor, ready_to_retire{session_ref("s")});
  n.world.run();
  const auto b = n.send(item("b"));
  n.world.run();
  const auto done = n.drained();
  n.release();
  n.world.run();
  CHECK(n.now(a));
  CHECK(n.now(b).error().code == errc::draining);
  CHECK(*done);
}

TEST_CASE("nothing of an actor in doubt is read any more") {
  node n;
  REQUIRE(n.execute(create{}));
  const auto published = n.live->find(session_ref("s"));
  n.disk->fail = error{errc::outcome_unknown, "the commit did not return"};
  CHECK(n.execute(item("a")).error().code == errc::outcome_unknown);
  CHECK(published->read() == nullptr);
}

TEST_CASE("requests that arrive while a session loads share one load and keep their order") {
  node n;
  const auto created = n.send(create{}), a = n.send(item("a"));
  const auto read = n.read();
  n.world.run();
  CHECK(n.disk->loads == 1);
  CHECK(n.now(created)->created);
  CHECK(n.now(a)->first_seq == 1);
  CHECK(texts(*n.now(read)->state) == list{"a"});
}

TEST_CASE("an id that was only asked for leaves no actor behind") {
  node n;
  CHECK(n.committed("nobody").status == lifecycle::absent);
  n.world.run();
  CHECK(n.live->size() == 0);
  CHECK(n.execute(item("x"), "nobody").error().code == errc::not_found);
  n.world.run();
  CHECK(n.live->size() == 0);
  CHECK(n.disk->changes[session_ref("nobody")].empty());
}

TEST_CASE("an actor that is loaded before its first request comes offers to retire after it") {
  node n;
  int offers = 0;
  const auto ear = n.world.system().spawn([&offers](caf::event_based_actor*) -> caf::behavior {
    return {[&offers](const ready_to_retire&) { ++offers; }};
  });
  const auto entity = std::make_shared<live_entity>(session_ref("nobody"));
  entity->begin(spawn_scope(
      n.world.system(), entity,
      std::make_shared<scope_surroundings>(n.store, caf::actor_cast<supervisor_actor>(ear),
                                           [&n] { return n.clock(); })));
  n.world.run();
  CHECK(offers == 0);
  host_read first{{session_ref("nobody")},
                  completion<state_snapshot>{[](const expected<state_snapshot>&) {}}};
  REQUIRE(entity->try_send(first, nullptr));
  n.world.run();
  CHECK(offers == 1);
  for (const auto& end : {caf::actor_cast<caf::actor>(entity->actor()), ear})
    caf::anon_send_exit(end, caf::exit_reason::user_shutdown);
}

TEST_CASE("a command that meets a retiring actor reaches its successor") {
  node n;
  const auto read = n.read();  // wakes an actor that will offer to retire
  const auto created = n.send(create{});
  const auto a = n.send(item("a"));
  n.world.run();
  CHECK(n.now(read)->state->status == lifecycle::absent);
  REQUIRE(n.now(created));
  REQUIRE(n.now(a));
  CHECK(texts(n.committed()) == list{"a"});
}

TEST_CASE("a command behind the word to retire is done by the next actor") {
  node n;
  REQUIRE(n.execute(create{}));
  compat::anon_send(n.supervisor, ready_to_retire{session_ref("s")});
  const auto a = n.send_directly(item("a")), b = n.send_directly(item("b"));
  n.world.run();
  REQUIRE(n.now(a));
  REQUIRE(n.now(b));
  CHECK(texts(n.committed()) == list{"a", "b"});
  CHECK(n.disk->loads == 2);
}

TEST_CASE("what a host sends behind a request on its way to the supervisor does not overtake it") {
  node n;
  n.send(create{});
  const auto a = n.send(item("a"));  // the supervisor has read neither
  while (n.live->find(session_ref("s")) == nullptr)
    REQUIRE(n.world.step());
  const auto b = n.send(item("b"));  // its actor is there, and "a" is not
  n.world.run();
  CHECK(n.now(a)->first_seq == 1);
  CHECK(n.now(b)->first_seq == 2);
}

TEST_CASE("a request that comes while the actor retires is made behind those before it") {
  node n;
  REQUIRE(n.execute(create{}));
  const auto a = n.send(item("a"));  // straight to the actor
  compat::anon_send(n.supervisor, ready_to_retire{session_ref("s")});
  const auto b = n.send(item("b"));
  while (!n.live->find(session_ref("s"))->retiring)
    REQUIRE(n.world.step());
  const auto c = n.send(item("c"));
  n.world.run();
  for (const auto& x : {a, b, c})
    REQUIRE(n.now(x));
  CHECK(texts(n.committed()) == list{"a", "b", "c"});
  CHECK(n.disk->loads == 2);
}

TEST_CASE("stored changes that end at another revision than the store says are damaged") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->sequence_lie = 1;
  compat::anon_send(n.supervisor, ready_to_retire{session_ref("s")});
  n.world.run();
  CHECK(n.execute(item("a")).error().code == errc::damaged);
}

TEST_CASE("a session refuses more than its limit of commands in flight and nothing else") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  std::vector<node::answer<command_result>> answers;
  for (std::size_t i = 0; i < max_commands_in_flight + 1; ++i)
    answers.push_back(n.send(item("x")));
  n.world.run();
  CHECK(n.now(answers.back()).error().code == errc::busy);
  CHECK(n.now(answers.back()).error().limit == max_commands_in_flight);
  CHECK(n.now(answers.back()).error().retry_after_ms == 100);
  n.release_all();
  n.world.run();
  for (std::size_t i = 0; i < max_commands_in_flight; ++i)
    CHECK(n.now(answers[i])->last_seq == i + 1);
}

TEST_CASE("two sessions never see each other's items") {
  node n;
  for (const auto* id : {"s", "t"}) {
    REQUIRE(n.execute(create{}, id));
    REQUIRE(n.execute(item(id), id));
  }
  CHECK(texts(n.committed("s")) == list{"s"});
  CHECK(texts(n.committed("t")) == list{"t"});
}

TEST_CASE("a drain waits for what is in flight and refuses what comes later") {
  node n;
  REQUIRE(n.execute(create{}));
  n.disk->hold = true;
  const auto a = n.send(item("a"));
  n.world.run();
  const auto done = n.drained();
  CHECK_FALSE(*done);
  const auto late = n.send(item("late"));
  n.world.run();
  CHECK(n.now(late).error().code == errc::draining);
  n.release();
  n.world.run();
  CHECK(n.now(a)->last_seq == 1);
  CHECK(*done);
  CHECK(n.disk->folds == 1);
  CHECK(n.live->size() == 0);
}

TEST_CASE("a session whose stored changes are damaged is refused by name and hurts no other") {
  node n;
  n.disk->changes[session_ref("s")] = {"garbage"};
  CHECK(n.execute(create{}).error().code == errc::damaged);
  CHECK(n.execute(create{}, "t"));
}
