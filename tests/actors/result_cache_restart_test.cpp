// The cache over a restart: on CAF's test scheduler, with the real store.

#include <troupe/persistence/cache_store.hpp>

#include "result_cache_fixture.hpp"
#include "support/temp_directory.hpp"
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

/// A cache that is ended and started again, in a directory and on a clock that go on.
struct restarts {
  explicit restarts(result_cache_options given = {}) : options{std::move(given)} {}
  ~restarts() { kill(); }

  /// Everything is loaded when it returns.
  void start() {
    begin();
    w.actors.run();
  }
  /// Nothing is loaded yet.
  void begin() {
    auto opened = cache_store::open(dir.path(), {.map_bytes = 64 << 20, .detached = false});
    REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().message));
    store = spawn_cache_store(w.actors.system(), *std::move(opened), {.detached = false});
    auto how = options;
    how.store = store;
    how.now = [clock = w.clock] { return *clock; };
    if (how.shards == 0)
      how.shards = 1;
    w.held = spawn_result_cache(w.actors.system(), how);
  }
  /// What was not saved is lost.
  void kill() {
    w.stop();
    if (store)
      caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
    store = nullptr;
    w.actors.run();
  }
  void restart() {
    kill();
    start();
  }
  void drain() {
    auto out = no_answer<void>();
    w.held.drain(into(out));
    REQUIRE(w.answered(out));
  }

  cache_store_stats disk() {
    cache_store_stats out;
    w.actors.system().spawn([&](caf::event_based_actor* self) {
      compat::request(self, store, get_cache_store_stats{})
          .then([&](const cache_store_stats& x) { out = x; }, [](const caf::error&) {});
    });
    w.actors.run();
    return out;
  }

  temp_directory dir;
  result_cache_options options;
  cache_world w;
  cache_store_actor store;
};

}  // namespace

TEST_CASE("entries come back with the time that remains and all that is known of them") {
  restarts r;
  r.start();
  CHECK(r.w.held.stats().saving);
  const cache_content content{.output = std::string(3'000, 'x'),
                              .request = value::map({{"q", 1}}),
                              .agent = "a",
                              .owner = "o",
                              .content_hash = "h",
                              .tags = {"t", "u"}};
  REQUIRE(r.w.set({id_of(1), content, 10s}));
  REQUIRE(r.w.put(2));
  REQUIRE(r.w.put(3, 1500ms));
  CHECK(r.w.held.stats().unsaved == 3);
  const auto before = r.w.held.inspect(id_of(1));
  r.w.elapse(1'000);
  CHECK(r.w.held.stats().unsaved == 0);
  r.kill();
  r.w.clock->ms += 1'000;
  r.start();
  CHECK(!r.w.held.stats().loading);
  CHECK(r.w.held.inspect(id_of(1)) == before);
  CHECK(r.w.get(2) == value{2});
  CHECK(!r.w.get(3));
  CHECK(r.w.invalidate(by_label(cache_label::tag, "u")) == 1);
  r.w.clock->ms = before->expires_at->ms;
  CHECK(!r.w.has(1));
  CHECK(r.w.has(2));
}

TEST_CASE("an end without warning loses what was written since the last save and no more") {
  restarts r{{.save_interval = 500ms}};
  r.start();
  REQUIRE(r.w.put(1));
  r.w.elapse(499);
  REQUIRE(r.w.put(2));
  r.w.elapse(1);  // half a second after the first of them: both go
  REQUIRE(r.w.put(3));
  r.w.elapse(499);
  r.restart();
  CHECK(r.w.has(1));
  CHECK(r.w.has(2));
  CHECK(!r.w.has(3));
}

TEST_CASE("a drained cache lost nothing and eviction goes on in the order of writing") {
  restarts r{{.limits = {.max_entries = 5}}};
  r.start();
  for (std::uint64_t n = 0; n < 8; ++n)
    REQUIRE(r.w.put(n));
  r.w.elapse(500);  // the order is that of the saves
  REQUIRE(r.w.put(4));
  r.drain();
  r.restart();
  CHECK(r.w.held.stats().entries == 5);
  REQUIRE(r.w.put(10));
  CHECK(!r.w.has(3));
  REQUIRE(r.w.put(11));
  CHECK(!r.w.has(5));
  CHECK((r.w.has(4) && r.w.has(6) && r.w.has(7)));
}

TEST_CASE("limits hold while a cache is loaded and what no longer fits leaves the disk") {
  restarts r{{.limits = {.max_entries = 100}}};
  r.start();
  for (std::uint64_t n = 0; n < 100; ++n)
    REQUIRE(r.w.put(n));
  r.drain();
  r.options.limits.max_entries = 10;
  r.options.shards = 2;
  r.options.quotas = {{"default", {.max_entries = 8, .max_bytes = 1 << 20}}};
  r.restart();
  CHECK(r.w.held.stats().entries <= 8);
  CHECK(r.w.has(99));
  r.drain();
  r.options = {};
  r.restart();
  CHECK(r.w.held.stats().entries <= 8);
  CHECK(r.w.has(99));
}

TEST_CASE("what was evicted or expired or overwritten or removed does not come back") {
  restarts r{{.limits = {.max_entries = 4}, .sweep_interval = 100ms}};
  r.start();
  REQUIRE(r.w.put(1));
  REQUIRE(r.w.set({id_of(2), {.output = "old"}}));
  REQUIRE(r.w.put(3, 5s));
  REQUIRE(r.w.put(4));
  r.w.elapse(1'000);
  REQUIRE(r.w.set({id_of(2), {.output = "new"}}));
  REQUIRE(r.w.put(5));  // 1 goes
  CHECK(r.w.invalidate(by_key(4)) == 1);
  r.w.elapse(5'000);
  r.w.elapse(1'000);
  r.restart();
  CHECK(r.w.held.stats().entries == 2);
  CHECK(r.w.get(2) == value{"new"});
  CHECK(r.w.get(5) == value{5});
}

TEST_CASE("an invalidation that was answered holds after a kill at that moment") {
  restarts r{{.shards = 4}};
  r.start();
  for (std::uint64_t n = 0; n < 3'000; ++n)
    r.w.held.set({id_of(n), {.output = n, .agent = "a", .tags = {n % 2 == 0 ? "even" : "odd"}}},
                 [](const expected<void>& done) { REQUIRE(done); });
  r.drain();
  r.restart();
  REQUIRE(r.w.held.stats().entries == 3'000);
  CHECK(r.w.invalidate(by_key(1)) == 1);
  r.restart();
  CHECK(!r.w.has(1));
  CHECK(r.w.invalidate(by_label(cache_label::tag, "even")) == 1'500);
  r.restart();
  CHECK(r.w.held.stats().entries == 1'499);
  CHECK(r.w.invalidate(all_of()) == 1'499);
  r.restart();
  CHECK(r.w.held.stats().entries == 0);
}

TEST_CASE("what is invalidated or written while a cache is loaded is not undone by what comes in") {
  restarts r;
  r.start();
  for (std::uint64_t n = 0; n < 2'000; ++n)
    r.w.held.set({id_of(n), {.output = n, .tags = {n < 1'000 ? "low" : "high"}}},
                 [](const expected<void>& done) { REQUIRE(done); });
  r.drain();
  r.kill();
  r.begin();
  auto low = no_answer<invalidated>(), one = no_answer<invalidated>();
  r.w.held.invalidate(by_label(cache_label::tag, "low"), into(low));
  r.w.held.invalidate(by_key(1'500), into(one));
  r.w.held.set({id_of(1'600), {.output = "new"}}, [](const expected<void>& x) { REQUIRE(x); });
  r.w.held.set({id_of(3), {.output = "after"}}, [](const expected<void>& x) { REQUIRE(x); });
  CHECK(r.w.answered(low).value().count == 1'000 - 1);  // 3 was written anew
  CHECK(r.w.answered(one).value().count == 1);
  CHECK(!r.w.held.stats().loading);
  CHECK(r.w.held.stats().entries == 1'000);
  CHECK(r.w.get(1'600) == value{"new"});
  CHECK(r.w.get(3) == value{"after"});
  r.w.elapse(1'000);
  r.restart();
  CHECK(r.w.held.stats().entries == 1'000);
  CHECK(r.w.get(1'600) == value{"new"});
  CHECK(r.w.get(3) == value{"after"});
  CHECK(!r.w.has(1'500));
}

TEST_CASE("what is removed as a whole while a cache is loaded stays away") {
  restarts r;
  r.start();
  for (std::uint64_t n = 0; n < 2'000; ++n)
    r.w.held.set({id_of(n, n % 2 == 0 ? "a" : "b"), {.output = n}}, [](const expected<void>&) {});
  r.drain();
  r.kill();
  r.begin();
  auto out = no_answer<invalidated>();
  r.w.held.invalidate(all_of("a"), into(out));
  CHECK(r.w.answered(out).value().count == 1'000);
  CHECK(r.w.held.stats("a").entries == 0);
  CHECK(r.w.held.stats("b").entries == 1'000);
  r.restart();
  CHECK(r.w.held.stats("a").entries == 0);
  CHECK(r.w.held.stats("b").entries == 1'000);
}

TEST_CASE("what is removed as a whole halfway through a load stays away however threads meet") {
  temp_directory dir;
  constexpr std::size_t count = 12'000;
  const auto with_cache = [&](auto use) {
    caf::actor_system_config config;
    init_messages();
    config.set("caf.scheduler.policy", "sharing");
    config.set("caf.scheduler.max-threads", 2u);
    caf::actor_system system{config};
    auto opened = cache_store::open(dir.path(), {.map_bytes = 64 << 20});
    REQUIRE(opened);
    const auto store = spawn_cache_store(system, *std::move(opened));
    const auto held = spawn_result_cache(system, {.shards = 2, .store = store});
    use(held);
    held.close();
    caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
    caf::scoped_actor {
      system
    } -> wait_for(store);
  };
  with_cache([&](const result_cache& held) {
    for (std::uint64_t n = 0; n < count; ++n)
      held.set({id_of(n), {.output = n}}, [](const expected<void>&) {});
  });
  with_cache([&](const result_cache& held) {
    while (held.stats().entries < count / 2)
      std::this_thread::yield();
    const auto went = held.invalidate(all_of());
    REQUIRE(went);
    CHECK(went->count == count);
    CHECK(held.stats().entries == 0);
  });
  with_cache([&](const result_cache& held) {
    while (held.stats().loading)
      std::this_thread::yield();
    CHECK(held.stats().entries == 0);
  });
}

TEST_CASE("an entry written and removed while a cache is loaded takes what disk had with it") {
  restarts r;
  r.start();
  for (std::uint64_t n = 0; n < 500; ++n)
    REQUIRE(r.w.set({id_of(n), {.output = "old"}}));
  r.drain();
  r.kill();
  r.begin();
  r.w.held.set({id_of(400), {.output = "new"}}, [](const expected<void>& x) { REQUIRE(x); });
  auto out = no_answer<invalidated>();
  r.w.held.invalidate(by_key(400), into(out));
  CHECK(r.w.answered(out).value().count == 1);
  CHECK(!r.w.has(400));
  r.restart();
  CHECK(!r.w.has(400));
  CHECK(r.w.held.stats().entries == 499);
}

TEST_CASE("entries that come and go between two saves are never written") {
  restarts r{{.limits = {.max_entries = 10}}};
  r.start();
  for (std::uint64_t n = 0; n < 5'000; ++n)
    r.w.held.set({id_of(n), {.output = std::string(2'000, 'x')}}, [](const expected<void>&) {});
  r.w.actors.run();
  CHECK(r.w.held.stats().unsaved == 10);
  r.w.elapse(500);
  CHECK(r.disk().commits == 1);
  CHECK(r.w.held.stats().unsaved == 0);
  r.restart();
  CHECK(r.w.held.stats().entries == 10);
}

TEST_CASE("a store that is damaged costs its entries and nothing else") {
  restarts r;
  r.start();
  REQUIRE(r.w.put(1));
  r.drain();
  r.kill();
  std::filesystem::resize_file(r.dir.path() / "cache" / "data.mdb", 5'000);
  r.start();
  CHECK(!r.w.has(1));
  CHECK(r.disk().resets == 1);
  REQUIRE(r.w.put(2));
  r.drain();
  r.restart();
  CHECK(r.w.has(2));
}

TEST_CASE("a store that ends takes saving with it and an invalidation says what may come back") {
  restarts r;
  r.start();
  REQUIRE(r.w.put(1));
  r.w.elapse(1'000);
  caf::anon_send_exit(r.store, caf::exit_reason::user_shutdown);
  r.store = nullptr;
  r.w.actors.run();
  auto out = no_answer<invalidated>();
  r.w.held.invalidate(by_key(1), into(out));
  CHECK(r.w.answered(out).error().code == errc::store_failed);
  CHECK(!r.w.has(1));
  CHECK(!r.w.held.stats().saving);
  REQUIRE(r.w.put(2));
  CHECK(r.w.get(2) == value{2});
  auto again = no_answer<invalidated>();
  r.w.held.invalidate(by_key(2), into(again));
  CHECK(r.w.answered(again).error().code == errc::store_failed);
  CHECK(!r.w.has(2));
}
