#include <troupe/state/cache.hpp>
#include <troupe/state/internal/cache/flat_index.hpp>
#include <troupe/state/internal/cache/label_index.hpp>
#include <troupe/state/internal/cache/siphash.hpp>

#include "../support/allocations.hpp"
#include "../support/caches.hpp"
#include "../support/printing.hpp"
#include <doctest/doctest.h>

#include <iostream>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<cache<lru>>);
static_assert(std::is_nothrow_move_constructible_v<cache<s3_fifo>>);

namespace {

/// A cache and a clock; keys are numbers, the output of a key is its number.
template <class Policy>
struct shelf {
  explicit shelf(std::size_t entries, std::uint64_t bytes = 1 << 30)
      : held{{.max_entries = entries, .max_bytes = bytes}} {}

  expected<void> put(std::uint64_t n, std::optional<std::chrono::milliseconds> ttl = {}) {
    return held.set(key_of(n), {.output = n}, ttl, now);
  }
  bool hit(std::uint64_t n) { return held.get(key_of(n), now) == value{n}; }
  [[nodiscard]] bool has(std::uint64_t n) const { return held.peek(key_of(n), now).has_value(); }

  /// The numbers that are there, the next to go first.
  [[nodiscard]] std::vector<std::uint64_t> order() const {
    std::vector<std::uint64_t> out;
    held.for_each(now, [&](const saved_entry& x) {
      out.push_back(x.entry.content.output.view().as_uint64().value());
    });
    return out;
  }

  cache<Policy> held;
  timestamp now{1'000};
};

using numbers = std::vector<std::uint64_t>;

cache_content of_size(std::size_t size) {
  return {.output = value::binary(std::string(size - 5, 'x'))};  // five bytes of head above 64 KB
}

// doc:begin result-cache
/// The kept answer, or that of `ask`, which is then kept for an hour.
template <class Ask>
value answer(cache<s3_fifo>& results, const cache_key_parts& what, timestamp now, Ask&& ask) {
  const auto key = make_cache_key(what);
  if (auto kept = results.get(key, now))
    return *kept;
  const cache_content content{
      .output = ask(what.request), .agent = std::string{what.agent}, .tags = {"repository-7"}};
  if (auto done = results.set(key, content, 1h, now); !done)
    std::cerr << done.error().message << '\n';  // too large to keep, and good to use
  return content.output;
}
// doc:end result-cache

}  // namespace

TEST_CASE("the example of the documentation asks once and again after an invalidation") {
  cache<s3_fifo> results{{.max_entries = 1'000, .max_bytes = 64 << 20}};
  const auto request = value::map({{"review", "a.cpp"}});
  int asked = 0;
  const auto ask = [&](value_view) { return value{++asked}; };
  const cache_key_parts ann{"default", "ann", "reviewer", request, {}};
  const cache_key_parts bob{"default", "bob", "reviewer", request, {}};
  CHECK(answer(results, ann, {1'000}, ask) == value{1});
  CHECK(answer(results, ann, {2'000}, ask) == value{1});
  CHECK(answer(results, bob, {2'000}, ask) == value{2});
  CHECK(results.invalidate(cache_label::tag, "repository-7") == 2);
  CHECK(answer(results, ann, {3'000}, ask) == value{3});
}

// Eviction ---------------------------------------------------------------------------------------

TEST_CASE("the least recently used entry goes first and a hit makes an entry the last") {
  shelf<lru> s{3};
  for (const auto n : {1, 2, 3})
    REQUIRE(s.put(static_cast<std::uint64_t>(n)));
  CHECK(s.hit(1));
  REQUIRE(s.put(4));
  CHECK(s.order() == numbers{3, 1, 4});
  CHECK(s.held.stats().evictions == 1);
}

TEST_CASE_TEMPLATE("overwriting a key in a full cache evicts no other", Policy, lru, s3_fifo) {
  shelf<Policy> s{3};
  for (const auto n : {1, 2, 3})
    REQUIRE(s.put(static_cast<std::uint64_t>(n)));
  for (int i = 0; i < 10; ++i)
    REQUIRE(s.put(2));
  CHECK(s.held.stats().entries == 3);
  CHECK(s.held.stats().evictions == 0);
  CHECK((s.has(1) && s.has(2) && s.has(3)));
}

TEST_CASE_TEMPLATE("an entry that grows past the byte budget evicts others and never itself",
                   Policy, lru, s3_fifo) {
  const auto room = 3 * (cache_entry_overhead + 100'001);
  shelf<Policy> s{100, room};
  for (const std::uint64_t n : {1, 2, 3})
    REQUIRE(s.held.set(key_of(n), of_size(100'000), {}, s.now));
  CHECK(s.held.stats().entries == 3);
  REQUIRE(s.held.set(key_of(1), of_size(150'000), {}, s.now));
  CHECK(s.has(1));
  CHECK(s.held.stats().entries == 2);
  REQUIRE(s.held.set(key_of(1), of_size(room - cache_entry_overhead - 1), {}, s.now));
  CHECK(s.has(1));
  CHECK(s.held.stats().entries == 1);
  CHECK(s.held.stats().bytes == room);
}

TEST_CASE_TEMPLATE("an entry larger than the whole cache is refused and changes nothing", Policy,
                   lru, s3_fifo) {
  shelf<Policy> s{10, cache_entry_overhead + 100'001};
  REQUIRE(s.held.set(key_of(1), of_size(100'000), {}, s.now));
  const auto before = s.held.inspect(key_of(1), s.now);
  for (const std::uint64_t n : {1, 2}) {
    const auto refused = s.held.set(key_of(n), of_size(100'001), {}, s.now);
    REQUIRE(!refused);
    CHECK(refused.error().code == errc::too_large);
    CHECK(refused.error().limit == cache_entry_overhead + 100'001);
  }
  CHECK(s.held.inspect(key_of(1), s.now) == before);
  CHECK(s.held.stats().entries == 1);
}

TEST_CASE_TEMPLATE("a cache for no entries refuses every entry", Policy, lru, s3_fifo) {
  shelf<Policy> s{0};
  const auto refused = s.put(1);
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::too_large);
  CHECK(s.held.stats().entries == 0);
}

TEST_CASE(
    "what was asked for twice outlives a scan in S3-FIFO and not in a cache of the last used") {
  const auto after_a_scan = [](auto& s) {
    for (std::uint64_t n = 0; n < 100; ++n)
      REQUIRE(s.put(n));
    for (int i = 0; i < 2; ++i)
      for (std::uint64_t n = 0; n < 50; ++n)
        CHECK(s.hit(n));
    for (std::uint64_t n = 1'000; n < 1'400; ++n)
      REQUIRE(s.put(n));
    std::size_t left = 0;
    for (std::uint64_t n = 0; n < 50; ++n)
      left += s.has(n);
    return left;
  };
  shelf<lru> last_used{100};
  shelf<s3_fifo> fifo{100};
  CHECK(after_a_scan(last_used) == 0);
  CHECK(after_a_scan(fifo) == 50);
}

TEST_CASE("a key that comes back while its ghost is there is kept in the main queue") {
  shelf<s3_fifo> s{10};
  for (std::uint64_t n = 0; n < 11; ++n)
    REQUIRE(s.put(n));
  CHECK(!s.has(0));
  REQUIRE(s.put(0));
  std::vector<int> in_main;
  s.held.for_each(s.now, [&](const saved_entry& x) { in_main.push_back(x.standing >> 2); });
  CHECK(in_main == std::vector<int>{0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

TEST_CASE("one eviction of S3-FIFO spares at most 1000 entries") {
  shelf<s3_fifo> s{5'000};
  const auto count = [&](auto&& what) {
    std::size_t out = 0;
    s.held.for_each(s.now, [&](const saved_entry& x) { out += what(x.standing); });
    return out;
  };
  const auto in_main = [](std::uint8_t standing) { return standing >= 4; };
  for (std::uint64_t n = 0; n < 5'000; ++n) {
    REQUIRE(s.put(n));
    s.held.touch(key_of(n), 3, s.now);
  }
  REQUIRE(s.put(5'000));
  CHECK(count(in_main) == 1'000);
  CHECK(!s.has(1'000));  // asked for often and the next in the row
  for (std::uint64_t n = 5'001; n < 5'010; ++n)
    REQUIRE(s.put(n));
  CHECK(count(in_main) > 4'000);
  for (std::uint64_t n = 0; n < 5'010; ++n)
    s.held.touch(key_of(n), 3, s.now);
  const auto before = s.held.stats().evictions;
  REQUIRE(s.put(5'010));
  CHECK(s.held.stats().evictions == before + 1);
  // Promoted by this eviction, or one chance less than the three that all had.
  CHECK(count([](std::uint8_t standing) { return standing == 4 || standing == (4 | 2); }) == 1'000);
}

TEST_CASE("the hit ratio of S3-FIFO is above that of LRU on a skewed trace with scans") {
  const auto trace = zipf_with_scans(20'000, 300'000, 7);
  cache<lru> last_used{{.max_entries = 2'000}};
  cache<s3_fifo> fifo{{.max_entries = 2'000}};
  const auto of_lru = hit_ratio_of(last_used, trace), of_fifo = hit_ratio_of(fifo, trace);
  MESSAGE("hit ratio: lru " << of_lru << ", s3_fifo " << of_fifo);
  CHECK(of_fifo > of_lru + 0.02);
}

TEST_CASE_TEMPLATE("keys that differ in their last byte only are two keys", Policy, lru, s3_fifo) {
  shelf<Policy> s{10};
  auto twin = key_of(1);
  twin.digest.bytes.back() ^= 1;
  REQUIRE(s.put(1));
  CHECK(!s.held.get(twin, s.now));
  REQUIRE(s.held.set(twin, {.output = "twin"}, {}, s.now));
  CHECK(s.hit(1));
  CHECK(s.held.get(twin, s.now) == value{"twin"});
}

TEST_CASE("an entry costs its bytes and its labels and a fixed sum for each") {
  const cache_content content{
      .output = "four", .request = 1, .agent = "ann", .tags = {"t", "", "tag"}};
  CHECK(cache_cost({}) == 256 + 1 + 1);
  CHECK(cache_cost(content) == 256 + 5 + 1 + 3 * 112 + 3 + 1 + 3);
}

// Time -------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("an entry is a hit up to its last millisecond and a hit does not prolong it",
                   Policy, lru, s3_fifo) {
  shelf<Policy> s{10};
  REQUIRE(s.put(1, 100ms));
  s.now.ms += 99;
  CHECK(s.hit(1));
  s.now.ms += 1;
  CHECK(!s.has(1));
  CHECK(!s.held.inspect(key_of(1), s.now));
  CHECK(!s.held.touch(key_of(1), 1, s.now));
  CHECK(s.held.stats().entries == 1);
  CHECK(!s.hit(1));
  CHECK(s.held.stats().entries == 0);
  CHECK(s.held.stats().expirations == 1);
}

TEST_CASE_TEMPLATE("an expired entry goes before any live one and is no eviction", Policy, lru,
                   s3_fifo) {
  shelf<Policy> s{3};
  REQUIRE(s.put(1));
  REQUIRE(s.put(2, 50ms));
  REQUIRE(s.put(3));
  CHECK(s.hit(2));
  s.now.ms += 50;
  REQUIRE(s.put(4));
  CHECK((s.has(1) && s.has(3) && s.has(4)));
  CHECK(s.held.stats().evictions == 0);
  CHECK(s.held.stats().expirations == 1);
}

TEST_CASE("a time to live that is not positive is refused") {
  shelf<lru> s{3};
  REQUIRE(s.put(1));
  for (const auto ttl : {0ms, -1ms})
    CHECK(s.put(1, ttl).error().code == errc::invalid_value);
  CHECK(s.hit(1));
}

TEST_CASE("a time to live beyond the end of time is for ever") {
  shelf<lru> s{3};
  REQUIRE(s.put(1, std::chrono::milliseconds::max()));
  s.now.ms = std::numeric_limits<std::int64_t>::max();
  CHECK(s.hit(1));
  CHECK(!s.held.inspect(key_of(1), s.now)->expires_at);
}

TEST_CASE("a sweep drops what expired in the order of expiry and no more than asked") {
  shelf<lru> s{100};
  for (std::uint64_t n = 0; n < 50; ++n)
    REQUIRE(s.put(n, std::chrono::milliseconds{100 - n}));
  REQUIRE(s.put(50));
  s.now.ms += 90;
  CHECK(s.held.expire(s.now, 15) == 15);
  s.now.ms -= 90;  // what is still held tells which ones went
  for (std::uint64_t n = 0; n < 50; ++n)
    CHECK(s.has(n) == (n < 35));
  s.now.ms += 90;
  CHECK(s.held.expire(s.now, 1'000) == 25);
  CHECK(s.held.expire(s.now, 1'000) == 0);
  CHECK(s.held.stats().entries == 11);
  CHECK(s.held.stats().expirations == 40);
}

// Reading ----------------------------------------------------------------------------------------

TEST_CASE("a hit counts and moves the time of access while writing resets both") {
  shelf<lru> s{3};
  REQUIRE(s.put(1));
  s.now.ms += 5;
  CHECK(s.hit(1));
  CHECK(s.hit(1));
  auto x = s.held.inspect(key_of(1), s.now).value();
  CHECK(x.created == timestamp{1'000});
  CHECK(x.last_accessed == timestamp{1'005});
  CHECK(x.access_count == 2);
  s.now.ms += 5;
  REQUIRE(s.put(1));
  x = s.held.inspect(key_of(1), s.now).value();
  CHECK(x.created == timestamp{1'010});
  CHECK(x.last_accessed == timestamp{1'010});
  CHECK(x.access_count == 0);
}

TEST_CASE_TEMPLATE("looking leaves no trace and a touch tells it later", Policy, lru, s3_fifo) {
  shelf<Policy> s{3};
  for (const std::uint64_t n : {1, 2, 3})
    REQUIRE(s.put(n));
  const auto order = s.order();
  CHECK(s.held.peek(key_of(1), s.now) == value{1});
  CHECK(!s.held.peek(key_of(9), s.now));
  CHECK(s.order() == order);
  CHECK(s.held.stats().hits + s.held.stats().misses == 0);
  CHECK(s.held.touch(key_of(1), 7, s.now));
  CHECK(!s.held.touch(key_of(9), 2, s.now));
  s.held.count_misses(3);
  CHECK(s.held.stats().hits == 9);
  CHECK(s.held.stats().misses == 3);
  CHECK(s.held.stats().hit_ratio() == 0.75);
  CHECK(s.held.stats().average_access_count == doctest::Approx(7.0 / 3));
  REQUIRE(s.put(4));
  CHECK(s.has(1));
}

TEST_CASE("a touch from before the entry was written is only counted as a hit") {
  shelf<lru> s{2};
  REQUIRE(s.put(1));
  REQUIRE(s.put(2));
  CHECK(!s.held.touch(key_of(1), 5, timestamp{s.now.ms - 1}));
  CHECK(s.held.stats().hits == 5);
  CHECK(s.held.inspect(key_of(1), s.now)->access_count == 0);
  CHECK(s.order() == numbers{1, 2});
}

TEST_CASE("the count of accesses stops at its largest instead of starting again") {
  shelf<lru> s{2};
  REQUIRE(s.put(1));
  s.held.touch(key_of(1), std::numeric_limits<std::uint64_t>::max() / 2, s.now);
  s.held.touch(key_of(1), 1, s.now);
  CHECK(s.held.inspect(key_of(1), s.now)->access_count == UINT32_MAX);
  CHECK(s.held.stats().average_access_count == static_cast<double>(UINT32_MAX));
  CHECK(s.held.invalidate(key_of(1)));
  CHECK(s.held.stats().average_access_count == 0.0);
}

TEST_CASE("what a reader got is not changed by what happens to the cache") {
  std::optional<value> seen;
  {
    shelf<lru> s{2};
    REQUIRE(s.held.set(key_of(1), {.output = std::string(1'000, 'a')}, {}, s.now));
    seen = s.held.get(key_of(1), s.now);
    REQUIRE(s.held.set(key_of(1), {.output = std::string(1'000, 'b')}, {}, s.now));
  }
  CHECK(*seen == value{std::string(1'000, 'a')});
}

// Invalidation -----------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("a label removes the entries that carry it as that kind and no others", Policy,
                   lru, s3_fifo) {
  shelf<Policy> s{100};
  const auto put = [&](std::uint64_t n, cache_content content) {
    content.output = n;
    REQUIRE(s.held.set(key_of(n), content, {}, s.now));
  };
  put(1, {.agent = "x", .owner = "ann", .tags = {"a", "b", "a"}});
  put(2, {.agent = "y", .owner = "bob", .content_hash = "x", .tags = {"b"}});
  put(3, {.agent = "x", .tags = {"x"}});
  put(4, {});
  CHECK(s.held.invalidate(cache_label::tag, "none") == 0);
  for (const auto label :
       {cache_label::agent, cache_label::owner, cache_label::content_hash, cache_label::tag})
    CHECK(s.held.invalidate(label, "") == 0);
  CHECK(s.held.stats().entries == 4);
  CHECK(s.held.inspect(key_of(1), s.now)->content.tags == std::vector<std::string>{"a", "b"});
  CHECK(s.held.invalidate(cache_label::content_hash, "x") == 1);
  CHECK(!s.has(2));
  CHECK(s.held.invalidate(cache_label::tag, "b") == 1);
  CHECK(!s.has(1));
  CHECK(s.held.invalidate(cache_label::owner, "ann") == 0);
  CHECK(s.held.invalidate(cache_label::agent, "x") == 1);
  CHECK(s.held.clear() == 1);
  CHECK(s.held.stats().entries == 0);
  CHECK(s.held.stats().bytes == 0);
}

TEST_CASE("an overwritten entry carries only its new labels") {
  shelf<lru> s{10};
  REQUIRE(s.held.set(key_of(1), {.output = 1, .tags = {"old", "both"}}, {}, s.now));
  REQUIRE(s.held.set(key_of(1), {.output = 2, .tags = {"new", "both"}}, {}, s.now));
  CHECK(s.held.invalidate(cache_label::tag, "old") == 0);
  CHECK(s.held.invalidate(cache_label::tag, "both") == 1);
  CHECK(s.held.invalidate(cache_label::tag, "new") == 0);
}

TEST_CASE("a text that no entry carries any longer is not kept") {
  internal::label_index labels{1};
  const auto first = labels.attach(0, {.output = {}, .agent = "a", .tags = {"x", "y"}});
  const auto second = labels.attach(1, {.output = {}, .agent = "a", .tags = {"y", "a"}});
  CHECK(labels.size() == 4);
  labels.detach(first);
  CHECK(labels.size() == 3);
  labels.detach(second);
  CHECK(labels.size() == 0);
}

// Persistence ------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("what was saved comes back in the same order with its times and counts", Policy,
                   lru, s3_fifo) {
  shelf<Policy> s{20};
  for (std::uint64_t n = 0; n < 25; ++n)
    REQUIRE(s.put(n, n % 3 == 0 ? std::optional{std::chrono::milliseconds{10 + n}} : std::nullopt));
  for (std::uint64_t n = 0; n < 25; n += 2)
    s.held.get(key_of(n), s.now);
  std::vector<saved_entry> saved, again;
  s.held.for_each(s.now, [&](const saved_entry& x) { saved.push_back(x); });
  shelf<Policy> loaded{20};
  for (const auto& x : saved)
    CHECK(loaded.held.restore(x, s.now).value());
  loaded.held.for_each(s.now, [&](const saved_entry& x) { again.push_back(x); });
  CHECK((again == saved));
  CHECK(!loaded.held.restore(saved.front(), s.now).value());
}

TEST_CASE("loading more than fits keeps the limits and what was used last") {
  shelf<lru> large{501};
  for (std::uint64_t n = 0; n < 501; ++n)
    REQUIRE(large.put(n, n == 500 ? std::optional{10ms} : std::nullopt));
  shelf<lru> small{10};
  int expired = 0;
  large.held.for_each(large.now, [&](const saved_entry& x) {
    expired += !small.held.restore(x, timestamp{large.now.ms + 10}).value();
  });
  CHECK(expired == 1);
  CHECK(small.order() == numbers{490, 491, 492, 493, 494, 495, 496, 497, 498, 499});
}

// Cost -------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("a hit and a miss allocate nothing", Policy, lru, s3_fifo) {
  shelf<Policy> s{100};
  for (std::uint64_t n = 0; n < 100; ++n)
    REQUIRE(s.held.set(key_of(n), {.output = std::string(1'000, 'x'), .tags = {"t"}}, 1s, s.now));
  const allocation_watch watch;
  for (std::uint64_t n = 0; n < 200; ++n)
    (void)s.held.get(key_of(n), s.now);
  CHECK(watch.count() == 0);
}

// Parts ------------------------------------------------------------------------------------------

TEST_CASE("the table finds what a std::map holds however its hashes meet") {
  std::mt19937_64 random{5};
  for (const std::uint32_t spread : {1u, 3u, 1u << 20, 0x8000'0000u}) {
    internal::flat_index table;
    std::map<std::uint32_t, std::uint32_t> places;  // to their hashes
    for (int i = 0; i < 4'000; ++i) {
      const auto place = static_cast<std::uint32_t>(random() % 300);
      if (places.count(place) == 0) {
        // Near the end of the range, so that probing runs over the end of the table.
        const auto hash = static_cast<std::uint32_t>(0u - random() % 40 * spread);
        table.insert(hash, place);
        places[place] = hash;
      } else {
        table.erase(places[place], place);
        places.erase(place);
      }
      CHECK(table.size() == places.size());
    }
    for (std::uint32_t place = 0; place < 300; ++place) {
      const auto at = places.find(place);
      const auto hash = at == places.end() ? 0 : at->second;
      const auto found = table.find(hash, [&](std::uint32_t x) { return x == place; });
      CHECK(found == (at == places.end() ? internal::none : place));
    }
  }
}

TEST_CASE("siphash gives the answer of its authors' example") {
  std::string text;
  for (char c = 0; c < 15; ++c)
    text += c;
  CHECK(internal::siphash(0x0706050403020100, 0x0f0e0d0c0b0a0908, text) == 0xa129ca6149be45e5);
}
