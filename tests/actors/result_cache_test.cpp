#include "result_cache_fixture.hpp"
#include "support/allocations.hpp"

#include <random>
#include <string>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

cache_limits entries(std::size_t count) {
  return {.max_entries = count, .max_bytes = 1 << 30};
}

value text_of_size(std::size_t size, char fill = 'x') {
  return std::string(size, fill);
}

/// Bytes that do not compress.
value noise_of_size(std::size_t size) {
  std::mt19937_64 random{7};
  std::string out(size, '\0');
  for (auto& c : out)
    c = static_cast<char>(random());
  return value::binary(out);
}

}  // namespace

// Time -------------------------------------------------------------------------------------------

TEST_CASE("an entry is a hit up to the last millisecond and a miss from then on") {
  cache_world w;
  REQUIRE(w.put(1, 100ms));
  w.elapse(99);
  CHECK(w.get(1) == value{1});
  w.elapse(1);
  CHECK(!w.get(1));
}

TEST_CASE("a hit does not prolong an entry and counts as its last access") {
  cache_world w;
  REQUIRE(w.put(1, 100ms));
  w.elapse(60);
  CHECK(w.get(1));
  const auto x = w.held.inspect(id_of(1)).value();
  CHECK(x.access_count == 1);
  CHECK(x.last_accessed == w.now());
  w.elapse(60);
  CHECK(!w.get(1));
}

TEST_CASE(
    "hits at several times and of several namespaces are each counted where and when they were") {
  cache_world w;
  for (const auto* of : {"one", "two"})
    for (std::uint64_t n = 1; n <= 3; ++n)
      REQUIRE(w.put(n, {}, of));
  const auto start = w.now().ms;
  w.elapse(10);
  CHECK(w.get(1, "one"));
  w.elapse(10);
  CHECK(w.get(2, "one"));
  CHECK(w.get(2, "two"));  // their entries stand in the same places
  w.elapse(10);
  CHECK(w.get(3, "two"));
  CHECK(w.get(1, "one"));
  const auto seen = [&](std::uint64_t n, const char* of) {
    const auto x = w.held.inspect(id_of(n, of)).value();
    return std::pair{x.access_count, x.last_accessed.ms - start};
  };
  CHECK(seen(1, "one") == std::pair<std::uint64_t, std::int64_t>{2, 30});
  CHECK(seen(2, "one") == std::pair<std::uint64_t, std::int64_t>{1, 20});
  CHECK(seen(3, "one") == std::pair<std::uint64_t, std::int64_t>{0, 0});
  CHECK(seen(1, "two") == std::pair<std::uint64_t, std::int64_t>{0, 0});
  CHECK(seen(2, "two") == std::pair<std::uint64_t, std::int64_t>{1, 20});
  CHECK(seen(3, "two") == std::pair<std::uint64_t, std::int64_t>{1, 30});
}

TEST_CASE("an entry without a time to live takes the default and the longest means for ever") {
  cache_world w{{.default_ttl = 50ms}};
  REQUIRE(w.put(1));
  REQUIRE(w.put(2, std::chrono::milliseconds::max()));
  w.elapse(50);
  CHECK(!w.get(1));
  CHECK(w.get(2));
  CHECK(!w.held.inspect(id_of(2))->expires_at);
}

TEST_CASE("a set replaces wholly and begins counts and time again") {
  cache_world w;
  REQUIRE(w.set({id_of(1), {.output = "old", .agent = "a", .tags = {"t"}}, 100ms}));
  w.elapse(90);
  CHECK(w.get(1));
  REQUIRE(w.set({id_of(1), {.output = "new"}, 100ms}));
  w.elapse(90);
  const auto x = w.held.inspect(id_of(1)).value();
  CHECK(x.content == cache_content{.output = "new"});
  CHECK(x.access_count == 0);
  CHECK(w.invalidate(by_label(cache_label::tag, "t")) == 0);
}

TEST_CASE("what expired is dropped by the timer in slices and nobody has to ask for it") {
  cache_world w{{.limits = entries(10'000), .sweep_interval = 1s}};
  for (std::uint64_t n = 0; n < 3'500; ++n)
    REQUIRE(w.put(n, n < 3'000 ? std::optional{500ms} : std::nullopt));
  w.clock->ms += 500;
  CHECK(w.held.stats().entries == 3'500);
  w.elapse(1'000);
  CHECK(w.held.stats().entries == 500);
  CHECK(w.held.stats().expirations == 3'000);
  CHECK(w.held.stats().evictions() == 0);
}

// Room -------------------------------------------------------------------------------------------

TEST_CASE("hits that were only noted decide who goes however many they are") {
  cache_world w{{.limits = entries(3)}};
  for (const std::uint64_t n : {1, 2, 3})
    REQUIRE(w.put(n));
  for (int i = 0; i < 1'000; ++i) {  // more than are noted at once
    CHECK(w.get(2));
    CHECK(w.get(1));
  }
  REQUIRE(w.put(4));
  CHECK(!w.has(3));
  REQUIRE(w.put(5));
  CHECK(!w.has(2));
  CHECK((w.has(1) && w.has(4) && w.has(5)));
  const auto s = w.held.stats();
  CHECK(s.hits == 2'000);
  CHECK(s.evicted_for_entries == 2);
  CHECK(s.evicted_for_bytes + s.evicted_for_quota == 0);
}

TEST_CASE("evictions for bytes are told apart and an entry larger than the cache is refused") {
  cache_world w{{.limits = {.max_entries = 100, .max_bytes = 4'000}}};
  for (const std::uint64_t n : {1, 2, 3})
    REQUIRE(w.set({id_of(n), {.output = text_of_size(1'500)}}));
  CHECK(w.held.stats().evicted_for_bytes == 1);
  CHECK(!w.has(1));
  const auto refused = w.set({id_of(4), {.output = text_of_size(4'000)}});
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::too_large);
  CHECK((w.has(2) && w.has(3)));
}

TEST_CASE("an entry is refused for its tags and labels and its time to live and its namespace") {
  cache_world w;
  const auto fault = [&](set_cached request) {
    const auto done = w.set(std::move(request));
    return done ? errc{} : done.error().code;
  };
  CHECK(fault({id_of(1), {.tags = std::vector<std::string>(65, "t")}}) == errc::too_many_elements);
  CHECK(fault({id_of(1), {.tags = {std::string(1'025, 't')}}}) == errc::too_large);
  CHECK(fault({id_of(1), {.agent = std::string(1'025, 'a')}}) == errc::too_large);
  CHECK(fault({id_of(1), {}, 0ms}) == errc::invalid_value);
  CHECK(fault({id_of(1, ""), {}}) == errc::bad_id);
  CHECK(w.held.stats().entries == 0);
  CHECK(w.held.stats().name_spaces == 0);
}

TEST_CASE("a large output is kept compressed and comes back as it was") {
  cache_world w{{.compress_from = 1'000}};
  const auto large = text_of_size(100'000), noise = noise_of_size(100'000);
  REQUIRE(w.set({id_of(1), {.output = large}}));
  CHECK(w.held.stats().bytes < 10'000);
  REQUIRE(w.set({id_of(2), {.output = noise}}));
  CHECK(w.held.stats().bytes > 100'000);
  CHECK(w.get(1) == large);
  CHECK(w.get(2) == noise);
  CHECK(w.held.inspect(id_of(1))->content.output == large);
  cache_world plain{{.compress_from = 0}};
  REQUIRE(plain.set({id_of(1), {.output = large}}));
  CHECK(plain.held.stats().bytes > 100'000);
}

TEST_CASE("a hit allocates nothing and a miss neither") {
  cache_world w;
  REQUIRE(w.put(1));
  const auto here = id_of(1), gone = id_of(2), elsewhere = id_of(1, "other");
  const allocation_watch watch;
  for (int i = 0; i < 600; ++i) {
    (void)w.held.get(here);
    (void)w.held.get(gone);
    (void)w.held.get(elsewhere);
  }
  CHECK(watch.count() == 0);
}

TEST_CASE("an entry takes at most 250 bytes beside its output under both policies") {
  for (const auto policy : {cache_policy::lru, cache_policy::s3_fifo}) {
    cache_world w{{.limits = entries(20'000), .policy = policy}};
    for (std::uint64_t n = 0; n < 40'000; ++n)  // twice as many: ghosts are paid for, too
      w.held.set({id_of(n), {.output = noise_of_size(100)}, 1h}, [](const expected<void>&) {});
    w.actors.run();
    const auto s = w.held.stats();
    REQUIRE(s.entries == 20'000);
    const auto beside = (s.memory - 20'000 * 102) / 20'000;
    MESSAGE("bytes beside the output: " << beside);
    CHECK(beside <= 250);
    CHECK(beside >= 128);
  }
}

// Invalidation -----------------------------------------------------------------------------------

TEST_CASE("an invalidation removes what it names and says how many went") {
  cache_world w;
  const auto put = [&](std::uint64_t n, cache_content content) {
    REQUIRE(w.set({id_of(n), std::move(content)}));
  };
  put(1, {.agent = "x", .owner = "ann", .tags = {"a", "b"}});
  put(2, {.agent = "y", .content_hash = "h", .tags = {"b"}});
  put(3, {.agent = "x"});
  put(4, {.agent = "z"});
  CHECK(w.invalidate(by_key(9)) == 0);
  CHECK(w.invalidate(by_label(cache_label::tag, "")) == 0);
  CHECK(w.invalidate(by_label(cache_label::content_hash, "h")) == 1);
  CHECK(w.invalidate(by_label(cache_label::tag, "b")) == 1);
  CHECK(w.invalidate(by_label(cache_label::owner, "ann")) == 0);
  CHECK(w.invalidate(by_label(cache_label::agent, "x")) == 1);
  CHECK(w.invalidate(by_key(4)) == 1);
  CHECK(w.held.stats().entries == 0);
  CHECK(w.held.stats().invalidations == 4);
}

TEST_CASE("thousands of entries with one tag go in slices over all shards and are counted") {
  cache_world w{{.limits = entries(100'000), .shards = 4}};
  for (std::uint64_t n = 0; n < 9'000; ++n)
    w.held.set({id_of(n), {.output = n, .tags = {n % 3 == 0 ? "third" : "rest"}}},
               [](const expected<void>& done) { REQUIRE(done); });
  w.actors.run();
  CHECK(w.invalidate(by_label(cache_label::tag, "rest")) == 6'000);
  CHECK(w.held.stats().entries == 3'000);
  CHECK(w.invalidate(all_of()) == 3'000);
  CHECK(w.held.stats().entries == 0);
  CHECK(w.held.stats().invalidations == 9'000);
  CHECK(w.held.stats().evictions() == 0);
}

TEST_CASE("invalidation by content can be switched off and says so") {
  cache_world w{{.content_invalidation = false}};
  REQUIRE(w.set({id_of(1), {.output = 1, .content_hash = "h"}}));
  CHECK(w.held.inspect(id_of(1))->content.content_hash.empty());
  auto out = no_answer<invalidated>();
  w.held.invalidate(by_label(cache_label::content_hash, "h"), into(out));
  CHECK(w.answered(out).error().code == errc::not_supported);
  CHECK(w.has(1));
}

// Isolation --------------------------------------------------------------------------------------

TEST_CASE("a result of one user or permission set or agent or namespace is given to no other") {
  cache_world w;
  const auto request = value::map({{"review", "a.cpp"}});
  const auto all = value::array({"/home", "/etc"}), some = value::array({"/home"});
  const std::vector<cache_key_parts> parts{
      {"default", "ann", "reviewer", request, all},  {"default", "bob", "reviewer", request, all},
      {"default", "ann", "reviewer", request, some}, {"default", "ann", "tester", request, all},
      {"other", "ann", "reviewer", request, all},    {"default", {}, "reviewer", request, all},
      {"default", "", "reviewer", request, all},     {"default", "ann", "reviewer", {}, all}};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (std::size_t j = i; j < parts.size(); ++j)
      CHECK(!w.held.get(make_cache_id(parts[j])));
    REQUIRE(w.set({make_cache_id(parts[i]), {.output = i}}));
  }
  for (std::size_t i = 0; i < parts.size(); ++i)
    CHECK(w.held.get(make_cache_id(parts[i])) == value{i});
  auto stolen = make_cache_id(parts[0]);
  stolen.name_space = "other";
  CHECK(!w.held.get(stolen));
  CHECK(!w.held.inspect(stolen));
}

TEST_CASE("an invalidation leaves the same labels and keys of other namespaces alone") {
  cache_world w;
  for (const auto* name_space : {"a", "b"})
    for (const std::uint64_t n : {1, 2, 3})
      REQUIRE(w.set({id_of(n, name_space), {.output = n, .agent = "x", .tags = {"t"}}}));
  CHECK(w.invalidate(by_key(1, "a")) == 1);
  CHECK(w.invalidate(by_label(cache_label::tag, "t", "a")) == 2);
  CHECK(w.invalidate(all_of("c")) == 0);
  CHECK(w.held.stats("a").entries == 0);
  CHECK(w.held.stats("b").entries == 3);
  CHECK(w.held.stats().entries == 3);
}

TEST_CASE("a namespace at its quota gives its own entries and no others") {
  cache_world w{{.limits = entries(100), .quotas = {{"small", entries(5)}}}};
  for (std::uint64_t n = 0; n < 50; ++n)
    REQUIRE(w.put(n, {}, "large"));
  for (std::uint64_t n = 0; n < 50; ++n)
    REQUIRE(w.put(n, {}, "small"));
  CHECK(w.held.stats("small").entries == 5);
  CHECK(w.held.stats("small").evicted_for_quota == 45);
  CHECK(w.held.stats("large").entries == 50);
  CHECK(w.held.stats().evicted_for_entries == 0);
  CHECK(w.has(49, "small"));
  CHECK(!w.has(44, "small"));
}

TEST_CASE("where namespaces share a full cache the one that holds most gives") {
  cache_world w{{.limits = entries(100)}};
  for (std::uint64_t n = 0; n < 10; ++n)
    REQUIRE(w.put(n, {}, "small"));
  for (std::uint64_t n = 0; n < 500; ++n)
    REQUIRE(w.put(n, {}, "large"));
  CHECK(w.held.stats("small").entries == 10);
  CHECK(w.held.stats("large").entries == 90);
  for (std::uint64_t n = 10; n < 20; ++n)
    REQUIRE(w.put(n, {}, "small"));
  CHECK(w.held.stats("small").entries == 20);
  CHECK(w.held.stats().entries == 100);
  CHECK(w.held.stats().evicted_for_entries == 420);
}

TEST_CASE("what expired in one namespace makes room before anything live in another") {
  cache_world w{{.limits = entries(10)}};
  for (std::uint64_t n = 0; n < 3; ++n)
    REQUIRE(w.put(n, 10ms, "a"));
  for (std::uint64_t n = 0; n < 7; ++n)
    REQUIRE(w.put(n, {}, "b"));
  w.clock->ms += 10;
  for (std::uint64_t n = 0; n < 3; ++n)
    REQUIRE(w.put(n, {}, "c"));
  CHECK(w.held.stats().evictions() == 0);
  CHECK(w.held.stats("b").entries == 7);
  CHECK(w.held.stats("c").entries == 3);
}

TEST_CASE("one namespace more than may be is refused until another is empty") {
  cache_world w{{.limits = entries(100'000)}};
  for (std::uint64_t n = 0; n < 1'000; ++n)
    REQUIRE(w.put(1, {}, "n" + std::to_string(n)));
  CHECK(w.put(1, {}, "one-more").error().code == errc::quota_exceeded);
  CHECK(w.invalidate(all_of("n7")) == 1);
  CHECK(w.put(1, {}, "one-more"));
}

// Other actors, the end --------------------------------------------------------------------------

TEST_CASE("other actors set and get and compute and invalidate and count by messages") {
  cache_world w{{.shards = 4}};
  std::vector<std::string> seen;
  const auto actor = w.held.actor();
  const auto failed = [&](const caf::error& why) { seen.push_back(from_caf(why).message); };
  w.actors.system().spawn([&, actor](caf::event_based_actor* self) {
    compat::request(self, actor, set_cached{id_of(1), {.output = "one", .tags = {"t"}}})
        .then([&] { seen.emplace_back("set"); }, failed);
  });
  w.actors.run();
  w.actors.system().spawn([&, actor](caf::event_based_actor* self) {
    compat::request(self, actor, get_cached{id_of(1)})
        .then([&](const cached_output& x) { seen.push_back(x.output ? "hit" : "miss"); }, failed);
    compat::request(self, actor, get_cached{id_of(2)})
        .then([&](const cached_output& x) { seen.push_back(x.output ? "hit" : "miss"); }, failed);
  });
  w.actors.run();
  w.actors.system().spawn([&, actor](caf::event_based_actor* self) {
    compat::request(self, actor, compute_cached{id_of(3)})
        .then(
            [&](const compute_answer& x) {
              REQUIRE(x.turn);
              (*x.turn)(computed_result{{.output = "three"}});
            },
            failed);
  });
  w.actors.run();
  CHECK(w.get(3) == value{"three"});
  w.actors.system().spawn([&, actor](caf::event_based_actor* self) {
    compat::request(self, actor, by_label(cache_label::tag, "t"))
        .then([&](const invalidated& x) { seen.push_back(std::to_string(x.count)); }, failed);
    compat::request(self, actor, get_cache_stats{})
        .then(
            [&](const result_cache_stats& x) {
              CHECK(x.hits == 1 + 1);
              CHECK(x.misses == 1 + 1);
              CHECK(x.computations == 1);
            },
            failed);
  });
  w.actors.run();
  CHECK(seen == std::vector<std::string>{"set", "hit", "miss", "1"});
}

TEST_CASE("a drained cache refuses writes and goes on reading and an ended one finds nothing") {
  cache_world w;
  REQUIRE(w.put(1));
  auto out = no_answer<void>();
  w.held.drain(into(out));
  CHECK(w.answered(out));
  CHECK(w.put(2).error().code == errc::draining);
  CHECK(w.get(1) == value{1});
  w.held.end();
  w.actors.run();
  CHECK(!w.get(1));
  auto late = no_answer<void>();
  w.held.set({id_of(1), {}}, into(late));
  CHECK(w.answered(late).error().code == errc::outcome_unknown);
}
