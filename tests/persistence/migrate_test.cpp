#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/migrate.hpp>

#include "store_fixture.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::testing;
namespace fs = std::filesystem;

namespace {

constexpr auto older = internal::current_store_format - 1;
constexpr auto oldest = internal::current_store_format - 2;

/// A store as two older formats would have written it: the one before kept namespaces in a database
/// `names`, with a `!` in front of each name; the one before that had the watermark under another
/// name, too.
void make_older(const memory_directory& dir, std::uint64_t format) {
  auto env = lmdb::environment::open(dir.store(), 64 << 20);
  env.reserve(0);
  auto txn = lmdb::transaction::write(env);
  const auto meta = txn.create_database("meta");
  const auto names = txn.create_database("names"), now = txn.create_database("namespaces");
  std::vector<std::pair<std::string, std::string>> all;
  {
    lmdb::cursor at{txn, now};
    for (auto entry = at.first(); entry; entry = at.first()) {
      all.emplace_back(entry->key, entry->value);
      at.erase();
    }
  }
  for (const auto& [key, name] : all)
    txn.put(names, key, '!' + name);
  internal::write_number(txn, meta, internal::meta_key::format, format);
  if (format == oldest) {
    const auto watermark = internal::read_number(txn, meta, internal::meta_key::watermark);
    REQUIRE(watermark);
    internal::write_number(txn, meta, "snapshotted", *watermark);
  }
  txn.commit();
}

const std::vector<std::string> older_databases{
    "meta",   "journal", "entities", "snapshots",    "versions",   "changes", "pins",
    "chunks", "logs",    "answers",  "answer_times", "namespaces", "names"};

expected<void> names_move(const stored_entry& entry, const entry_sink& sink) {
  if (entry.database != "names") {
    sink(entry);
    return {};
  }
  if (!entry.value.starts_with('!'))
    return fail(errc::newer_format, "a name of an unknown kind");
  sink({"namespaces", entry.key, entry.value.substr(1)});
  return {};
}

expected<void> watermark_is_renamed(const stored_entry& entry, const entry_sink& sink) {
  if (entry.database != "meta" || entry.key != "snapshotted")
    sink(entry);
  return {};
}

const std::vector<migration> steps{
    {oldest, "the watermark has its own name", older_databases, watermark_is_renamed},
    {older, "names move", older_databases, names_move}};

expected<migration_report> migrate_of(const memory_directory& dir, bool dry_run = false,
                                      std::span<const migration> with = steps) {
  return migrate_store(dir.store(), fold_texts(join), {.dry_run = dry_run}, with);
}

/// Two namespaces, an entity with a snapshot and a tail.
void fill(const memory_directory& dir) {
  auto store = open(dir);
  REQUIRE(commit(store, change_of("a", 1, "one")));
  REQUIRE(commit(store, {{"other", entity_kind::team, "t"}, 1, "uno"}));
  materialise_all_of(store);
  REQUIRE(commit(store, change_of("a", 2, "two")));
}

std::string file_of(const memory_directory& dir) {
  std::string out;
  auto* file = std::fopen((dir.store() / "data.mdb").c_str(), "rb");
  REQUIRE(file != nullptr);
  char block[4'096];
  while (const auto size = std::fread(block, 1, sizeof block, file))
    out.append(block, size);
  std::fclose(file);
  return out;
}

}  // namespace

TEST_CASE("a store of an older format is not opened before it is migrated") {
  memory_directory dir;
  fill(dir);
  make_older(dir, older);
  CHECK(open_fault(dir) == errc::damaged);
}

TEST_CASE("a migrated store holds everything and goes on") {
  for (const auto format : {older, oldest}) {
    CAPTURE(format);
    memory_directory dir;
    fill(dir);
    make_older(dir, format);
    const auto done = migrate_of(dir);
    REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
    CHECK(done->format == format);
    CHECK(done->target == internal::current_store_format);
    CHECK(done->steps.size() == internal::current_store_format - format);
    CHECK(done->changed == (format == older ? 2U : 3U));
    auto store = open(dir);
    CHECK(text_of(store, "a") == "one;two;");
    CHECK(content(*store.load({"other", entity_kind::team, "t"})) == "uno;");
    CHECK(store.stats().position == 3);
    CHECK(store.stats().materialised == 2);
    CHECK(commit(store, change_of("a", 3, "three")));
    CHECK_FALSE(fs::exists(dir.store() / "replacing"));
  }
}

TEST_CASE("a dry run tells what would be done and writes nothing") {
  memory_directory dir;
  fill(dir);
  make_older(dir, oldest);
  const auto before = file_of(dir);
  const auto told = migrate_of(dir, true);
  REQUIRE(told);
  CHECK(told->steps == std::vector<std::string>{"the watermark has its own name", "names move"});
  CHECK(told->changed == 3);
  CHECK(file_of(dir) == before);
  CHECK_FALSE(fs::exists(dir.store() / "replacing"));
  const auto done = migrate_of(dir);
  REQUIRE(done);
  CHECK(done->entries == told->entries);
  CHECK(done->changed == told->changed);
}

TEST_CASE("a record that a migration does not know refuses the store as it is") {
  memory_directory dir;
  fill(dir);
  make_older(dir, older);
  std::string key;
  {
    const auto hash = internal::hash_namespace("other");
    key.assign(hash.begin(), hash.end());
  }
  tamper(dir, "names", key, [](std::string& name) { name = "?other"; });
  const auto before = file_of(dir);
  for (const bool dry_run : {true, false}) {
    const auto refused = migrate_of(dir, dry_run);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::newer_format);
    CHECK(has(refused.error().message, "a name of an unknown kind"));
    CHECK(file_of(dir) == before);
  }
  CHECK_FALSE(fs::exists(dir.store() / "replacing"));
}

TEST_CASE("a database that the older format does not have refuses the store as it is") {
  memory_directory dir;
  fill(dir);
  make_older(dir, older);
  tamper(dir, "surprises", "key", [](std::string& value) { value = "x"; });
  const auto refused = migrate_of(dir);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::newer_format);
  CHECK(has(refused.error().message, "surprises"));
}

TEST_CASE("a migration that loses a record is found before the old store is replaced") {
  memory_directory dir;
  fill(dir);
  make_older(dir, older);
  const auto before = file_of(dir);
  const std::vector<migration> careless{
      {older, "forgets the journal", older_databases,
       [](const stored_entry& entry, const entry_sink& sink) -> expected<void> {
         if (entry.database != "journal" || entry.key.back() != 1)
           return names_move(entry, sink);
         return {};
       }}};
  const auto refused = migrate_of(dir, false, careless);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::damaged);
  CHECK(file_of(dir) == before);
}

TEST_CASE("a format that no migration begins at and a newer one are refused") {
  memory_directory dir;
  fill(dir);
  make_older(dir, oldest);
  CHECK(migrate_of(dir, false, {steps.data() + 1, 1}).error().code == errc::damaged);
  make_older(dir, internal::current_store_format + 1);
  CHECK(migrate_of(dir).error().code == errc::newer_format);
}

TEST_CASE("a current store is walked and one with a damaged record is refused") {
  memory_directory dir;
  fill(dir);
  const auto fine = migrate_of(dir, true);
  REQUIRE(fine);
  CHECK(fine->steps.empty());
  CHECK(fine->entries == 5);  // two entities, three records
  tamper(dir, "journal", std::string{"\0\0\0\0\0\0\0\1", 8},
         [](std::string& value) { value.back() ^= 1; });
  CHECK(migrate_of(dir, true).error().code == errc::damaged);
}

TEST_CASE("an open store and a directory without one are not migrated") {
  memory_directory dir;
  CHECK(migrate_of(dir).error().code == errc::damaged);
  CHECK_FALSE(fs::exists(dir.store()));
  CHECK(migrate_store(dir.path(), fold_texts(join)).error().code == errc::damaged);
  const auto store = open(dir);
  CHECK(migrate_of(dir).error().code == errc::busy);
}
