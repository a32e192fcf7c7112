#include <troupe/persistence/maintenance.hpp>

#include "store_fixture.hpp"
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

using namespace troupe;
using namespace troupe::testing;
namespace fs = std::filesystem;

namespace {

std::string big(char c) {
  return std::string(20'000, c);
}

/// Two entities, one of them in a snapshot, and pages that are free.
journal_store filled(const memory_directory& dir, const journal_options& options = small_map()) {
  auto store = open(dir, options);
  REQUIRE(commit(store, change_of("a", 1, "one")));
  for (std::uint64_t i = 1; i <= 40; ++i)
    REQUIRE(commit(store, change_of("b", i, big(static_cast<char>('a' + i % 26)))));
  materialise_all_of(store);
  REQUIRE(commit(store, change_of("a", 2, "two")));
  return store;
}

journal_store open_at(const fs::path& path) {
  auto out = journal_store::open(path, small_map(), fold_texts(join));
  REQUIRE_MESSAGE(out, (out ? "" : out.error().message));
  return std::move(*out);
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator{directory})
    out.push_back(entry.path().filename().string());
  std::ranges::sort(out);
  return out;
}

unsigned mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

}  // namespace

TEST_CASE("a backup holds what the store held and nothing that came later") {
  memory_directory dir;
  auto store = filled(dir);
  for (const bool compacting : {false, true}) {
    CAPTURE(compacting);
    const auto to = dir.path() / (compacting ? "compact" : "plain");
    const auto before = text_of(store, "a");
    const auto made = store.backup(to, {.compacting = compacting});
    REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
    REQUIRE(commit(store, change_of("a", store.load(session_ref("a"))->sequence + 1, "later")));
    CHECK(made->content.entities == 2);
    CHECK(made->bytes == fs::file_size(to / "data.mdb"));
    CHECK(mode_of(to) == 0700);
    CHECK(mode_of(to / "data.mdb") == 0600);
    CHECK(names_in(to) == std::vector<std::string>{"data.mdb"});
    auto copy = open_at(to);
    CHECK(text_of(copy, "a") == before);
    CHECK(text_of(copy, "b") == text_of(store, "b"));
    CHECK(copy.stats().position == made->content.position);
  }
  CHECK(fs::file_size(dir.path() / "compact/data.mdb")
        < fs::file_size(dir.path() / "plain/data.mdb"));
  CHECK(names_in(dir.path()) == std::vector<std::string>{"compact", "plain", "store"});
}

TEST_CASE("a backup beside commits holds every change that was committed before it began") {
  memory_directory dir;
  auto store = filled(dir);
  for (const bool compacting : {false, true}) {
    const auto committed = store.stats().position;
    std::atomic<bool> copying = false, done = false;
    expected<backup_report> made;
    std::thread other{[&] {
      made = store.backup(dir.path() / (compacting ? "compact" : "plain"),
                          {.compacting = compacting, .progress = [&](std::uint64_t, std::uint64_t) {
                             copying = true;
                             copying.notify_one();
                             return true;
                           }});
      done = true;
      copying = true;
      copying.notify_one();
    }};
    copying.wait(false);
    const auto name = compacting ? "d" : "c";
    std::uint64_t sequence = 0;
    do {
      REQUIRE(commit(store, change_of(name, ++sequence, big('c'))));
      REQUIRE(store.materialise());
    } while (!done && sequence < 200);
    other.join();
    REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
    CHECK(made->content.position >= committed);
    CHECK(made->content.position < store.stats().position);
  }
}

TEST_CASE("a backup that is given up leaves nothing behind and the next one succeeds") {
  memory_directory dir;
  auto store = filled(dir);
  const auto to = dir.path() / "backup";
  for (const bool compacting : {false, true}) {
    int calls = 0;
    const auto stopped =
        store.backup(to, {.compacting = compacting,
                          .progress = [&](std::uint64_t, std::uint64_t) { return ++calls < 2; }});
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().code == errc::store_failed);
    CHECK(names_in(dir.path()) == std::vector<std::string>{"store"});
  }
  CHECK(store.backup(to, {}));
}

TEST_CASE("a store with a damaged record gives no backup") {
  memory_directory dir;
  {
    auto store = filled(dir);
    materialise_all_of(store);
  }
  tamper(dir, "journal", std::string{"\0\0\0\0\0\0\0\1", 8},
         [](std::string& value) { value.back() ^= 1; });
  const auto store = open(dir);
  const auto made = store.backup(dir.path() / "backup", {});
  REQUIRE_FALSE(made);
  CHECK(made.error().code == errc::damaged);
  CHECK(names_in(dir.path()) == std::vector<std::string>{"store"});
}

TEST_CASE("one backup of a store runs at a time") {
  memory_directory dir;
  auto store = filled(dir);
  errc second{};
  REQUIRE(store.backup(dir.path() / "one", {.progress = [&](std::uint64_t, std::uint64_t) {
                         const auto two = store.backup(dir.path() / "two", {});
                         second = two ? errc{} : two.error().code;
                         return true;
                       }}));
  CHECK(second == errc::busy);
  CHECK(store.backup(dir.path() / "two", {}));
}

TEST_CASE("a backup takes as long as its rate says") {
  memory_directory dir;
  auto store = filled(dir);
  const auto start = std::chrono::steady_clock::now();
  const auto made = store.backup(dir.path() / "backup", {.bytes_per_second = 20 << 20});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  REQUIRE(made);
  CHECK(took.count() >= static_cast<double>(made->bytes) / (20 << 20));
}

TEST_CASE("a backup goes to no directory that has content and to no file") {
  memory_directory dir;
  auto store = filled(dir);
  fs::create_directory(dir.path() / "full");
  std::ofstream{dir.path() / "full/file"} << "x";
  CHECK(store.backup(dir.path() / "full", {}).error().code == errc::already_exists);
  CHECK(store.backup(dir.path() / "full/file", {}).error().code == errc::already_exists);
  fs::create_symlink("full", dir.path() / "link");
  CHECK(store.backup(dir.path() / "link", {}).error().code == errc::already_exists);
  fs::create_directory(dir.path() / "empty");
  CHECK(store.backup(dir.path() / "empty/", {}));
  CHECK(mode_of(dir.path() / "empty") == 0700);
}

TEST_CASE("what a killed attempt left is removed and never taken for a backup") {
  memory_directory dir;
  auto store = filled(dir);
  const auto to = dir.path() / "backup";
  fs::create_directories(dir.path() / "backup.incomplete/deep");
  std::ofstream{dir.path() / "backup.incomplete/data.mdb"} << "half";
  CHECK(store.backup(to, {}));
  CHECK(names_in(dir.path()) == std::vector<std::string>{"backup", "store"});
}

TEST_CASE("a full disk fails the backup and not the store") {
  memory_directory dir;
  auto store = filled(dir);
  fs::create_directory(dir.path() / "backup.incomplete");
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto made = store.backup(dir.path() / "backup", {});
  ::setrlimit(RLIMIT_FSIZE, &before);
  REQUIRE_FALSE(made);
  CHECK(has(made.error().message, "cannot write"));
  CHECK(names_in(dir.path()) == std::vector<std::string>{"store"});
  CHECK(commit(store, change_of("a", 3, "three")));
}

TEST_CASE("a restored backup is the store it was made of") {
  memory_directory dir;
  std::string b;
  {
    auto store = filled(dir);
    b = text_of(store, "b");
    REQUIRE(store.backup(dir.path() / "backup", {}));
  }
  const auto restored =
      restore_backup(dir.path() / "backup", dir.path() / "again/there", fold_texts(join));
  REQUIRE_MESSAGE(restored, (restored ? "" : restored.error().message));
  CHECK(mode_of(dir.path() / "again/there") == 0700);
  auto store = open_at(dir.path() / "again/there");
  CHECK(text_of(store, "a") == "one;two;");
  CHECK(text_of(store, "b") == b);
  CHECK(commit(store, change_of("a", 3, "three")));
  CHECK(names_in(dir.path() / "backup") == std::vector<std::string>{"data.mdb"});
}

TEST_CASE("a damaged backup is not restored and the target stays absent") {
  memory_directory dir;
  {
    auto options = small_map();
    options.covered_bytes = 0;
    auto store = filled(dir, options);
    for (expected<bool> more = true; *more;)
      REQUIRE((more = store.compact()));
    REQUIRE(store.backup(dir.path() / "backup", {.compacting = true}));
  }
  const auto file = dir.path() / "backup/data.mdb";
  std::string bytes(fs::file_size(file), '\0');
  std::ifstream{file, std::ios::binary}.read(bytes.data(),
                                             static_cast<std::streamsize>(bytes.size()));
  const auto restore_of = [&](std::string_view changed) {
    std::ofstream{file, std::ios::binary}.write(changed.data(),
                                                static_cast<std::streamsize>(changed.size()));
    return restore_backup(dir.path() / "backup", dir.path() / "target", fold_texts(join));
  };
  auto flipped = bytes;
  flipped[flipped.find(big('b'))] ^= 1;  // within a snapshot, which a start does not read
  CHECK(restore_of(flipped).error().code == errc::damaged);
  CHECK(restore_of({bytes.data(), bytes.size() / 2}).error().code == errc::damaged);
  CHECK(restore_of("no store at all").error().code == errc::damaged);
  CHECK(restore_of("").error().code == errc::damaged);
  CHECK(names_in(dir.path()) == std::vector<std::string>{"backup", "store"});
  CHECK(restore_of(bytes));
}

TEST_CASE(
    "a restore refuses a target with content and a store that is open and what is no backup") {
  memory_directory dir;
  auto store = filled(dir);
  REQUIRE(store.backup(dir.path() / "backup", {}));
  CHECK(restore_backup(dir.path() / "backup", dir.store(), fold_texts(join)).error().code
        == errc::already_exists);
  CHECK(restore_backup(dir.store(), dir.path() / "target", fold_texts(join)).error().code
        == errc::busy);
  CHECK(restore_backup(dir.path(), dir.path() / "target", fold_texts(join)).error().code
        == errc::damaged);
  CHECK(names_in(dir.path()) == std::vector<std::string>{"backup", "store"});
}

TEST_CASE("shrinking keeps everything and gives the file's free pages back") {
  memory_directory dir;
  auto options = small_map();
  options.covered_bytes = 0;
  auto before = filled(dir, options);
  const auto b = text_of(before, "b");
  const auto position = before.stats().position;
  const auto made = std::move(before).shrink({});
  REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
  CHECK(made->bytes_after < made->bytes_before / 2);
  CHECK(made->bytes_after == fs::file_size(dir.store() / "data.mdb"));
  CHECK(made->content.entities == 2);
  auto store = open(dir);
  CHECK(text_of(store, "a") == "one;two;");
  CHECK(text_of(store, "b") == b);
  CHECK(store.stats().position == position);
  CHECK(store.stats().tail_bytes == 0);
  CHECK(store.stats().covered_bytes == 0);
  CHECK(commit(store, change_of("a", 3, "three"))->position == position + 1);
  CHECK_FALSE(fs::exists(dir.store() / "replacing"));
}

TEST_CASE("shrinking keeps as much journal as the store is to keep") {
  memory_directory dir;
  auto before = filled(dir);
  const auto first = before.stats().first;
  REQUIRE(std::move(before).shrink({}));
  auto store = open(dir);
  CHECK(store.stats().first == first);
  CHECK(store.stats().covered_bytes > 0);
}

TEST_CASE("shrinking that is given up leaves the old store and closes it") {
  memory_directory dir;
  auto before = filled(dir);
  const auto stopped = std::move(before).shrink([](std::uint64_t, std::uint64_t) { return false; });
  REQUIRE_FALSE(stopped);
  CHECK_FALSE(fs::exists(dir.store() / "replacing"));
  auto store = open(dir);
  CHECK(text_of(store, "a") == "one;two;");
}

TEST_CASE("shrinking refuses a store with a damaged record and changes no file") {
  memory_directory dir;
  {
    auto store = filled(dir);
    materialise_all_of(store);
  }
  tamper(dir, "journal", std::string{"\0\0\0\0\0\0\0\1", 8},
         [](std::string& value) { value.back() ^= 1; });
  const auto size = fs::file_size(dir.store() / "data.mdb");
  CHECK(open(dir).shrink({}).error().code == errc::damaged);
  CHECK(fs::file_size(dir.store() / "data.mdb") == size);
}

TEST_CASE("a start removes what a killed tool was making in the store") {
  memory_directory dir;
  { auto store = filled(dir); }
  fs::create_directory(dir.store() / "replacing");
  std::ofstream{dir.store() / "replacing/data.mdb"} << "half";
  auto store = open(dir);
  CHECK_FALSE(fs::exists(dir.store() / "replacing"));
  CHECK(text_of(store, "a") == "one;two;");
}

TEST_CASE("an adopted entity goes on from its revision") {
  memory_directory dir;
  {
    auto store = filled(dir);
    CHECK(store.load(session_ref("x"))->sequence == 0);  // remembered as never written
    const std::vector<adopted_entity> two{{session_ref("x"), 7, "seven;"},
                                          {{"other", entity_kind::team, "y"}, 1, "one;"}};
    REQUIRE(store.adopt(two));
    REQUIRE_FALSE(commit(store, change_of("x", 1, "late")));
    CHECK(text_of(store, "x") == "seven;");
    CHECK(commit(store, change_of("x", 8, "eight")));
  }
  auto store = open(dir);
  CHECK(text_of(store, "x") == "seven;eight;");
  CHECK(store.load({"other", entity_kind::team, "y"})->sequence == 1);
  CHECK(commit(store, change_of("x", 9, "nine")));
  const auto walked = walk_store(store);
  REQUIRE(walked);
  CHECK(walked->entities == 4);
}

TEST_CASE("entities are adopted all or none and never over what is there") {
  memory_directory dir;
  auto store = filled(dir);
  const auto code_of = [&](std::vector<adopted_entity> these) {
    const auto done = store.adopt(these);
    return done ? errc{} : done.error().code;
  };
  const adopted_entity fine{session_ref("x"), 1, "one;"};
  REQUIRE(commit(store, change_of("tail", 1, "one")));
  CHECK(code_of({fine, {session_ref("tail"), 9, "has no snapshot"}}) == errc::already_exists);
  CHECK(code_of({fine, {session_ref("a"), 9, "from a tail"}}) == errc::already_exists);
  CHECK(code_of({fine, {session_ref("b"), 9, "from a snapshot"}}) == errc::already_exists);
  CHECK(code_of({fine, fine}) == errc::already_exists);
  CHECK(code_of({fine, {session_ref(""), 1, "x"}}) == errc::bad_id);
  CHECK(code_of({fine, {session_ref("y"), 0, "x"}}) == errc::invalid_value);
  CHECK(store.load(session_ref("x"))->sequence == 0);
  CHECK(text_of(store, "a") == "one;two;");
  CHECK(code_of({fine}) == errc{});
}

TEST_CASE("a walk names what is damaged and counts what is not") {
  memory_directory dir;
  {
    auto store = filled(dir);
    const auto walked = walk_store(store);
    REQUIRE(walked);
    CHECK(*walked == store_summary{.entities = 2, .records = 42, .position = 42});
  }
  tamper(dir, "journal", std::string{"\0\0\0\0\0\0\0\5", 8},
         [](std::string& value) { value.back() ^= 1; });
  auto store = open(dir);
  const auto walked = walk_store(store);
  REQUIRE_FALSE(walked);
  CHECK(walked.error().code == errc::damaged);
  CHECK(has(walked.error().message, "journal record 5"));
}

TEST_CASE("another process backs up a store that goes on and what it copied is a state it had") {
  memory_directory dir;
  const auto to = dir.path() / "copy";
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto child = ::fork();  // before the store is open: a process has an environment once
  REQUIRE(child >= 0);
  if (child == 0) {
    char go = 0;
    if (::read(ends[0], &go, 1) != 1)
      ::_exit(2);
    const auto made = backup_running(dir.store(), to, fold_texts(join), {.compacting = true});
    if (!made)
      std::fprintf(stderr, "%s\n", made.error().message.c_str());
    ::_exit(made ? 0 : 1);
  }
  std::uint64_t acknowledged = 0, before = 0;
  int status = 0;
  {
    auto store = filled(dir);
    before = store.stats().position;
    REQUIRE(::write(ends[1], "x", 1) == 1);
    for (std::uint64_t i = 1; ::waitpid(child, &status, WNOHANG) == 0; ++i) {
      REQUIRE(commit(store, change_of("c", i, std::string(500, 'c'))));
      if (i % 100 == 0)
        REQUIRE(store.materialise());
    }
    acknowledged = store.stats().position;
  }
  ::close(ends[0]);
  ::close(ends[1]);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 0);
  auto copy = open_at(to);
  CHECK(copy.stats().position >= before);
  CHECK(copy.stats().position <= acknowledged);
  CHECK(text_of(copy, "a") == "one;two;");
  CHECK(copy.load(session_ref("c"))->sequence == copy.stats().position - before);
}
