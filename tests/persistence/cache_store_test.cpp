#include <troupe/persistence/cache_store.hpp>
#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/cache_record.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/state/internal/cache/packed.hpp>

#include "store_fixture.hpp"
#include "support/caches.hpp"
#include "support/golden.hpp"
#include "support/printing.hpp"

#include <fstream>
#include <map>
#include <random>
#include <set>
#include <utility>

using namespace troupe;
using namespace troupe::testing;
using internal::be64;

namespace fs = std::filesystem;

namespace {

constexpr cache_store_options small{.map_bytes = 16 << 20, .detached = false};

cache_store open_cache(const memory_directory& dir, const cache_store_options& options = small) {
  auto out = cache_store::open(dir.path(), options);
  REQUIRE_MESSAGE(out, (out ? "" : out.error().message));
  return std::move(*out);
}

fs::path data_file(const memory_directory& dir) {
  return dir.path() / "cache" / "data.mdb";
}

saved_result result_of(std::uint64_t n, const std::string& output) {
  saved_result out{"default", {key_of(n), {}, 0}};
  out.saved.entry.content = {.output = output, .tags = {"t"}};
  out.saved.entry.created = {5};
  return out;
}

void put(cache_store& store, std::vector<std::pair<std::uint64_t, std::string>> results,
         std::vector<std::uint64_t> erased = {}) {
  save_cached what;
  for (const auto& [n, output] : results)
    what.written.push_back(result_of(n, output));
  for (const auto n : erased)
    what.erased.push_back(key_of(n));
  REQUIRE(store.write(what));
}

/// Outputs in the order of loading.
std::vector<std::string> content_of(cache_store& store) {
  std::vector<std::string> out;
  loaded_cached slice;
  do {
    slice = store.load(slice.last);
    for (const auto& x : slice.entries)
      out.emplace_back(x.saved.entry.content.output.view().as_string().value());
  } while (slice.more);
  return out;
}

using outputs = std::vector<std::string>;

/// Every part of a record has another value.
saved_result full_result() {
  saved_result out{"name/space", {key_of(7), {}, 5}};
  out.saved.entry.content = {.output = value::map({{"answer", 42}}),
                             .request = value::array({"what", 1.5}),
                             .agent = "reviewer",
                             .owner = "ann",
                             .content_hash = "hash",
                             .tags = {"a", "b"}};
  out.saved.entry.created = {1'000};
  out.saved.entry.last_accessed = {2'000};
  out.saved.entry.expires_at = timestamp{3'000};
  out.saved.entry.access_count = 4;
  return out;
}

}  // namespace

// The record -------------------------------------------------------------------------------------

TEST_CASE("a saved result stands on disk as it did in the first version") {
  check_golden("cache_record.hex", internal::encode_cache_record(be64(9), full_result()));
}

TEST_CASE("a saved result is read as it was written") {
  auto what = full_result();
  CHECK((internal::decode_cache_record(be64(9), internal::encode_cache_record(be64(9), what))->saved
         == what.saved));
  what.saved.entry.expires_at.reset();
  what.saved.entry.content = {.output = internal::packed(value{std::string(10'000, 'x')}, 1'000)};
  const auto read =
      internal::decode_cache_record(be64(9), internal::encode_cache_record(be64(9), what));
  REQUIRE(read);
  CHECK(read->name_space == what.name_space);
  CHECK(read->saved.entry.expires_at == std::nullopt);
  CHECK(read->saved.entry.content.output.bytes() == what.saved.entry.content.output.bytes());
}

TEST_CASE("a saved result with any bit flipped or cut anywhere or under another key is damaged") {
  const auto bytes = internal::encode_cache_record(be64(9), full_result());
  const auto fault = [](std::string_view key, std::string_view what) {
    const auto out = internal::decode_cache_record(key, what);
    return out ? errc{} : out.error().code;
  };
  CHECK(fault(be64(9), bytes) == errc{});
  CHECK(fault(be64(10), bytes) == errc::damaged);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    CHECK(fault(be64(9), bad) == errc::damaged);
    CHECK(fault(be64(9), bytes.substr(0, i)) == errc::damaged);
  }
}

// The store --------------------------------------------------------------------------------------

TEST_CASE("what was written comes back after a restart in the order of writing and once") {
  memory_directory dir;
  {
    auto store = open_cache(dir);
    put(store, {{1, "one"}, {2, "two"}, {3, "three"}});
    put(store, {{1, "one again"}}, {2, 99});
    put(store, {{4, "four"}});
    CHECK(store.stats().commits == 3);
  }
  auto store = open_cache(dir);
  CHECK(content_of(store) == outputs{"three", "one again", "four"});
  put(store, {{2, "two again"}});
  CHECK(content_of(store) == outputs{"three", "one again", "four", "two again"});
  CHECK(store.stats().resets == 0);
}

TEST_CASE("the saved cache is what a std::map holds after random writes and restarts") {
  memory_directory dir;
  std::map<std::uint64_t, std::string> model;
  std::mt19937_64 random{3};
  for (int round = 0; round < 8; ++round) {
    auto store = open_cache(dir);
    const auto loaded = content_of(store);
    std::multiset<std::string> found{loaded.begin(), loaded.end()}, wanted;
    for (const auto& [n, output] : model)
      wanted.insert(output);
    CHECK(found == wanted);
    for (int i = 0; i < 30; ++i) {
      std::map<std::uint64_t, std::string> written;
      std::vector<std::uint64_t> erased;
      for (auto k = random() % 20; k > 0; --k)
        written[random() % 200] = std::string(random() % 5'000, 'x') + std::to_string(random());
      for (auto k = random() % 5; k > 0; --k) {
        const auto n = random() % 200;
        if (written.count(n) == 0)
          erased.push_back(n), model.erase(n);
      }
      for (const auto& [n, output] : written)
        model[n] = output;
      put(store, {written.begin(), written.end()}, erased);
    }
  }
}

TEST_CASE("a damaged or cut or foreign or newer store is thrown away and an empty one goes on") {
  const std::vector<std::function<void(const memory_directory&)>> faults{
      [](const memory_directory& dir) {  // a record
        auto env = lmdb::environment::open(dir.path() / "cache", 16 << 20);
        auto txn = lmdb::transaction::write(env);
        const auto entries = txn.create_database("entries");
        std::string bytes{txn.get(entries, be64(2)).value()};
        bytes.back() ^= 1;
        txn.put(entries, be64(2), bytes);
        txn.commit();
      },
      [](const memory_directory& dir) {  // an index that points elsewhere
        auto env = lmdb::environment::open(dir.path() / "cache", 16 << 20);
        auto txn = lmdb::transaction::write(env);
        const auto key = key_of(2);
        txn.put(txn.create_database("keys"), {reinterpret_cast<const char*>(&key), sizeof key},
                be64(3));
        txn.commit();
      },
      [](const memory_directory& dir) {
        auto env = lmdb::environment::open(dir.path() / "cache", 16 << 20);
        auto txn = lmdb::transaction::write(env);
        internal::write_number(txn, txn.create_database("meta"), "cache_format", 2);
        txn.commit();
      },
      [](const memory_directory& dir) { fs::resize_file(data_file(dir), 10'000); },
      [](const memory_directory& dir) { fs::resize_file(data_file(dir), 0); },
      [](const memory_directory& dir) {
        std::ofstream{data_file(dir)} << std::string(20'000, 'x');
      },
      [](const memory_directory& dir) {
        fs::remove(data_file(dir));
        fs::create_directory(data_file(dir));
      }};
  for (const auto& damage : faults) {
    memory_directory dir;
    {
      auto store = open_cache(dir);
      put(store, {{1, "one"}, {2, "two"}, {3, "three"}});
    }
    damage(dir);
    auto store = open_cache(dir);
    CHECK(content_of(store).size() <= 1);  // in the first slice nothing is given out
    CHECK(store.stats().resets == 1);
    put(store, {{4, "four"}});
    CHECK(content_of(store) == outputs{"four"});
  }
}

TEST_CASE("a store whose loading ended two starts is thrown away and one that ended one is not") {
  memory_directory dir;
  {
    auto store = open_cache(dir);
    put(store, {{1, "one"}});
  }
  { const auto store = open_cache(dir); }
  {
    auto store = open_cache(dir);
    CHECK(content_of(store) == outputs{"one"});
  }
  { const auto store = open_cache(dir); }
  { const auto store = open_cache(dir); }
  auto store = open_cache(dir);
  CHECK(content_of(store).empty());
  CHECK(store.stats().resets == 1);
}

TEST_CASE("a store without room throws away what it has and the file stays bounded") {
  memory_directory dir;
  auto store = open_cache(dir, {.map_bytes = 2 << 20, .detached = false});
  for (std::uint64_t n = 0; n < 2'000; ++n)
    put(store, {{n, std::string(5'000, 'x')}});
  CHECK(store.stats().resets >= 1);
  CHECK(store.stats().file_bytes <= 2 << 20);
  put(store, {{1, "one"}});
  CHECK(content_of(store).back() == "one");
}

TEST_CASE("churn within the limits never fills a map of four times as much") {
  memory_directory dir;
  auto store = open_cache(dir, {.map_bytes = 8 << 20, .detached = false});
  std::mt19937_64 random{5};
  for (int i = 0; i < 400; ++i) {  // 1,000 keys of 2 KB and so are 2.3 MB with their overhead
    std::map<std::uint64_t, std::string> written;
    for (int k = 0; k < 50; ++k)
      written[random() % 1'000] = std::string(1'000 + random() % 2'000, 'x');
    put(store, {written.begin(), written.end()});
  }
  CHECK(store.stats().resets == 0);
}

TEST_CASE("a store that cannot even be emptied says so and gives nothing more") {
  memory_directory dir;
  auto store = open_cache(dir, {.map_bytes = 2 << 20, .detached = false});
  put(store, {{1, "one"}});
  fs::rename(dir.path() / "cache", dir.path() / "elsewhere");
  expected<void> done{};
  for (std::uint64_t n = 0; n < 2'000 && done; ++n) {
    save_cached what;
    what.written.push_back(result_of(n, std::string(5'000, 'x')));
    done = store.write(what);
  }
  REQUIRE(!done);
  CHECK(done.error().code == errc::store_failed);
  CHECK(store.load(0).entries.empty());
  CHECK(!store.write({}));
}

TEST_CASE("a second process or store on the directory is refused") {
  memory_directory dir;
  const auto store = open_cache(dir);
  const auto second = cache_store::open(dir.path(), small);
  REQUIRE(!second);
  CHECK(second.error().code == errc::busy);
}
