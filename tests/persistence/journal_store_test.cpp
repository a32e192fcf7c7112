#include "store_fixture.hpp"

#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/record.hpp>
#include <troupe/persistence/internal/tail_index.hpp>

#include <sys/stat.h>

#include <fstream>
#include <map>
#include <random>

using namespace troupe;
using namespace troupe::testing;
using internal::be64;

namespace fs = std::filesystem;

namespace {

std::string key_of(const std::string& id) {
  return internal::entity_key(internal::hash_namespace("default"), entity_kind::session, id);
}

void write(const fs::path& file, std::string_view bytes) {
  std::ofstream{file, std::ios::binary} << bytes;
}

mode_t mode_of(const fs::path& path) {
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

errc open_fault(const temp_directory& dir) {
  const auto out = try_open(dir);
  return out ? errc{} : out.error().code;
}

std::string open_message(const temp_directory& dir) {
  const auto out = try_open(dir);
  return out ? "" : out.error().message;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_SUITE("journal_store") {

TEST_CASE("a change that was committed is there after the store was opened again") {
  temp_directory dir;
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
  temp_directory dir;
  auto store = open(dir);
  const auto stored = store.load(session_ref("nobody"));
  REQUIRE(stored);
  CHECK(stored->snapshot.empty());
  CHECK(stored->changes.empty());
  CHECK(stored->sequence == 0);
  CHECK(commit(store, change_of("nobody", 2, "x")).error().code == errc::store_failed);
  CHECK(commit(store, change_of("nobody", 0, "x")).error().code == errc::store_failed);
  CHECK(commit(store, change_of("nobody", 1, "x")));
}

TEST_CASE("a change that does not follow is refused alone and its batch is committed once") {
  temp_directory dir;
  auto store = open(dir);
  REQUIRE(commit(store, change_of("a", 1, "one")));
  const std::vector<commit_request> batch{change_of("a", 2, "two"), change_of("b", 2, "gap"),
                                          change_of("a", 4, "gap"), change_of("a", 2, "again"),
                                          change_of("a", 3, "three"), change_of("", 1, "no id"),
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
  temp_directory dir;
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
  temp_directory dir;
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
  temp_directory dir;
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
    CHECK(store.load(session_ref("a"))->changes.empty());
    REQUIRE(commit(store, change_of("a", 21, "21")));
    CHECK(store.load(session_ref("a"))->changes.size() == 1);
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

TEST_CASE("a slice stays within its bytes and folds an entity over its whole tail") {
  temp_directory dir;
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
    CHECK(store.load(session_ref("hot"))->changes.empty());
    CHECK(store.load(session_ref("hot"))->sequence == 50);
    CHECK(store.load(session_ref("cold50"))->changes.size() == 1);
  }
  auto store = open(dir, options, counting);  // the journal behind the watermark has changes of `hot` that are covered
  CHECK(store.load(session_ref("hot"))->changes.empty());
  REQUIRE(commit(store, change_of("hot", 51, "y")));
  materialise_all_of(store);
  CHECK(folds == 1 + 50 + 1);
  CHECK(store.load(session_ref("hot"))->sequence == 51);
}

TEST_CASE("a tail that cannot be folded keeps the watermark before it and loses nothing") {
  temp_directory dir;
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
  temp_directory dir;
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
  temp_directory dir;
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
  temp_directory dir;
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
  CHECK(stored->changes == std::vector<std::string>{large, ""});
  materialise_all_of(store);
  CHECK(store.load(session_ref("a"))->snapshot == large + ";;");
}

// The random commands against a model ---------------------------------------------------------------------------------

TEST_CASE("whatever is committed and materialised and reopened equals a model") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed ", seed);
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t n) { return random() % n; };
    auto options = small_map();
    options.clean_entries = below(3) * 4;
    temp_directory dir;
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
          batch.push_back(change_of(id, sequence, std::to_string(random()) + std::string(below(300), '.')));
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

// The directory -------------------------------------------------------------------------------------------------------

TEST_CASE("a new store is closed to other users") {
  temp_directory dir;
  const auto store = open(dir);
  CHECK(mode_of(dir.store()) == 0700);
  for (const auto* file : {"data.mdb", "lock.mdb", "owner.lock"})
    CHECK(mode_of(dir.store() / file) == 0600);
  CHECK_FALSE(fs::exists(dir.store() / "creating"));
}

TEST_CASE("an empty directory is closed to others and one with content is refused") {
  temp_directory dir;
  fs::create_directory(dir.store());
  ::chmod(dir.store().c_str(), 0755);
  { const auto store = open(dir); }
  CHECK(mode_of(dir.store()) == 0700);
  ::chmod(dir.store().c_str(), 0750);
  CHECK(open_fault(dir) == errc::store_failed);
  CHECK(has(open_message(dir), "chmod 700"));
}

TEST_CASE("a second open of the directory is refused and names the owner") {
  temp_directory dir;
  {
    const auto store = open(dir);
    CHECK(open_fault(dir) == errc::busy);
    CHECK(has(open_message(dir), "in use by pid " + std::to_string(::getpid())));
  }
  CHECK(try_open(dir));
}

TEST_CASE("symbolic links are refused wherever they stand") {
  temp_directory dir;
  { const auto store = open(dir); }
  fs::create_directory_symlink(dir.store(), dir.path() / "link");
  for (const auto* name : {"link", "link/"}) {
    const auto out = journal_store::open(dir.path() / name, {}, join);
    REQUIRE_FALSE(out);
    CHECK(out.error().code == errc::damaged);
    CHECK(has(out.error().message, "symbolic link"));
  }
  for (const auto* name : {"data.mdb", "lock.mdb", "owner.lock"}) {
    fs::rename(dir.store() / name, dir.path() / name);
    fs::create_symlink(dir.path() / name, dir.store() / name);
    CHECK(open_fault(dir) == errc::damaged);
    fs::remove(dir.store() / name);
    fs::rename(dir.path() / name, dir.store() / name);
  }
  CHECK(try_open(dir));
}

TEST_CASE("a store that was truncated anywhere is refused and does not end the process") {
  temp_directory dir;
  {
    auto store = open(dir);
    for (std::uint64_t i = 1; i <= 200; ++i)
      REQUIRE(commit(store, change_of("a", i, std::string(3'000, 'x'))));
  }
  const auto file = dir.store() / "data.mdb";
  const auto size = fs::file_size(file);
  const auto saved = dir.path() / "saved";
  fs::copy_file(file, saved);
  // The file is longer than what is used; below that, every length is too short.
  constexpr std::uintmax_t used = 200 * 4'096;
  for (const auto length : {used, used - 1, used / 2, std::uintmax_t{8'192}, std::uintmax_t{8'191},
                            std::uintmax_t{4'096}, std::uintmax_t{100}, std::uintmax_t{0}}) {
    REQUIRE(length < size);
    fs::resize_file(file, length);
    const auto out = try_open(dir);
    REQUIRE_FALSE(out);
    CHECK(out.error().code == errc::damaged);
    CHECK(has(out.error().message, "truncated"));
    fs::copy_file(saved, file, fs::copy_options::overwrite_existing);
  }
  auto store = open(dir);
  CHECK(store.load(session_ref("a"))->sequence == 200);
}

TEST_CASE("the file is never shorter than its meta pages say") {
  temp_directory dir;
  auto options = small_map();
  options.slice_bytes = 100'000;
  std::mt19937_64 random{7};
  std::map<std::string, std::uint64_t> sequences;
  for (int i = 0; i < 300; ++i) {
    auto store = open(dir, options);  // refuses a file that is shorter
    std::vector<commit_request> batch;
    for (int n = 0; n < 20; ++n) {
      const auto id = std::to_string(random() % 50);
      batch.push_back(change_of(id, ++sequences[id], std::string(random() % 3'000, 'x')));
    }
    for (const auto& result : store.commit(batch))
      REQUIRE(result);
    if (i % 3 == 0)
      REQUIRE(store.materialise());
  }
}

TEST_CASE("a file that is no Troupe store is refused and named") {
  temp_directory dir;
  fs::create_directory(dir.store());
  ::chmod(dir.store().c_str(), 0700);
  write(dir.store() / "data.mdb", std::string(10'000, 'x'));
  CHECK(open_fault(dir) == errc::damaged);
  CHECK(has(open_message(dir), "no Troupe store"));
  fs::remove(dir.store() / "data.mdb");
  {
    auto env = lmdb::environment::open(dir.store(), 1 << 20);
    auto txn = lmdb::transaction::write(env);
    txn.put(txn.create_database("something"), "a", "b");
    txn.commit();
  }
  CHECK(open_fault(dir) == errc::damaged);
  CHECK(has(open_message(dir), "no Troupe store"));
}

TEST_CASE("a creation that was interrupted is begun again") {
  temp_directory dir;
  fs::create_directories(dir.store() / "creating");
  ::chmod(dir.store().c_str(), 0700);
  write(dir.store() / "creating" / "data.mdb", std::string(8'192, '\0'));
  auto store = open(dir);
  CHECK(commit(store, change_of("a", 1, "x")));
}

// Formats and damage --------------------------------------------------------------------------------------------------

TEST_CASE("a store of a newer format is refused as newer") {
  temp_directory dir;
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
  for (const auto key : {internal::meta_key::format, internal::meta_key::watermark,
                         internal::meta_key::epoch}) {
    temp_directory dir;
    { const auto store = open(dir); }
    tamper(dir, "meta", key, [](std::string& value) { value[1] = 1; });
    CHECK(open_fault(dir) == errc::damaged);
    CHECK(has(open_message(dir), key));
  }
}

TEST_CASE("a damaged record in the tail refuses to start and is named") {
  temp_directory dir;
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
  temp_directory dir;
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

TEST_CASE("a damaged snapshot fails its entity and no other") {
  temp_directory dir;
  {
    auto store = open(dir);
    for (const char* id : {"a", "b"})
      REQUIRE(commit(store, change_of(id, 1, "payload")));
    materialise_all_of(store);
  }
  tamper(dir, "snapshots", key_of("a"), [](std::string& value) { value.back() = 'D'; });
  auto store = open(dir);
  const auto damaged = store.load(session_ref("a"));
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().code == errc::damaged);
  CHECK(has(damaged.error().message, "default/session/a"));
  CHECK(commit(store, change_of("a", 2, "x")).error().code == errc::damaged);
  CHECK(commit(store, change_of("b", 2, "x")));
  CHECK(text_of(store, "b") == "payload;x;");
}

TEST_CASE("a snapshot in the place of another is damaged") {
  temp_directory dir;
  {
    auto store = open(dir);
    for (const char* id : {"a", "b"})
      REQUIRE(commit(store, change_of(id, 1, std::string{"of "} + id)));
    materialise_all_of(store);
  }
  std::string other;
  tamper(dir, "snapshots", key_of("a"), [&](std::string& value) { other = value; });
  tamper(dir, "snapshots", key_of("b"), [&](std::string& value) { value = other; });
  auto store = open(dir);
  CHECK(store.load(session_ref("a")));
  CHECK(store.load(session_ref("b")).error().code == errc::damaged);
}

TEST_CASE("a journal record damaged while the store is open fails its entity and keeps the rest") {
  temp_directory dir;
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

// No room and broken disks --------------------------------------------------------------------------------------------

TEST_CASE("a full map refuses the batch whole and goes on with smaller ones and after growth") {
  temp_directory dir;
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

TEST_CASE("no room for pages is a certain failure and the store goes on when there is room again") {
  temp_directory dir;
  {
    auto store = open(dir);
    REQUIRE(commit(store, change_of("a", 1, "one")));
    {
      broken_disk full{dir, broken_disk::what::pages, "/dev/full", O_RDWR};
      CHECK(commit(store, change_of("a", 2, "two")).error().code == errc::store_full);
      CHECK(commit(store, change_of("a", 3, "three")).error().code == errc::store_failed);  // behind it
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
  temp_directory dir;
  {
    auto store = open(dir);
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
  temp_directory dir;
  {
    auto store = open(dir);
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
  for (const int code : {EIO, EBADF, EROFS, -30795, -30796, -30797, -30793})  // PANIC CORRUPTED PAGE_NOTFOUND INVALID
    CHECK(classify(code) == failure_kind::fatal);
  for (const int code : {ENOMEM, EINTR, EINVAL, EAGAIN, -30798, -30788})  // NOTFOUND TXN_FULL
    CHECK(classify(code) == failure_kind::other);
}

// The index -----------------------------------------------------------------------------------------------------------

TEST_CASE("the index remembers entities without tail in bounded number and those with one always") {
  internal::tail_index index{100};
  for (int i = 0; i < 10'000; ++i)
    index.remember("clean" + std::to_string(i), 1);
  CHECK(index.clean() <= 102);
  CHECK(index.sequence("clean9999") == 1);
  CHECK_FALSE(index.sequence("clean0").has_value());
  for (int i = 0; i < 1'000; ++i)
    index.append(nullptr, "tail" + std::to_string(i), 7, 1);
  CHECK(index.tails() == 1'000);
  CHECK(index.sequence("tail0") == 7);
  index.take_back(*index.find("tail0"));
  CHECK(index.find("tail0") == nullptr);
  CHECK(index.sequence("tail0") == 6);
}

}  // TEST_SUITE
