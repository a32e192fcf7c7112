#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/commit_mark.hpp>
#include <troupe/persistence/internal/file_system.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/pages.hpp>
#include <troupe/persistence/internal/record.hpp>
#include <troupe/persistence/verify.hpp>
#include <troupe/state/decide.hpp>

#include "store_fixture.hpp"

#include <fstream>
#include <map>

using namespace troupe;
using namespace troupe::testing;
using internal::be64;

namespace fs = std::filesystem;

namespace {

void fill(const memory_directory& dir, const journal_options& options = small_map()) {
  auto store = open(dir, options);
  for (std::uint64_t i = 1; i <= 20; ++i)
    for (const char* id : {"a", "b", "c"})
      REQUIRE(commit(store, change_of(id, i, std::string(300 * i, *id))));
  REQUIRE(store.materialise());
}

verify_report report_of(const memory_directory& dir) {
  auto out = verify_store(dir.store());
  REQUIRE_MESSAGE(out, (out ? "" : out.error().message));
  return *out;
}

std::string faults_of(const memory_directory& dir) {
  std::string out;
  for (const auto& fault : report_of(dir).faults)
    out += fault + "\n";
  return out;
}

/// The bytes of the file at page `number`, changed.
void change_page(const memory_directory& dir, std::uint64_t number, std::size_t at, char to) {
  std::fstream file{dir.store() / "data.mdb", std::ios::in | std::ios::out | std::ios::binary};
  file.seekp(static_cast<std::streamoff>(number * 4'096 + at));
  file.put(to);
}

}  // namespace

TEST_CASE("a sound store verifies and says what it holds") {
  memory_directory dir;
  fill(dir);
  const auto report = report_of(dir);
  CHECK(report.sound());
  CHECK(report.clean);
  CHECK(report.warnings.empty());
  CHECK(report.position == 60);
  CHECK(report.records == 60);
  CHECK(report.snapshots == 3);
  CHECK(report.name_spaces == 1);
  CHECK(report.pages > 20);
  const auto same = verify_in_child(dir.store());
  REQUIRE(same);
  CHECK(same->records == 60);
  CHECK(same->sound());
}

TEST_CASE("a fork that was deleted and folded is no fault") {
  memory_directory dir;
  {
    auto store = *journal_store::open(dir.store(), small_map(), fold_entities());
    std::map<std::string, entity_state> now;
    const auto does = [&](const std::string& id, const operation& what) {
      const auto decided =
          decide(now[id], {.entity = session_ref(id), .operations = {what}}, {.now = {1'000}});
      REQUIRE(decided);
      auto request = change_of(id, decided->what.revision, encode(decided->what));
      if (const auto* fork = std::get_if<fork_from>(&what)) {
        request.base = std::make_shared<const entity_parts>(split_entity(fork->base));
        request.parent = fork->parent;
      }
      REQUIRE(commit(store, request));
      now[id] = decided->next;
    };
    does("parent", create{});
    does("fork",
         fork_from{session_ref("parent"), std::make_shared<const entity_state>(now["parent"])});
    does("fork", erase{});
    materialise_all_of(store);
  }
  CHECK(faults_of(dir) == "");
}

TEST_CASE("verify names what is damaged and goes on to the next fault") {
  memory_directory dir;
  fill(dir);
  tamper(dir, "journal", be64(7), [](std::string& value) { value.back() = 'D'; });
  tamper(dir, "journal", be64(50), [](std::string& value) { value.back() = 'D'; });
  tamper(dir, "snapshots",
         internal::entity_key(internal::hash_namespace("default"), entity_kind::session, "b"),
         [](std::string& value) { value.back() = 'D'; });
  const auto faults = faults_of(dir);
  CHECK(has(faults, "journal record 7: its checksum"));
  CHECK(has(faults, "journal record 50: its checksum"));
  CHECK(has(faults, "snapshot of b: its checksum"));
  const auto in_child = verify_in_child(dir.store());
  REQUIRE(in_child);
  CHECK(in_child->fault_count == report_of(dir).fault_count);
}

TEST_CASE("verify finds what no checksum holds") {
  memory_directory dir;
  fill(dir);
  SUBCASE("a count of meta") {
    auto env = lmdb::environment::open(dir.store(), 64 << 20);
    auto txn = lmdb::transaction::write(env);
    internal::write_number(txn, txn.create_database("meta"), internal::meta_key::covered, 1);
    txn.commit();
  }
  SUBCASE("a watermark behind the snapshots") {
    auto env = lmdb::environment::open(dir.store(), 64 << 20);
    auto txn = lmdb::transaction::write(env);
    internal::write_number(txn, txn.create_database("meta"), internal::meta_key::watermark, 61);
    txn.commit();
  }
  SUBCASE("the name of a namespace") {
    const auto hash = internal::hash_namespace("default");
    tamper(dir, "namespaces", {hash.data(), hash.size()},
           [](std::string& value) { value = "another"; });
  }
  CHECK_FALSE(report_of(dir).sound());
}

TEST_CASE("every page whose head is damaged is found before LMDB reads it") {
  memory_directory dir;
  fill(dir);
  const auto saved = dir.path() / "saved";
  fs::copy_file(dir.store() / "data.mdb", saved);
  const auto pages = report_of(dir).pages;
  int found = 0;
  for (std::uint64_t page = 2; page < pages; ++page) {
    change_page(dir, page, 0, '\x7f');  // its number
    found += report_of(dir).sound() ? 0 : 1;
    {
      auto store = try_open(dir);  // must not end the process, whatever it says
      if (store) {
        static_cast<void>(commit(*store, change_of("d", 1, "x")));
        CHECK(store->failed() == nullptr);
      } else {
        CHECK(store.error().code == errc::damaged);
      }
    }
    fs::copy_file(saved, dir.store() / "data.mdb", fs::copy_options::overwrite_existing);
  }
  CHECK(found > 15);
}

TEST_CASE("an entity whose key was damaged is not taken for one that never was") {
  memory_directory dir;
  {
    auto store = open(dir);
    for (const char* id : {"a", "m", "z"})
      REQUIRE(commit(store, change_of(id, 1, std::string{"of "} + id)));
    materialise_all_of(store);
  }
  const auto key =
      internal::entity_key(internal::hash_namespace("default"), entity_kind::session, "m");
  std::string data;
  {
    std::ifstream in{dir.store() / "data.mdb", std::ios::binary};
    data.assign(std::istreambuf_iterator<char>{in}, {});
  }
  int changed = 0;
  for (auto at = data.find(key); at != data.npos; at = data.find(key, at + 1), ++changed)
    data[at + key.size() - 1] = 'n';  // between its neighbours still
  REQUIRE(changed > 0);
  std::ofstream{dir.store() / "data.mdb", std::ios::binary | std::ios::trunc} << data;
  auto store = open(dir);
  CHECK(text_of(store, "a") == "of a;");
  CHECK(text_of(store, "z") == "of z;");
  CHECK(store.load(session_ref("m")).error().code == errc::damaged);
  CHECK(commit(store, change_of("m", 1, "a new one")).error().code == errc::damaged);
  CHECK(store.failed() == nullptr);
}

TEST_CASE("a damaged free list refuses to start before LMDB writes by it") {
  memory_directory dir;
  fill(dir);
  {
    const internal::unique_fd fd{::open((dir.store() / "data.mdb").c_str(), O_RDONLY)};
    lmdb::page_file pages{fd.get()};
    const auto& free = pages.head().free;
    REQUIRE(free.depth == 1);
    const auto root = pages.read(free.root, free, 1, {});
    const auto at = static_cast<std::size_t>(root[0].value.data() - root.bytes.get());
    change_page(dir, free.root, at, '\x7f');  // how many pages are free
  }
  CHECK(open_fault(dir) == errc::damaged);
  CHECK(has(open_message(dir), "free list"));
  CHECK_FALSE(report_of(dir).sound());
}

TEST_CASE("a store that is no store is an error of verify and not a fault") {
  memory_directory dir;
  CHECK(verify_store(dir.store()).error().code == errc::damaged);
  fill(dir);
  fs::resize_file(dir.store() / "data.mdb", 5'000);
  CHECK(verify_store(dir.store()).error().code == errc::damaged);
  CHECK(verify_in_child(dir.store()).error().code == errc::damaged);
}

TEST_CASE("an older copy of a store is served with a warning that says how much is missing") {
  memory_directory dir;
  fill(dir);
  fs::copy_file(dir.store() / "data.mdb", dir.path() / "older");
  {
    auto store = open(dir);
    CHECK(store.started().warnings.empty());
    REQUIRE(commit(store, change_of("a", 21, "one more")));
  }
  fs::copy_file(dir.path() / "older", dir.store() / "data.mdb",
                fs::copy_options::overwrite_existing);
  const auto warnings = report_of(dir).warnings;
  REQUIRE(warnings.size() == 1);
  auto store = open(dir);
  REQUIRE(store.started().warnings.size() == 1);
  CHECK(store.started().warnings == warnings);
  CHECK(has(warnings.front(), "ends at change 60"));
  CHECK(has(warnings.front(), "change 61 was on disk"));
}

TEST_CASE("another history of the same length is warned of") {
  memory_directory dir, other;
  for (const auto* one : {&dir, &other}) {
    auto store = open(*one);
    REQUIRE(commit(store, change_of("a", 1, one == &dir ? "this" : "that")));
  }
  fs::copy_file(other.store() / "data.mdb", dir.store() / "data.mdb",
                fs::copy_options::overwrite_existing);
  const auto store = open(dir);
  REQUIRE(store.started().warnings.size() == 1);
  CHECK(has(store.started().warnings.front(), "not the one that was acknowledged"));
}

TEST_CASE("a start knows whether the store was closed") {
  memory_directory dir;
  { CHECK(open(dir).started().clean); }
  { CHECK(open(dir).started().clean); }
  const auto mark = dir.store() / "commit.mark";
  std::string while_open;
  {
    const auto store = open(dir);
    std::ifstream in{mark, std::ios::binary};
    while_open.assign(std::istreambuf_iterator<char>{in}, {});
  }
  std::ofstream{mark, std::ios::binary | std::ios::trunc} << while_open;
  { CHECK_FALSE(open(dir).started().clean); }
  CHECK(open(dir).started().clean);
  fs::remove(mark);
  CHECK_FALSE(open(dir).started().clean);
}

TEST_CASE("a mark is read back and one with a flipped bit is none") {
  const internal::commit_mark mark{77, 0xdeadbeef, true};
  const auto bytes = internal::encode(mark);
  CHECK(bytes.size() == 512);
  CHECK(internal::decode_mark(bytes) == mark);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    CHECK_FALSE(internal::decode_mark(flipped));
  }
}

TEST_CASE("a file system of other machines is refused unless it is allowed") {
  memory_directory dir;
  const auto on = [&](std::uint64_t magic, bool allow) {
    const auto out =
        internal::data_directory::acquire(dir.store(), allow, [magic](int) { return magic; });
    return out ? errc{} : out.error().code;
  };
  for (const auto magic : {0x6969, 0x65735546, 0x01021997, 0x517b})
    CHECK(on(static_cast<std::uint64_t>(magic), false) == errc::remote_file_system);
  CHECK(on(0xfe534d42, false) == errc::remote_file_system);
  CHECK(on(0x6969, true) == errc{});
  for (const auto magic : {0xef53, 0x58465342, 0x01021994, 0x794c7630})  // ext4 xfs tmpfs overlay
    CHECK(on(static_cast<std::uint64_t>(magic), false) == errc{});
}

TEST_CASE("a store that is full but for its reserve takes what frees and then what adds") {
  memory_directory dir;
  auto options = small_map();
  options.quota_bytes = 12 << 20;
  options.reserve_bytes = 1 << 20;
  options.covered_bytes = 0;
  const auto cleared = [](entity_kind, std::string_view snapshot,
                          const std::vector<std::string>& changes) {
    return expected<std::string>{changes.back() == "D" ? "" : std::string{snapshot} + "x"};
  };
  auto store = open(dir, options, cleared);
  std::uint64_t held = 0;
  while (commit(store, change_of("a", held + 1, std::string(50'000, 'x'))))
    REQUIRE(++held < 500);
  CHECK(held > 100);
  CHECK(store.short_of_room());
  const auto refused = commit(store, change_of("a", held + 1, std::string(50'000, 'x')));
  CHECK(refused.error().code == errc::store_full);
  const std::vector<commit_request> mixed{change_of("b", 1, std::string(50'000, 'x')),
                                          {session_ref("a"), held + 1, "D", true}};
  const auto results = store.commit(mixed);
  CHECK(results[0].error().code == errc::store_full);
  CHECK(results[1]);
  while (store.stats().tail_bytes != 0)
    REQUIRE(store.materialise());
  while (store.stats().covered_bytes != 0)
    REQUIRE(store.compact());
  CHECK(*store.live_bytes() < (2U << 20));
  CHECK(commit(store, change_of("b", 1, std::string(50'000, 'x'))));
  CHECK(fs::file_size(dir.store() / "data.mdb") <= options.quota_bytes);
}
