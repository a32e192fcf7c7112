#include <troupe/actors/cleaner.hpp>

#include "support/memory_node.hpp"
#include "support/printing.hpp"
#include <doctest/doctest.h>

#include <algorithm>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

/// A node whose sessions sleep after a second without use, and a cleaner.
struct node : memory_node {
  explicit node(std::optional<cleanup_policy> policy = {}, bool spare_awake = true)
      : memory_node{100, 1'000},
        cleaner{spawn_cleaner(world.system(), {store, supervisor, live, [this] { return clock; },
                                               spare_awake, std::move(policy)})} {}
  ~node() {
    caf::anon_send_exit(caf::actor_cast<caf::actor>(cleaner), caf::exit_reason::user_shutdown);
    world.run();
  }

  void create_session(const std::string& id, std::uint64_t ttl_ms = 0) {
    REQUIRE(execute(id, create{.info = {.ttl_ms = ttl_ms}}));
  }
  /// Time passes and what is idle goes to sleep.
  void pass(std::chrono::milliseconds by) {
    clock.ms += by.count();
    look();
  }
  cleanup_report clean(cleanup what, bool everything = false) {
    std::optional<expected<cleanup_report>> out;
    compat::anon_send(cleaner,
                      host_cleanup{std::move(what), everything,
                                   completion<cleanup_report>{[&out](const auto& x) { out = x; }}});
    world.run();
    REQUIRE(out.has_value());
    REQUIRE(out->has_value());
    return **out;
  }
  bool is_there(const std::string& id) {
    const bool out = read(id).live();
    pass(1'000ms);
    return out;
  }

  cleaner_actor cleaner;
};

const cleanup after_an_hour{.max_age = 1h};

}  // namespace

TEST_CASE("of one tag only what has it goes") {
  node n;
  n.create_session("plain", 1'000);
  REQUIRE(n.execute("tagged", create{.info = {.ttl_ms = 1'000, .tags = {"a", "b"}}}));
  n.pass(1h);
  CHECK(n.clean({.tag = "c"}) == cleanup_report{});
  CHECK(n.clean({.tag = "b"}) == cleanup_report{.looked_at = 1, .deleted = 1});
  CHECK(n.is_there("plain"));
  CHECK_FALSE(n.is_there("tagged"));
}

TEST_CASE("what was not changed for so long goes and the rest stays") {
  node n;
  n.create_session("old");
  n.pass(30min);
  n.create_session("young");
  n.pass(30min);
  CHECK(n.clean(after_an_hour) == cleanup_report{.looked_at = 2, .deleted = 1});
  CHECK_FALSE(n.is_there("old"));
  CHECK(n.is_there("young"));
  CHECK(n.execute("old", create{})->revision == 3);  // the deletion was a change like any other
}

TEST_CASE("an entity with a ttl of its own goes by that") {
  node n;
  n.create_session("short", 60'000);
  n.create_session("long", 7'200'000);
  n.create_session("none");
  n.pass(1h);
  CHECK(n.clean({}) == cleanup_report{.looked_at = 3, .deleted = 1});
  CHECK_FALSE(n.is_there("short"));
  CHECK(n.clean(after_an_hour) == cleanup_report{.looked_at = 2, .deleted = 1});
  CHECK(n.is_there("long"));
}

TEST_CASE("what was changed since the walk saw it is spared") {
  node n{{}, false};
  n.create_session("old");
  n.pass(2h);
  REQUIRE(n.execute({.entity = session_ref("old"),  // in memory; the disk has not seen it
                     .operations = {append_items{{value::map({{"n", 1}})}}},
                     .expected_revision = {},
                     .level = durability::memory}));
  CHECK(n.clean(after_an_hour) == cleanup_report{.looked_at = 1, .changed = 1});
  CHECK(n.is_there("old"));
}

TEST_CASE("nothing that is awake is cleaned up and nothing wakes but what goes") {
  node n;
  n.create_session("read");
  n.create_session("asleep");
  n.pass(2h);
  CHECK(n.live->size() == 0);
  n.read("read");
  CHECK(n.clean(after_an_hour) == cleanup_report{.looked_at = 2, .deleted = 1, .awake = 1});
  CHECK(n.live->size() == 1);
  CHECK(n.is_there("read"));
}

TEST_CASE("the ancestor of a live fork stays until the fork is gone") {
  node n;
  n.create_session("parent");
  REQUIRE(n.execute("fork", fork_from{.parent = session_ref("parent")}));
  n.pass(2h);
  REQUIRE(n.execute("fork", append_items{{value::map({{"n", 1}})}}));
  n.pass(2s);
  CHECK(n.clean(after_an_hour) == cleanup_report{.looked_at = 2, .forked = 1});
  CHECK(n.is_there("parent"));
  REQUIRE(n.execute("fork", erase{}));
  n.pass(2s);
  CHECK(n.clean(after_an_hour) == cleanup_report{.looked_at = 1, .deleted = 1});
}

TEST_CASE("only the namespace and the kinds that were named are walked") {
  node n;
  n.create_session("mine");
  for (const auto& ref : {entity_ref{"other", entity_kind::session, "theirs"},
                          entity_ref{"default", entity_kind::team, "team"}})
    REQUIRE(n.execute({.entity = ref, .operations = {create{}}, .expected_revision = {}}));
  n.pass(2h);
  CHECK(n.clean(after_an_hour).deleted == 1);
  CHECK(n.clean({.kinds = {entity_kind::workflow, entity_kind::team}, .max_age = 1h}).deleted == 1);
  CHECK(n.clean({.name_space = "other", .max_age = 1h}).deleted == 1);
}

TEST_CASE("a walk of more entities than one slice reads deletes each once") {
  node n;
  constexpr int many = 2'500;
  for (int i = 0; i < many; ++i)
    n.send({.entity = session_ref("s" + std::to_string(i)),
            .operations = {create{}},
            .expected_revision = {}});
  n.world.run();
  n.pass(2h);
  CHECK(n.clean(after_an_hour) == cleanup_report{.looked_at = many, .deleted = many});
  CHECK(n.clean(after_an_hour) == cleanup_report{});
}

TEST_CASE("clearing a namespace spares nobody") {
  node n;
  n.create_session("parent");
  REQUIRE(n.execute("fork", fork_from{.parent = session_ref("parent")}));
  CHECK(n.clean({}, true) == cleanup_report{.looked_at = 2, .deleted = 2});
  CHECK_FALSE(n.is_there("fork"));
}

TEST_CASE("nothing goes by itself without a policy") {
  node n;
  n.create_session("old", 1);
  n.pass(24h);
  n.world.advance(24h);
  CHECK(n.is_there("old"));
}

TEST_CASE("a policy cleans up each time it is due") {
  node n{cleanup_policy{.what = after_an_hour, .every = 10min}};
  for (int round = 0; round < 3; ++round) {
    n.create_session("old");
    n.pass(2h);
    n.world.advance(9min);
    CHECK(n.is_there("old"));
    n.world.advance(1min);
    CHECK_FALSE(n.is_there("old"));
  }
}
