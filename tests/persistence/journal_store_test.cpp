#include <troupe/persistence/internal/bytes.hpp>

#include "store_fixture.hpp"

#include <map>
#include <random>

using namespace troupe;
using namespace troupe::testing;

TEST_CASE("a change that was committed is there after the store was opened again") {
  memory_directory dir;
  {
    auto store = open(dir);
    const auto first = commit(store, change_of("a", 1, "one"));
    REQUIRE(first);
    CHECK(first->position == 1);
    CHECK(commit(store, change_of("b", 1, "uno"))->position == 2);
    CHECK(commit(store, change_of("a", 2, "two"))->position == 3);
    CHECK(text_of(store, "a") == "one;two;");
  }
  auto store = open(dir);
  CHECK(text_of(store, "a") == "one;two;");
  CHECK(text_of(store, "b") == "uno;");
  CHECK(store.load(session_ref("a"))->sequence == 2);
  CHECK(commit(store, change_of("a", 3, "three"))->position == 4);
}

TEST_CASE("an entity that was never written is empty and starts at one") {
  memory_directory dir;
  auto store = open(dir);
  const auto stored = store.load(session_ref("nobody"));
  REQUIRE(stored);
  CHECK(stored->parts.body.empty());
  CHECK(stored->parts.changes.empty());
  CHECK(stored->sequence == 0);
  CHECK(commit(store, change_of("nobody", 2, "x")).error().code == errc::store_failed);
  CHECK(commit(store, change_of("nobody", 0, "x")).error().code == errc::store_failed);
  CHECK(commit(store, change_of("nobody", 1, "x")));
}

TEST_CASE("a change that does not follow is refused alone and its batch is committed once") {
  memory_directory dir;
  auto store = open(dir);
  REQUIRE(commit(store, change_of("a", 1, "one")));
  const std::vector<commit_request> batch{change_of("a", 2, "two"),
                                          change_of("b", 2, "gap"),
                                          change_of("a", 4, "gap"),
                                          change_of("a", 2, "again"),
                                          change_of("a", 3, "three"),
                                          change_of("", 1, "no id"),
                                          change_of(std::string(257, 'x'), 1, "long id")};
  const auto results = store.commit(batch);
  REQUIRE(results.size() == batch.size());
  CHECK(results[0]->position == 2);
  CHECK(results[1].error().code == errc::store_failed);
  CHECK(results[1].error().message
        == "change 2 of default/session/b does not follow the stored revision 0: the write before "
           "it failed, or somebody else wrote");
  CHECK(results[2].error().current_revision == 2);
  CHECK(results[3].error().code == errc::store_failed);
  CHECK(results[4]->position == 3);
  CHECK(results[5].error().code == errc::bad_id);
  CHECK(results[6].error().code == errc::bad_id);
  CHECK(text_of(store, "a") == "one;two;three;");
  CHECK(text_of(store, "b").empty());
  CHECK(store.stats().commits == 2);
  CHECK(store.stats().changes == 3);
}

TEST_CASE("a sequence is fenced after its entity was materialised and forgotten") {
  memory_directory dir;
  auto options = small_map();
  options.clean_entries = 0;
  auto store = open(dir, options);
  for (int i = 0; i < 10; ++i)
    REQUIRE(commit(store, change_of("id" + std::to_string(i), 1, "x")));
  materialise_all_of(store);
  for (int i = 0; i < 10; ++i) {
    const auto id = "id" + std::to_string(i);
    CHECK_FALSE(commit(store, change_of(id, 1, "again")));
    CHECK_FALSE(commit(store, change_of(id, 3, "gap")));
    CHECK(commit(store, change_of(id, 2, "y")));
    CHECK(text_of(store, id) == "x;y;");
  }
}

TEST_CASE("namespaces and kinds and ids keep entities apart") {
  memory_directory dir;
  const std::vector<entity_ref> refs{{"default", entity_kind::session, "a"},
                                     {"default", entity_kind::team, "a"},
                                     {"default", entity_kind::session, "aa"},
                                     {"other", entity_kind::session, "a"}};
  {
    auto store = open(dir);
    for (const auto& ref : refs)
      REQUIRE(commit(store, {ref, 1, to_string(ref)}));
  }
  auto store = open(dir);
  for (const auto& ref : refs)
    CHECK(content(*store.load(ref)) == to_string(ref) + ";");
  std::map<entity_ref, std::uint64_t> listed;
  REQUIRE(store.for_each_entity([&](const entity_ref& ref, std::uint64_t sequence) {
    listed[ref] += sequence;
    return true;
  }));
  CHECK(listed.size() == refs.size());
  for (const auto& ref : refs)
    CHECK(listed[ref] == 1);
}

TEST_CASE("materialising moves the watermark and changes no content and keeps the journal") {
  memory_directory dir;
  {
    auto store = open(dir);
    for (std::uint64_t i = 1; i <= 20; ++i) {
      REQUIRE(commit(store, change_of("a", i, std::to_string(i))));
      REQUIRE(commit(store, change_of("b" + std::to_string(i), 1, "x")));
    }
    const auto before = text_of(store, "a");
    materialise_all_of(store);
    CHECK(store.stats().materialised == 40);
    CHECK(store.stats().tail_bytes == 0);
    CHECK(text_of(store, "a") == before);
    CHECK(store.load(session_ref("a"))->parts.changes.empty());
    REQUIRE(commit(store, change_of("a", 21, "21")));
    CHECK(store.load(session_ref("a"))->parts.changes.size() == 1);
  }
  auto store = open(dir);
  CHECK(store.stats().position == 41);
  CHECK(store.stats().materialised == 40);
  CHECK(store.load(session_ref("a"))->sequence == 21);
  std::uint64_t seen = 0;
  REQUIRE(store.for_each_record(1, ~0ULL, [&](const journal_record& record) {
    CHECK(record.position == ++seen);
    CHECK(record.epoch == 1);
    CHECK(record.shard == 0);
    return true;
  }));
  CHECK(seen == 41);
}

TEST_CASE("compaction frees the oldest records that snapshots cover and no other") {
  memory_directory dir;
  auto options = small_map();
  options.covered_bytes = 2'000;
  options.slice_bytes = 1'000;
  {
    auto store = open(dir, options);
    for (std::uint64_t i = 1; i <= 40; ++i)
      REQUIRE(commit(store, change_of("a", i, std::string(100, 'x'))));
    CHECK_FALSE(*store.compact());
    CHECK(store.stats().first == 1);  // nothing is covered
    options.slice_bytes = 1 << 20;
  }
  auto store = open(dir, options);
  materialise_all_of(store);
  const auto covered = store.stats().covered_bytes;
  CHECK(covered > 4'000);
  REQUIRE(commit(store, change_of("a", 41, "last")));
  while (*store.compact()) {
  }
  CHECK(store.stats().covered_bytes <= 2'000);
  CHECK(store.stats().covered_bytes > 1'500);
  const auto first = store.stats().first;
  CHECK(first > 20);
  CHECK_FALSE(*store.compact());
  CHECK(store.load(session_ref("a"))->sequence == 41);
  std::uint64_t seen = 0;
  REQUIRE(store.for_each_record(1, ~0ULL, [&](const journal_record& record) {
    if (seen == 0)
      CHECK(record.position == first);
    seen = record.position;
    return true;
  }));
  CHECK(seen == 41);
}

TEST_CASE("a compacted journal opens again and one that lacks its first record does not") {
  memory_directory dir;
  auto options = small_map();
  options.covered_bytes = 0;
  std::uint64_t first = 0;
  {
    auto store = open(dir, options);
    for (std::uint64_t i = 1; i <= 10; ++i)
      REQUIRE(commit(store, change_of("a", i, "x")));
    materialise_all_of(store);
    CHECK_FALSE(*store.compact());
    CHECK(store.stats().first == 11);
    CHECK(store.stats().covered_bytes == 0);
    REQUIRE(commit(store, change_of("a", 11, "y")));
    REQUIRE(commit(store, change_of("b", 1, "z")));
    first = store.stats().first;
  }
  {
    auto store = open(dir, options);
    CHECK(store.stats().first == 11);
    CHECK(text_of(store, "a") == "x;x;x;x;x;x;x;x;x;x;y;");
    CHECK(text_of(store, "b") == "z;");
  }
  {
    auto env = lmdb::environment::open(dir.store(), 64 << 20);
    auto txn = lmdb::transaction::write(env);
    {
      lmdb::cursor journal{txn, txn.create_database("journal")};
      REQUIRE(journal.seek(internal::be64(first)));
      journal.erase();
    }
    txn.commit();
  }
  CHECK(has(open_message(dir), "does not begin at record 11"));
}

TEST_CASE("a slice stays within its bytes and folds an entity over its whole tail") {
  memory_directory dir;
  auto options = small_map();
  options.slice_bytes = 2'000;
  int folds = 0;
  const auto counting = [&](entity_kind kind, std::string_view snapshot,
                            const std::vector<std::string>& changes) {
    ++folds;
    return join(kind, snapshot, changes);
  };
  {
    auto store = open(dir, options, counting);
    for (std::uint64_t i = 1; i <= 50; ++i) {
      REQUIRE(commit(store, change_of("hot", i, "x")));
      REQUIRE(commit(store, change_of("cold" + std::to_string(i), 1, std::string(100, 'c'))));
    }
    CHECK(*store.materialise());
    CHECK(store.stats().materialised > 0);
    CHECK(store.stats().materialised < 20);
    CHECK(store.load(session_ref("hot"))->parts.changes.empty());
    CHECK(store.load(session_ref("hot"))->sequence == 50);
    CHECK(store.load(session_ref("cold50"))->parts.changes.size() == 1);
  }
  auto store =
      open(dir, options,
           counting);  // the journal behind the watermark has changes of `hot` that are covered
  CHECK(store.load(session_ref("hot"))->parts.changes.empty());
  REQUIRE(commit(store, change_of("hot", 51, "y")));
  materialise_all_of(store);
  CHECK(folds == 1 + 50 + 1);
  CHECK(store.load(session_ref("hot"))->sequence == 51);
}

TEST_CASE("a tail that cannot be folded keeps the watermark before it and loses nothing") {
  memory_directory dir;
  const auto picky = [](entity_kind kind, std::string_view snapshot,
                        const std::vector<std::string>& changes) -> expected<std::string> {
    if (changes.front() == "poison")
      return fail(errc::newer_format, "unknown event");
    return join(kind, snapshot, changes);
  };
  auto store = open(dir, small_map(), picky);
  REQUIRE(commit(store, change_of("a", 1, "x")));
  REQUIRE(commit(store, change_of("bad", 1, "poison")));
  REQUIRE(commit(store, change_of("b", 1, "x")));
  CHECK(store.materialise());
  CHECK(store.stats().materialised == 1);
  const auto stuck = store.materialise();
  REQUIRE_FALSE(stuck);
  CHECK(stuck.error().code == errc::newer_format);
  CHECK(has(stuck.error().message, "bad"));
  CHECK(has(stuck.error().message, "journal record 2"));
  CHECK(text_of(store, "bad") == "poison;");
  CHECK(text_of(store, "b") == "x;");
  CHECK(commit(store, change_of("b", 2, "y")));
}

TEST_CASE("listing shows every entity once in key order and stops when told") {
  memory_directory dir;
  auto store = open(dir);
  for (const char* id : {"b", "d", "a"})
    REQUIRE(commit(store, change_of(id, 1, "x")));
  materialise_all_of(store);
  for (const char* id : {"c", "e"})
    REQUIRE(commit(store, change_of(id, 1, "x")));
  REQUIRE(commit(store, change_of("b", 2, "y")));
  std::string listed;
  REQUIRE(store.for_each_entity([&](const entity_ref& ref, std::uint64_t sequence) {
    listed += ref.id + std::to_string(sequence);
    return true;
  }));
  CHECK(listed == "a1b2c1d1e1");
  listed.clear();
  REQUIRE(store.for_each_entity([&](const entity_ref& ref, std::uint64_t) {
    listed += ref.id;
    return listed.size() < 2;
  }));
  CHECK(listed == "ab");
}

TEST_CASE("records are read from a position to a position") {
  memory_directory dir;
  auto store = open(dir);
  for (std::uint64_t i = 1; i <= 9; ++i)
    REQUIRE(commit(store, change_of("a", i, std::to_string(i))));
  std::string seen;
  REQUIRE(store.for_each_record(3, 6, [&](const journal_record& record) {
    CHECK(record.entity == session_ref("a"));
    CHECK(record.sequence == record.position);
    seen += record.payload;
    return true;
  }));
  CHECK(seen == "3456");
  seen.clear();
  REQUIRE(store.for_each_record(1, 9, [&](const journal_record& record) {
    seen += record.payload;
    return seen.size() < 2;
  }));
  CHECK(seen == "12");
}

TEST_CASE("large payloads and empty ones come back byte for byte") {
  memory_directory dir;
  std::string large(3 << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>(i * 2'654'435'761U >> 13);
  {
    auto store = open(dir);
    REQUIRE(commit(store, change_of("a", 1, large)));
    REQUIRE(commit(store, change_of("a", 2, "")));
  }
  auto store = open(dir);
  auto stored = store.load(session_ref("a"));
  REQUIRE(stored);
  CHECK(stored->parts.changes == std::vector<std::string>{large, ""});
  materialise_all_of(store);
  CHECK(store.load(session_ref("a"))->parts.body == large + ";;");
}

TEST_CASE("whatever is committed and materialised and reopened equals a model") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed ", seed);
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t n) { return random() % n; };
    auto options = small_map();
    options.clean_entries = below(3) * 4;
    options.covered_bytes = below(3) * 5'000;
    memory_directory dir;
    auto store = open(dir, options);
    std::map<std::string, std::vector<std::string>> model;
    std::uint64_t position = 0;

    for (int step = 0; step < 60; ++step) {
      const auto what = below(10);
      if (what < 6) {
        std::vector<commit_request> batch;
        std::vector<bool> valid;
        for (std::uint64_t n = 1 + below(12); n > 0; --n) {
          const auto id = "e" + std::to_string(below(12));
          auto& held = model[id];
          const bool good = below(8) != 0;
          const auto sequence = good ? held.size() + 1 : held.size() + (below(2) == 0 ? 0 : 2);
          batch.push_back(
              change_of(id, sequence, std::to_string(random()) + std::string(below(300), '.')));
          if (good)
            held.push_back(batch.back().payload);
          valid.push_back(good);
        }
        const auto results = store.commit(batch);
        for (std::size_t i = 0; i < batch.size(); ++i) {
          REQUIRE(results[i].has_value() == valid[i]);
          if (valid[i])
            REQUIRE(results[i]->position == ++position);
        }
      } else if (what < 8) {
        REQUIRE(store.materialise());
        REQUIRE(store.compact());
        REQUIRE(store.stats().first <= store.stats().materialised + 1);
      } else if (what == 8) {
        { auto closed = std::move(store); }
        options.slice_bytes = 1 + below(4'000);
        store = open(dir, options);
        REQUIRE(store.stats().position == position);
      }
      const auto id = "e" + std::to_string(below(12));
      const auto stored = store.load(session_ref(id));
      REQUIRE(stored);
      REQUIRE(content(*stored) == *join(entity_kind::session, "", model[id]));
      REQUIRE(stored->sequence == model[id].size());
    }

    std::map<std::string, std::uint64_t> listed;
    REQUIRE(store.for_each_entity([&](const entity_ref& ref, std::uint64_t sequence) {
      REQUIRE(listed.emplace(ref.id, sequence).second);
      return true;
    }));
    std::map<std::string, std::uint64_t> wanted;
    for (const auto& [id, changes] : model)
      if (!changes.empty())
        wanted.emplace(id, changes.size());
    REQUIRE(listed == wanted);
  }
}
