#include <troupe/actors/gateway.hpp>
#include <troupe/actors/supervisor.hpp>
#include <troupe/state/change_set.hpp>

#include "support/deterministic.hpp"
#include "support/fake_store.hpp"
#include "support/printing.hpp"
#include <doctest/doctest.h>

#include <stdexcept>
#include <utility>

using namespace troupe;
using testing::fake_disk;

namespace {

/// Adds to the number that an entity counts.
command add(const std::string& id, int by, std::optional<std::uint64_t> revision = {}) {
  return {.entity = session_ref(id),
          .operations = {patch_state{{add_to{.key = "n", .by = by}}}},
          .expected_revision = revision};
}

/// Sessions a, b and c, which count from 10, over a fake store whose commits the test lets end.
struct node {
  node() {
    disk->note_senders = true;
    for (const auto* id : {"a", "b", "c"})
      REQUIRE(execute(
          command{.entity = session_ref(id),
                  .operations = {create{}, patch_state{{set_key{.key = "n", .data = value{10}}}}},
                  .expected_revision = {}}));
  }
  ~node() {
    disk->hold = false;
    release_all();
    drain_all();
    for (const auto& actor :
         {caf::actor_cast<caf::actor>(supervisor), caf::actor_cast<caf::actor>(store)})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    world.run();
    disk->last_set = nullptr;
    disk->actors.clear();
  }

  template <class T>
  using answer = std::shared_ptr<std::optional<expected<T>>>;

  template <class T>
  static completion<T> into(const answer<T>& out) {
    return completion<T>{[out](expected<T> x) { *out = std::move(x); }};
  }
  answer<command_result> send(command what) {
    const auto out = std::make_shared<std::optional<expected<command_result>>>();
    way_in.send(host_command{std::move(what), into<command_result>(out)});
    return out;
  }
  answer<change_set_result> send(change_set what) {
    const auto out = std::make_shared<std::optional<expected<change_set_result>>>();
    way_in.send(host_change_set{std::move(what), into<change_set_result>(out)});
    return out;
  }
  template <class T>
  static expected<T> now(const answer<T>& a) {
    REQUIRE_MESSAGE(a->has_value(), "the request was not answered");
    return **a;
  }
  expected<command_result> execute(command what) {
    const auto out = send(std::move(what));
    world.run();
    return now(out);
  }
  expected<change_set_result> execute(change_set what) {
    const auto out = send(std::move(what));
    world.run();
    return now(out);
  }

  /// What an entity counts; -1: it is not there.
  std::int64_t count(const std::string& id, bool latest = false) {
    const auto out = std::make_shared<std::optional<expected<state_snapshot>>>();
    way_in.send(host_read{{session_ref(id), latest}, into<state_snapshot>(out)});
    world.run();
    const auto* held = find(*now(out)->state, section::state, "n", {});
    return held == nullptr ? -1 : held->data.view().as_int64().value_or(-2);
  }
  std::vector<std::int64_t> counts() { return {count("a"), count("b"), count("c")}; }
  std::int64_t published(const std::string& id) {
    return find(*live->find(session_ref(id))->read(), section::state, "n", {})
        ->data.view()
        .as_int64()
        .value_or(-2);
  }

  void kill(const caf::actor& one) { caf::anon_send_exit(one, caf::exit_reason::kill); }
  void sleep(const std::string& id) {
    compat::anon_send(supervisor, ready_to_retire{session_ref(id)});
  }
  void release() {
    testing::release(store);
    world.run();
  }
  void release_all() {
    for (auto left = disk->held.size(); left > 0; --left)
      testing::release(store);
    world.run();
  }
  std::shared_ptr<bool> drain_all() {
    auto done = std::make_shared<bool>(false);
    world.system().spawn([this, done](caf::event_based_actor* self) {
      compat::request(self, supervisor, drain{})
          .then([done] { *done = true; }, [](const caf::error&) {});
    });
    world.run();
    return done;
  }

  timestamp clock() {
    if (crash_at != 0 && ++looked == crash_at)
      throw std::runtime_error{"planted crash"};
    return {1'000};
  }

  int crash_at = 0, looked = 0;  // which look at the clock crashes whoever looks
  std::shared_ptr<fake_disk> disk = std::make_shared<fake_disk>();
  std::shared_ptr<directory> live = std::make_shared<directory>();
  testing::deterministic_system world;
  store_actor store = testing::spawn_fake_store(world.system(), disk);
  supervisor_actor supervisor =
      spawn_supervisor(world.system(), {store, live, [this] { return clock(); }, 100, 0, 0});
  gateway way_in{supervisor, live};
};

using counts = std::vector<std::int64_t>;

change_set move_one(const std::string& from, const std::string& to) {
  return {.commands = {add(from, -1), add(to, 1)}};
}

}  // namespace

TEST_CASE("a change set changes all its entities in one commit and answers in the order given") {
  node n;
  const auto before = n.disk->position;
  const auto done = n.execute(change_set{.commands = {add("c", 3), add("a", -1), add("b", -2)}});
  REQUIRE(done);
  CHECK(n.disk->position == before + 1);
  REQUIRE(done->answers.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(done->answers[i] == outcome{.revision = 2, .changed = true});
    CHECK(done->answers[i].durable);
    CHECK(done->answers[i].state->revision == 2);
  }
  CHECK(n.counts() == counts{9, 8, 13});
}

TEST_CASE("the first entity that refuses refuses the whole set and is named") {
  node n;
  const auto refused =
      n.execute(change_set{.commands = {add("c", 3), add("b", 1, 7), add("a", 1)}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::revision_conflict);
  CHECK(refused.error().current_revision == 1);
  CHECK(refused.error().path == "/changes/1");
  CHECK(refused.error().message.starts_with("default/session/b: "));
  CHECK(n.counts() == counts{10, 10, 10});
  CHECK(n.execute(add("a", 1))->revision == 2);  // nothing stays reserved
  CHECK(n.execute(add("c", 1))->revision == 2);
}

TEST_CASE("a set that cannot be is refused before anything is reserved") {
  node n;
  const auto code = [&](change_set what) { return n.execute(std::move(what)).error().code; };
  change_set nine;
  for (int i = 0; i < 9; ++i)
    nine.commands.push_back(add("s" + std::to_string(i), 1));
  CHECK(code({}) == errc::malformed);
  CHECK(code(nine) == errc::too_many_elements);
  CHECK(code({.commands = {add("a", 1), add("a", 2)}}) == errc::invalid_value);
  auto elsewhere = add("b", 1);
  elsewhere.entity.name_space = "other";
  CHECK(code({.commands = {add("a", 1), elsewhere}}) == errc::invalid_value);
  auto keyed = add("b", 1);
  keyed.once = idempotency{"p", "k", "h"};
  const auto refused = n.execute(change_set{.commands = {add("a", 1), keyed}});
  CHECK(refused.error().code == errc::invalid_value);
  CHECK(refused.error().path == "/changes/1/once");
}

TEST_CASE("an entity that is only named is read at the moment of the set and can refuse it") {
  node n;
  const auto changes = n.disk->changes[session_ref("b")].size();
  const auto done = n.execute(
      change_set{.commands = {add("a", 1), {.entity = session_ref("b"), .expected_revision = 1}}});
  REQUIRE(done);
  CHECK_FALSE(done->answers[1].changed);
  CHECK(done->answers[1].state->revision == 1);
  CHECK(n.disk->changes[session_ref("b")].size() == changes);
  REQUIRE(n.execute(add("b", 1)));
  CHECK(n.execute(change_set{.commands = {add("a", 1),
                                          {.entity = session_ref("b"), .expected_revision = 1}}})
            .error()
            .path
        == "/changes/1");
  CHECK(n.count("a") == 11);
}

TEST_CASE("nothing of a set is seen before its commit and what came behind it is decided upon it") {
  node n;
  n.disk->hold = true;
  const auto set = n.send(move_one("a", "b"));
  n.world.run();
  const auto behind = n.send(add("b", 5));
  n.world.run();
  CHECK_FALSE(set->has_value());
  CHECK(n.disk->held.size() == 1);
  CHECK(n.published("a") == 10);
  CHECK(n.published("b") == 10);
  n.release();
  CHECK(n.now(set));
  CHECK(n.published("a") == 9);
  CHECK(n.published("b") == 11);
  n.release();
  CHECK(n.now(behind)->revision == 3);
  CHECK(n.counts() == counts{9, 16, 10});
}

TEST_CASE("a set is decided upon changes that are still on their way") {
  node n;
  n.disk->hold = true;
  const auto first = n.send(add("a", 5));
  const auto set = n.send(change_set{.commands = {add("a", -1, 2), add("b", 1)}});
  n.world.run();
  CHECK(n.disk->held.size() == 2);
  n.release_all();
  CHECK(n.now(first));
  CHECK(n.now(set));
  CHECK(n.counts() == counts{14, 11, 10});
}

TEST_CASE("a set whose commit fails leaves every entity as it was and able to go on") {
  for (const auto code : {errc::store_failed, errc::store_full}) {
    node n;
    n.disk->fail = error{code, "planted"};
    CHECK(n.execute(move_one("a", "b")).error().code == code);
    CHECK(n.counts() == counts{10, 10, 10});
    CHECK(n.execute(add("a", 1))->revision == 2);
    CHECK(n.execute(add("b", 1))->revision == 2);
    CHECK(n.execute(move_one("b", "a")));
    CHECK(n.counts() == counts{12, 10, 10});
  }
}

TEST_CASE("an earlier change that fails on its way takes the set with it") {
  node n;
  n.disk->hold = true;
  const auto first = n.send(add("b", 5));
  const auto set = n.send(move_one("a", "b"));
  n.world.run();
  REQUIRE(n.disk->held.size() == 2);
  n.disk->fail = error{errc::store_failed, "planted"};
  n.release_all();
  CHECK(n.now(first).error().code == errc::store_failed);
  CHECK(n.now(set).error().code == errc::store_failed);
  n.disk->hold = false;
  CHECK(n.counts() == counts{10, 10, 10});
  CHECK(n.execute(move_one("a", "b")));
  CHECK(n.counts() == counts{9, 11, 10});
}

TEST_CASE("a refusal of a set waits for the changes it was decided upon") {
  node n;
  n.disk->hold = true;
  n.send(add("b", 5));
  const auto set = n.send(change_set{.commands = {add("a", 1), add("b", 1, 1)}});
  const auto seen = n.send(change_set{.commands = {{.entity = session_ref("b")}}});
  n.world.run();
  CHECK_FALSE(set->has_value());
  CHECK_FALSE(seen->has_value());
  n.release();
  CHECK(n.now(set).error().current_revision == 2);
  CHECK(n.now(seen)->answers[0].state->revision == 2);
  CHECK(n.disk->held.empty());
}

TEST_CASE("sets that cross wait for each other and never in a circle") {
  node n;
  std::vector<node::answer<change_set_result>> sets;
  const std::vector<std::string> ids{"a", "b", "c"};
  for (std::size_t i = 0; i < 30; ++i)
    sets.push_back(n.send(move_one(ids[i % 3], ids[(i + 1 + i / 3 % 2) % 3])));
  n.world.run();
  for (const auto& one : sets)
    CHECK(n.now(one));
  const auto all = n.counts();
  CHECK(all[0] + all[1] + all[2] == 30);
}

TEST_CASE("an unknown outcome ends all of a set's actors and the next ones read the truth") {
  for (const bool landed : {false, true}) {
    node n;
    n.disk->fail = error{errc::outcome_unknown, "planted"};
    n.disk->land_anyway = landed;
    CHECK(n.execute(move_one("a", "b")).error().code == errc::outcome_unknown);
    CHECK(n.live->find(session_ref("a")) == nullptr);
    CHECK(n.counts() == (landed ? counts{9, 11, 10} : counts{10, 10, 10}));
    CHECK(n.execute(move_one("a", "b")));
  }
}

TEST_CASE("an unknown outcome of a set does not disturb an entity that the set only read") {
  node n;
  n.disk->hold = true;
  const auto set = n.send(change_set{.commands = {add("a", 1), {.entity = session_ref("b")}}});
  n.world.run();
  const auto read = std::make_shared<std::optional<expected<state_snapshot>>>();
  n.way_in.send(host_read{{session_ref("b")}, node::into<state_snapshot>(read)});
  n.world.run();
  const auto loads = n.disk->loads;
  n.disk->fail = error{errc::outcome_unknown, "planted"};
  n.release();
  CHECK(n.now(set).error().code == errc::outcome_unknown);
  REQUIRE(n.now(read).has_value());
  CHECK(n.published("b") == 10);
  CHECK(n.disk->loads == loads);
}

TEST_CASE("the actor of a set that ends with its commit on its way leaves all of it or nothing") {
  for (const bool fails : {false, true}) {
    node n;
    n.disk->hold = true;
    const auto set = n.send(move_one("a", "b"));
    n.world.run();
    REQUIRE(n.disk->held.size() == 1);
    if (fails)
      n.disk->fail = error{errc::store_failed, "planted"};
    n.kill(n.disk->last_set);
    n.world.run();
    n.disk->hold = false;
    CHECK(n.now(set).error().code == errc::outcome_unknown);
    CHECK(n.counts() == (fails ? counts{10, 10, 10} : counts{9, 11, 10}));
    CHECK(n.execute(move_one("a", "b")));
  }
}

TEST_CASE("an entity that crashes while its set is committed comes back with the set") {
  node n;
  n.disk->hold = true;
  const auto set = n.send(move_one("a", "b"));
  n.world.run();
  REQUIRE(n.disk->held.size() == 1);
  const auto held = std::exchange(n.disk->held, {});  // the next load is too early to see it
  n.kill(n.disk->actors[session_ref("b")]);
  n.world.run();
  CHECK(n.count("b") == 10);
  n.disk->held = held;
  n.disk->hold = false;
  n.release_all();
  CHECK(n.now(set));
  CHECK(n.counts() == counts{9, 11, 10});
  CHECK(n.execute(add("b", 1))->revision == 3);
}

TEST_CASE(
    "an entity that was loaded behind a set keeps what it answered early and one before does not") {
  for (const std::uint64_t made : {1, 2}) {
    node n;
    auto early = add("a", 1);
    early.level = durability::memory;
    REQUIRE(n.execute(early)->revision == 2);
    compat::anon_send(n.supervisor, read_again{session_ref("a"), made});
    n.world.run();
    CHECK(n.count("a", true) == (made == 1 ? 11 : 10));
    CHECK(n.count("a") == 10);
  }
}

TEST_CASE("whoever crashes on the way of a set leaves all of it or nothing and nobody waiting") {
  int crashes = 0;
  for (int at = 1; at < 12; ++at) {
    node n;
    n.crash_at = at;
    const auto set = n.send(
        change_set{.commands = {add("a", -1), add("b", 1)}, .once = idempotency{"p", "k", "h"}});
    n.world.run();
    crashes += n.looked >= at ? 1 : 0;
    n.crash_at = 0;
    const auto answer = n.now(set);
    const auto after = n.counts();
    CHECK((after == counts{10, 10, 10} || after == counts{9, 11, 10}));
    if (answer)
      CHECK(after == counts{9, 11, 10});
    CHECK(n.execute(move_one("a", "b")));
    CHECK(n.execute(add("a", 1)));
  }
  CHECK(crashes >= 4);  // both entities and the set itself
}

TEST_CASE("a set's key gets one effect and the first answer even after a restart") {
  node n;
  const change_set keyed{.commands = {add("a", 1), {.entity = session_ref("b")}},
                         .once = idempotency{"p", "k", "h"}};
  const auto first = n.execute(keyed);
  REQUIRE(first);
  CHECK_FALSE(first->repeated);
  REQUIRE(n.execute(add("b", 1)));
  for (int i = 0; i < 2; ++i) {
    const auto again = n.execute(keyed);
    REQUIRE(again);
    CHECK(again->repeated);
    CHECK(again->answers[0] == static_cast<const outcome&>(first->answers[0]));
    CHECK_FALSE(again->answers[1].changed);
    CHECK(again->answers[1].revision == 2);
    n.sleep("a");
    n.world.run();
  }
  CHECK(n.count("a") == 11);
  auto other = keyed;
  other.once->body_hash = "another";
  const auto refused = n.execute(other);
  CHECK(refused.error().code == errc::idempotency_mismatch);
  CHECK(refused.error().path == "/changes/0");
}

TEST_CASE("a set behind the word to retire is done by the next actor") {
  node n;
  n.sleep("a");
  const auto set = n.send(move_one("a", "b"));
  n.world.run();
  CHECK(n.now(set));
  n.disk->hold = true;
  const auto held = n.send(move_one("a", "b"));
  n.world.run();
  n.sleep("b");
  n.world.run();
  const auto behind = n.send(move_one("b", "c"));
  n.world.run();
  CHECK_FALSE(held->has_value());
  n.release();
  CHECK(n.now(held));
  n.release();
  CHECK(n.now(behind));
  n.disk->hold = false;
  CHECK(n.counts() == counts{8, 11, 11});
}

TEST_CASE("a drain waits for a set whose commit is on its way and refuses the next") {
  node n;
  n.disk->hold = true;
  const auto set = n.send(move_one("a", "b"));
  n.world.run();
  const auto drained = n.drain_all();
  const auto late = n.send(move_one("a", "b"));
  n.world.run();
  CHECK_FALSE(*drained);
  CHECK(n.now(late).error().code == errc::draining);
  n.release();
  CHECK(n.now(set));
  CHECK(*drained);
}

TEST_CASE("a set that only removes goes on when the store is full") {
  node n;
  n.disk->hold = true;
  const auto set =
      n.send(change_set{.commands = {{.entity = session_ref("a"), .operations = {erase{}}},
                                     {.entity = session_ref("b"), .operations = {erase{}}}}});
  n.world.run();
  REQUIRE(n.disk->held.size() == 1);
  for (const auto& one : n.disk->held.front().first.changes)
    CHECK(one.frees);
  n.release();
  CHECK(n.now(set));
  CHECK(n.live->find(session_ref("a")) == nullptr);
}

TEST_CASE("a fork is not made over an entity whose deletion is on its way and fails") {
  for (const bool in_a_set : {false, true}) {
    node n;
    n.disk->hold = true;
    const command fork{.entity = session_ref("a"),
                       .operations = {fork_from{.parent = session_ref("b")}},
                       .expected_revision = {}};
    const auto gone = n.send(
        command{.entity = session_ref("a"), .operations = {erase{}}, .expected_revision = {}});
    const auto alone = in_a_set ? nullptr : n.send(fork);
    const auto set = in_a_set ? n.send(change_set{.commands = {fork, add("c", 1)}}) : nullptr;
    n.world.run();
    CHECK(n.disk->held.size() == 1);
    n.disk->fail = error{errc::store_failed, "planted"};
    n.release();
    n.disk->hold = false;
    n.release_all();
    CHECK(n.now(gone).error().code == errc::store_failed);
    CHECK((in_a_set ? n.now(set).error() : n.now(alone).error()).code == errc::already_exists);
    CHECK(n.counts() == counts{10, 10, 10});
  }
}

TEST_CASE("a set whose key stands on a change that is not on disk yet is refused until it is") {
  node n;
  n.disk->hold = true;
  auto early = add("a", 1);
  early.once = idempotency{"p", "k", "h"};
  early.level = durability::relaxed;
  const auto answered = n.send(early);
  const change_set same{.commands = {add("a", 1), add("b", 1)}, .once = early.once};
  const auto refused = n.send(same);
  n.world.run();
  CHECK(n.now(answered));
  CHECK(n.now(refused).error().code == errc::in_flight);
  n.disk->hold = false;
  n.release_all();
  CHECK(n.execute(same)->repeated);
  CHECK(n.counts() == counts{11, 10, 10});
}

TEST_CASE("sets are reserved in the order of their names whatever order they are given in") {
  node n;
  const auto first = n.send(change_set{.commands = {add("a", 1), add("b", 1), add("c", 1)}});
  const auto second = n.send(change_set{.commands = {add("c", 1), add("b", 1), add("a", 1)}});
  n.world.run();
  CHECK(n.now(first)->answers[0].revision == 2);
  CHECK(n.now(second)->answers[0].revision == 3);
}
