#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/record.hpp>

#include "store_fixture.hpp"

#include <fstream>

using namespace troupe;
using namespace troupe::testing;
using internal::be64;

namespace fs = std::filesystem;

namespace {

std::string journal_key(const std::string& id) {
  return internal::entity_key(internal::hash_namespace("default"), entity_kind::session, id);
}

}  // namespace

TEST_CASE("a store of a newer format is refused as newer") {
  memory_directory dir;
  { const auto store = open(dir); }
  {
    auto env = lmdb::environment::open(dir.store(), 1 << 20);
    auto txn = lmdb::transaction::write(env);
    internal::write_number(txn, txn.create_database("meta"), internal::meta_key::format,
                           internal::current_store_format + 1);
    txn.commit();
  }
  CHECK(open_fault(dir) == errc::newer_format);
}

TEST_CASE("a damaged number of meta is refused") {
  for (const auto key :
       {internal::meta_key::format, internal::meta_key::watermark, internal::meta_key::first,
        internal::meta_key::covered, internal::meta_key::epoch}) {
    memory_directory dir;
    { const auto store = open(dir); }
    tamper(dir, "meta", key, [](std::string& value) { value[1] = 1; });
    CHECK(open_fault(dir) == errc::damaged);
    CHECK(has(open_message(dir), key));
  }
}

TEST_CASE("a damaged record in the tail refuses to start and is named") {
  memory_directory dir;
  {
    auto store = open(dir);
    for (std::uint64_t i = 1; i <= 3; ++i)
      REQUIRE(commit(store, change_of("a", i, "payload")));
  }
  tamper(dir, "journal", be64(2), [](std::string& value) { value.back() = 'D'; });
  CHECK(open_fault(dir) == errc::damaged);
  CHECK(has(open_message(dir), "journal record 2"));
  CHECK(has(open_message(dir), "checksum"));
}

TEST_CASE("a record that is missing from the tail refuses to start") {
  memory_directory dir;
  {
    auto store = open(dir);
    for (std::uint64_t i = 1; i <= 3; ++i)
      REQUIRE(commit(store, change_of("a", i, "payload")));
  }
  const auto copy_to = [&](std::uint64_t from, std::uint64_t to) {
    auto env = lmdb::environment::open(dir.store(), 1 << 20);
    auto txn = lmdb::transaction::write(env);
    const auto journal = txn.create_database("journal");
    const std::string value{txn.get(journal, be64(from)).value()};
    txn.put(journal, be64(to), value);
    txn.commit();
  };
  SUBCASE("a gap") {
    copy_to(3, 5);
    CHECK(has(open_message(dir), "journal record 4 is missing"));
  }
  SUBCASE("a whole record in the place of another") {
    copy_to(3, 2);
    CHECK(has(open_message(dir), "journal record 2"));
  }
  CHECK(open_fault(dir) == errc::damaged);
}

TEST_CASE("a damaged snapshot or record fails its entity and no other") {
  memory_directory dir;
  {
    auto store = open(dir);
    for (const char* id : {"a", "b"})
      REQUIRE(commit(store, change_of(id, 1, "payload")));
    materialise_all_of(store);
  }
  const char* database = "snapshots";
  SUBCASE("the body") {}
  SUBCASE("the record") {
    database = "entities";
  }
  tamper(dir, database, journal_key("a"), [](std::string& value) { value.back() = 'D'; });
  auto store = open(dir);
  const auto damaged = store.load(session_ref("a"));
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().code == errc::damaged);
  CHECK(has(damaged.error().message, "default/session/a"));
  if (database == std::string_view{"entities"})  // no body is read to commit
    CHECK(commit(store, change_of("a", 2, "x")).error().code == errc::damaged);
  CHECK(commit(store, change_of("b", 2, "x")));
  CHECK(text_of(store, "b") == "payload;x;");
}

TEST_CASE("a start with changes behind a damaged snapshot serves every other entity") {
  memory_directory dir;
  {
    auto store = open(dir);
    for (const char* id : {"a", "b"})
      REQUIRE(commit(store, change_of(id, 1, "payload")));
    materialise_all_of(store);
    REQUIRE(commit(store, change_of("a", 2, "x")));
    REQUIRE(commit(store, change_of("b", 2, "x")));
  }
  tamper(dir, "snapshots", journal_key("a"), [](std::string& value) { value.back() = 'D'; });
  auto store = open(dir);
  CHECK(store.load(session_ref("a")).error().code == errc::damaged);
  CHECK(text_of(store, "b") == "payload;x;");
}

TEST_CASE("a snapshot in the place of another is damaged") {
  memory_directory dir;
  {
    auto store = open(dir);
    for (const char* id : {"a", "b"})
      REQUIRE(commit(store, change_of(id, 1, std::string{"of "} + id)));
    materialise_all_of(store);
  }
  std::string other;
  tamper(dir, "snapshots", journal_key("a"), [&](std::string& value) { other = value; });
  tamper(dir, "snapshots", journal_key("b"), [&](std::string& value) { value = other; });
  auto store = open(dir);
  CHECK(store.load(session_ref("a")));
  CHECK(store.load(session_ref("b")).error().code == errc::damaged);
}

TEST_CASE("a journal record damaged while the store is open fails its entity and keeps the rest") {
  memory_directory dir;
  {
    auto store = open(dir);
    REQUIRE(commit(store, change_of("a", 1, "payload")));
    materialise_all_of(store);
  }
  tamper(dir, "journal", be64(1), [](std::string& value) { value.back() = 'D'; });
  auto store = open(dir);  // behind the watermark: not needed to start
  CHECK(text_of(store, "a") == "payload;");
  const auto read = store.for_each_record(1, 1, [](const journal_record&) { return true; });
  REQUIRE_FALSE(read);
  CHECK(read.error().code == errc::damaged);
  CHECK(has(read.error().message, "journal record 1"));
}

TEST_CASE("a full map refuses the batch whole and goes on with smaller ones and after growth") {
  memory_directory dir;
  auto options = small_map();
  options.map_bytes = 1 << 20;
  std::uint64_t held = 0;
  {
    auto store = open(dir, options);
    expected<commit_receipt> last = commit_receipt{};
    while ((last = commit(store, change_of("a", held + 1, std::string(100'000, 'x')))))
      REQUIRE(++held < 20);
    CHECK(last.error().code == errc::store_full);
    const std::vector<commit_request> batch{change_of("a", held + 1, "small"),
                                            change_of("b", 1, std::string(900'000, 'x')),
                                            change_of("a", held + 2, "small")};
    for (const auto& result : store.commit(batch))
      CHECK(result.error().code == errc::store_full);
    CHECK(store.stats().position == held);
    CHECK(store.failed() == nullptr);
    CHECK_FALSE(commit(store, change_of("a", held + 2, "pipelined behind the failed one")));
    CHECK(commit(store, change_of("a", held + 1, "small")));
    CHECK(store.load(session_ref("a"))->sequence == held + 1);
  }
  options.map_bytes = 64 << 20;
  auto store = open(dir, options);
  CHECK(store.load(session_ref("a"))->sequence == held + 1);
  CHECK(text_of(store, "b").empty());
  CHECK(commit(store, change_of("b", 1, std::string(900'000, 'x'))));
}

TEST_CASE("a slice that finds no room changes nothing") {
  memory_directory dir;
  auto options = small_map();
  options.map_bytes = 1 << 20;
  const auto inflate = [](entity_kind, std::string_view, const std::vector<std::string>&) {
    return expected<std::string>{std::string(900'000, 'x')};
  };
  {
    auto store = open(dir, options, inflate);
    REQUIRE(commit(store, change_of("a", 1, std::string(300'000, 'x'))));
    const auto full = store.materialise();
    REQUIRE_FALSE(full);
    CHECK(full.error().code == errc::store_full);
    CHECK(store.stats().materialised == 0);
    CHECK(store.load(session_ref("a"))->parts.changes.size() == 1);
    CHECK(commit(store, change_of("a", 2, "two")));
  }
  auto store = open(dir);
  CHECK(store.stats().materialised == 0);
  CHECK(text_of(store, "a") == std::string(300'000, 'x') + ";two;");
}

TEST_CASE("a namespace whose first change failed is known by name after the next") {
  memory_directory dir;
  const entity_ref ref{"tenant", entity_kind::session, "a"};
  auto store = open(dir);
  {
    broken_disk full{dir, broken_disk::what::pages, "/dev/full", O_RDWR};
    REQUIRE_FALSE(commit(store, {ref, 1, "one"}));
  }
  REQUIRE(commit(store, {ref, 1, "one"}));
  std::vector<entity_ref> listed;
  REQUIRE(store.for_each_entity([&](const entity_ref& x, std::uint64_t) {
    listed.push_back(x);
    return true;
  }));
  CHECK(listed == std::vector<entity_ref>{ref});
}

TEST_CASE("no room for pages is a certain failure and the store goes on when there is room again") {
  memory_directory dir;
  {
    auto store = open(dir, without_log());
    REQUIRE(commit(store, change_of("a", 1, "one")));
    {
      broken_disk full{dir, broken_disk::what::pages, "/dev/full", O_RDWR};
      CHECK(commit(store, change_of("a", 2, "two")).error().code == errc::store_full);
      CHECK(commit(store, change_of("a", 3, "three")).error().code
            == errc::store_failed);  // behind it
      CHECK(store.materialise().error().code == errc::store_full);
      CHECK(store.failed() == nullptr);
      CHECK(text_of(store, "a") == "one;");
    }
    CHECK_FALSE(commit(store, change_of("a", 3, "three")));
    CHECK(commit(store, change_of("a", 2, "two again")));
    materialise_all_of(store);
  }
  auto store = open(dir);
  CHECK(text_of(store, "a") == "one;two again;");
}

TEST_CASE("a meta page that cannot be written leaves the outcome unknown and stops the store") {
  memory_directory dir;
  {
    auto store = open(dir, without_log());
    REQUIRE(commit(store, change_of("a", 1, "one")));
    broken_disk full{dir, broken_disk::what::meta, "/dev/full", O_RDWR};
    const std::vector<commit_request> batch{change_of("a", 2, "two"), change_of("a", 9, "gap")};
    const auto results = store.commit(batch);
    CHECK(results[0].error().code == errc::outcome_unknown);
    CHECK(results[1].error().code == errc::store_failed);
    REQUIRE(store.failed() != nullptr);
    CHECK(store.failed()->code == errc::outcome_unknown);
    CHECK(commit(store, change_of("a", 3, "three")).error().code == errc::store_failed);
    CHECK(store.load(session_ref("a")).error().code == errc::store_failed);
    CHECK(store.materialise().error().code == errc::store_failed);
  }
  auto store = open(dir);
  CHECK(has(text_of(store, "a"), "one;"));
}

TEST_CASE("an I/O error of the pages stops the store") {
  memory_directory dir;
  {
    auto store = open(dir, without_log());
    REQUIRE(commit(store, change_of("a", 1, "one")));
    broken_disk broken{dir, broken_disk::what::pages, "/dev/null", O_RDONLY};
    CHECK(commit(store, change_of("a", 2, "two")).error().code == errc::outcome_unknown);
    REQUIRE(store.failed() != nullptr);
    CHECK(commit(store, change_of("a", 2, "two")).error().code == errc::store_failed);
  }
  auto store = open(dir);
  CHECK(text_of(store, "a") == "one;");
}

TEST_CASE("every code of LMDB and the system that means no room or a broken file is known") {
  using lmdb::classify;
  using lmdb::failure_kind;
  for (const int code : {ENOSPC, EDQUOT, EFBIG, -30792})  // MDB_MAP_FULL
    CHECK(classify(code) == failure_kind::full);
  for (const int code : {EIO, EBADF, EROFS, -30795, -30796, -30797,
                         -30793})  // PANIC CORRUPTED PAGE_NOTFOUND INVALID
    CHECK(classify(code) == failure_kind::fatal);
  for (const int code : {ENOMEM, EINTR, EINVAL, EAGAIN, -30798, -30788})  // NOTFOUND TXN_FULL
    CHECK(classify(code) == failure_kind::other);
}

TEST_CASE("no source of persistence names an LMDB flag that costs a promise") {
  const auto sources = fs::path{TROUPE_TEST_DIR}.parent_path() / "persistence";
  int files = 0;
  for (const auto& file : fs::recursive_directory_iterator{sources}) {
    if (file.path().extension() != ".cpp" && file.path().extension() != ".hpp")
      continue;
    ++files;
    std::ifstream in{file.path()};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    for (const auto* flag :
         {"MDB_NOSYNC", "MDB_NOMETASYNC", "MDB_MAPASYNC", "MDB_WRITEMAP", "MDB_NOLOCK"})
      CHECK_MESSAGE(!has(text, flag), file.path().string());
    const bool wrapper = file.path().filename() == "lmdb.cpp";
    CHECK_MESSAGE(has(text, "#include <lmdb.h>") == wrapper, file.path().string());
  }
  CHECK(files > 10);
}

TEST_CASE("compaction frees a damaged record that nobody is promised and stops at one that is") {
  memory_directory dir;
  const auto fold = [](entity_kind kind, const stored_parts& stored) {
    auto out = fold_texts(join)(kind, stored);
    out->keep_from = 4;
    return out;
  };
  {
    auto store = *journal_store::open(dir.store(), small_map(), fold);
    for (std::uint64_t i = 1; i <= 6; ++i) {
      REQUIRE(commit(store, change_of("a", i, "payload")));
      if (i % 3 == 0)  // from the third on: there is a body of it
        materialise_all_of(store);
    }
  }
  bool promised = false;
  SUBCASE("nobody") {}
  SUBCASE("promised") {
    promised = true;
  }
  tamper(dir, "journal", be64(promised ? 5 : 2), [](std::string& value) { value.back() = 'D'; });
  auto store = *journal_store::open(dir.store(), small_map(), fold);
  const auto done = store.compact(1'000, 0);
  REQUIRE(done.has_value() == !promised);
  CHECK(store.stats().first == (promised ? 1 : 7));
  if (promised) {
    CHECK(done.error().code == errc::damaged);
    CHECK(has(done.error().message, "journal record 5"));
  } else {
    CHECK(store.load_at(session_ref("a"), 5)->sequence == 5);
  }
}
