// The cache under real threads: what only they can break.

#include <troupe/actors/result_cache.hpp>
#include <troupe/state/digest.hpp>

#include "support/caches.hpp"
#include "support/printing.hpp"
#include "support/temp_directory.hpp"
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

struct threads_config : caf::actor_system_config {
  threads_config() {
    init_messages();
    set("caf.scheduler.policy", "sharing");
    set("caf.scheduler.max-threads", 2u);
  }
};

struct cache_of_threads {
  explicit cache_of_threads(result_cache_options options = {})
      : held{spawn_result_cache(system, std::move(options))} {}
  ~cache_of_threads() { held.close(); }

  threads_config config;
  caf::actor_system system{config};
  result_cache held;
};

cache_id id_of(std::uint64_t n) {
  return {"default", key_of(n)};
}

// doc:begin cached-review
/// The review that is kept, or a new one; however many ask at once, one is made. It is kept for an
/// hour, and no longer than the files stay as they are.
template <class Review>
expected<value> cached_review(const result_cache& cache, const cache_key_parts& what,
                              const std::string& hash_of_files, Review&& review) {
  return cache.get_or_compute(make_cache_id(what), [&]() -> expected<computed_result> {
    auto made = review(what.request);
    if (!made)
      return unexpected{std::move(made.error())};  // told to all who wait, and not kept
    return computed_result{.content = {.output = *std::move(made),
                                       .agent = std::string{what.agent},
                                       .content_hash = hash_of_files,
                                       .tags = {"repository-7"}},
                           .ttl = std::chrono::hours{1}};
  });
}
// doc:end cached-review

}  // namespace

TEST_CASE(
    "no reader sees a value whose invalidation was answered nor a torn one nor an older one") {
  cache_of_threads w{{.limits = {.max_entries = 64}, .shards = 4, .compress_from = 1'500}};
  constexpr std::uint64_t keys = 16, rounds = 150;
  // What a reader may still see of a key: the writer raises it before it goes on.
  std::array<std::atomic<std::uint64_t>, keys> oldest{};
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> bad = 0, hits = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&, i] {
      std::mt19937_64 random{static_cast<std::uint64_t>(i)};
      while (!done) {
        const auto n = random() % keys;
        const auto least = oldest[n].load();
        const auto seen = w.held.get(id_of(n));
        if (!seen)
          continue;
        ++hits;
        const auto text = seen->view().as_string().value();
        const auto version = std::stoull(std::string{text});
        const auto whole = std::to_string(version) + std::string(1'000 + version % 1'000, 'x');
        if (version < least || text != whole)
          ++bad;
      }
    });
  for (std::uint64_t version = 1; version <= rounds; ++version)
    for (std::uint64_t n = 0; n < keys; ++n) {
      const value output = std::to_string(version) + std::string(1'000 + version % 1'000, 'x');
      REQUIRE(w.held.set({id_of(n), {.output = output, .tags = {"t" + std::to_string(n % 4)}}}));
      oldest[n] = version;
      if (version % 3 == 0)
        REQUIRE(w.held.invalidate({"default", key_of(n)}));
      else if (version % 5 == 0)
        REQUIRE(w.held.invalidate({"default", cache_invalidation::labelled{
                                                  cache_label::tag, "t" + std::to_string(n % 4)}}));
      else
        continue;
      oldest[n] = version + 1;
    }
  done = true;
  for (auto& reader : readers)
    reader.join();
  CHECK(bad == 0);
  CHECK(hits > 0);
}

TEST_CASE("threads that miss together compute once and what throws is the error of all") {
  cache_of_threads w;
  constexpr int threads = 32;
  for (std::uint64_t n = 0; n < 4; ++n) {
    std::atomic<int> computed = 0, good = 0, started = 0;
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i)
      all.emplace_back([&] {
        ++started;
        const auto out = w.held.get_or_compute(id_of(n), [&]() -> expected<computed_result> {
          ++computed;
          // Until all are in, and those that miss have been counted.
          while (started < threads || w.held.stats().waits + 1 < threads * (n + 1) - n)
            std::this_thread::yield();
          if (n == 3)
            throw std::runtime_error{"planted"};
          return computed_result{{.output = n}};
        });
        if (n == 3)
          good += !out && out.error().code == errc::internal ? 1 : 0;
        else
          good += out == value{n} ? 1 : 0;
      });
    for (auto& one : all)
      one.join();
    CHECK(computed == 1);
    CHECK(good == threads);
    CHECK(w.held.get(id_of(n)).has_value() == (n != 3));
  }
}

TEST_CASE("the example of the documentation reviews once until a file changes") {
  cache_of_threads w;
  temp_directory dir;
  const auto file = dir.path() / "a.cpp";
  std::ofstream{file} << "int main() {}";
  const std::vector<std::filesystem::path> files{file};
  auto hash = content_hash_of_files(files).value();
  const auto request = value::map({{"review", "a.cpp"}});
  const cache_key_parts ann{"default", "ann", "reviewer", request, {}};
  int reviews = 0;
  const auto review = [&](value_view) { return expected<value>{++reviews}; };
  CHECK(cached_review(w.held, ann, hash, review) == value{1});
  CHECK(cached_review(w.held, ann, hash, review) == value{1});
  std::ofstream{file} << "int main() { return 1; }";
  const auto check = w.held.check_content("default", hash, files).value();
  CHECK(check.removed == 1);
  CHECK(cached_review(w.held, ann, check.content_hash, review) == value{2});
  const auto fails = [](value_view) { return expected<value>{fail(errc::busy, "later")}; };
  const cache_key_parts bob{"default", "bob", "reviewer", request, {}};
  CHECK(cached_review(w.held, bob, hash, fails).error().code == errc::busy);
  CHECK(cached_review(w.held, bob, hash, review) == value{3});
}

TEST_CASE("a result is kept once the one who computed it has it") {
  cache_of_threads w;
  for (std::uint64_t n = 0; n < 200; ++n) {
    REQUIRE(w.held.get_or_compute(
        id_of(n), [&]() -> expected<computed_result> { return computed_result{{.output = n}}; }));
    CHECK(w.held.get(id_of(n)) == value{n});
  }
}

TEST_CASE("the byte limit holds while many write") {
  constexpr std::uint64_t limit = 4 << 20;
  cache_of_threads w{{.limits = {.max_entries = 100'000, .max_bytes = limit}, .shards = 4}};
  std::atomic<bool> done = false;
  std::vector<std::thread> writers;
  for (std::uint64_t i = 0; i < 2; ++i)
    writers.emplace_back([&, i] {
      for (std::uint64_t n = 0; n < 3'000; ++n)
        REQUIRE(w.held.set({id_of(n * 2 + i), {.output = std::string(n * 37 % 6'000, 'x')}}));
    });
  std::atomic<bool> above = false;
  std::thread watcher{[&] {
    while (!done)
      above = above || w.held.stats().bytes > limit;
  }};
  for (auto& one : writers)
    one.join();
  done = true;
  watcher.join();
  CHECK(!above);
  CHECK(w.held.stats().bytes > limit * 95 / 100);
  CHECK(w.held.stats().evicted_for_bytes > 0);
}

TEST_CASE("entries made from files go when one of the files changes") {
  cache_of_threads w;
  temp_directory dir;
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream{dir.path() / name} << text;
  };
  write("a", "one");
  write("b", "two");
  const std::vector<std::filesystem::path> files{dir.path() / "a", dir.path() / "b"};
  const auto known = content_hash_of_files(files).value();
  CHECK(known.size() == 64);
  const std::vector<std::filesystem::path> again{files[1], dir.path() / "." / "a", files[0]};
  CHECK(content_hash_of_files(again) == known);
  CHECK(content_hash_of_files(std::span{files}.first(1)) != known);
  REQUIRE(w.held.set({id_of(1), {.output = 1, .content_hash = known}}));
  REQUIRE(w.held.set({id_of(2), {.output = 2, .content_hash = "other"}}));
  auto check = w.held.check_content("default", known, files).value();
  CHECK(!check.changed);
  CHECK(w.held.get(id_of(1)));
  write("a", "onet");  // the same bytes in a row, cut elsewhere
  write("b", "wo");
  check = w.held.check_content("default", known, files).value();
  CHECK(check.changed);
  CHECK(check.removed == 1);
  CHECK(check.content_hash == content_hash_of_files(files).value());
  CHECK(!w.held.get(id_of(1)));
  CHECK(w.held.get(id_of(2)));
  const std::vector<std::filesystem::path> missing{dir.path() / "nothing"};
  const auto fault = content_hash_of_files(missing);
  REQUIRE(!fault);
  CHECK(fault.error().code == errc::not_found);
  CHECK(fault.error().message.find("nothing") != std::string::npos);
  const std::vector<std::filesystem::path> folder{dir.path()};
  CHECK(content_hash_of_files(folder).error().code == errc::store_failed);
}

TEST_CASE("a content hash is the SHA-256 of path and size and bytes") {
  temp_directory dir;
  std::ofstream{dir.path() / "f"} << "abc";
  const auto path = (dir.path() / "f").string();
  sha256_hasher hasher;
  hasher.field(std::string_view{"troupe/content-hash/1"})
      .field(path)
      .field(std::string_view{"abc"});
  const std::vector<std::filesystem::path> files{dir.path() / "f"};
  CHECK(content_hash_of_files(files) == to_hex(hasher.finish()));
}
