#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/write_ahead_log.hpp>
#include <troupe/persistence/maintenance.hpp>
#include <troupe/persistence/verify.hpp>
#include <troupe/state/decide.hpp>

#include "store_fixture.hpp"
#include "support/seed.hpp"
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

using namespace troupe;
using namespace troupe::testing;
using internal::read_log;
using internal::write_ahead_log;
namespace fs = std::filesystem;

namespace {

constexpr auto page = write_ahead_log::page_bytes;

std::string bytes_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void write_bytes(const fs::path& file, const std::string& bytes) {
  std::ofstream{file, std::ios::binary | std::ios::trunc} << bytes;
}

/// A log in a directory of its own, and what was written to it.
struct written_log {
  memory_directory dir;
  internal::data_directory directory = *internal::data_directory::acquire(dir.store());
  write_ahead_log log = *write_ahead_log::open(directory, 64 * page);
  std::uint64_t position = 0;
  std::vector<std::vector<std::string>> batches{};  // since the log was cleared

  void write(const std::vector<std::string>& values) {
    std::size_t bytes = 0;
    for (const auto& value : values)
      bytes += value.size();
    REQUIRE(log.make_room(values.size(), bytes));
    for (const auto& value : values)
      std::ranges::copy(value, log.add(value.size()));
    log.write(position + 1);
    position += values.size();
    batches.push_back(values);
  }

  [[nodiscard]] std::string bytes() const { return *internal::bytes_of_log(dir.store()); }
};

std::vector<std::string> values_of(std::string_view bytes, std::uint64_t behind) {
  const auto records = read_log(bytes, behind);
  REQUIRE_MESSAGE(records, (records ? "" : records.error().message));
  std::vector<std::string> out;
  auto position = behind;
  for (const auto& [at, value] : *records) {
    REQUIRE(at == ++position);
    out.emplace_back(value);
  }
  return out;
}

/// Three changes in the log that the data file has not.
journal_store logged(const memory_directory& dir) {
  auto store = open(dir);
  REQUIRE(commit(store, change_of("a", 1, "one")));  // the namespace's first: into the data file
  for (const auto* text : {"two", "three", "four"})
    REQUIRE(commit(store, change_of("a", store.stats().position + 1, text)));
  return store;
}

std::size_t batches_in(const fs::path& store) {
  const auto bytes = *internal::bytes_of_log(store);
  return std::max(internal::whole_batches(bytes) / page, std::size_t{1}) - 1;  // without its head
}

}  // namespace

TEST_CASE("a log that ends anywhere holds the whole batches before that") {
  written_log w;
  w.write({"a", std::string(5'000, 'b')});
  w.write({""});
  w.write({"c", "d", "e"});
  const auto whole = w.bytes().substr(0, 5 * page);
  // The end of a batch's last page says nothing.
  const std::vector<std::size_t> ends{page + 32 + 8 + 5'001, 3 * page + 32 + 4, 4 * page + 32 + 15};
  for (std::size_t size = 20; size <= whole.size(); ++size) {
    auto cut = whole;
    std::memset(cut.data() + size, 0x5a, cut.size() - size);
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < ends.size() && size >= ends[i]; ++i)
      expected.insert(expected.end(), w.batches[i].begin(), w.batches[i].end());
    REQUIRE(values_of(cut, 0) == expected);
  }
}

TEST_CASE("a batch that is damaged in front of others is an error and the last one a torn one") {
  written_log w;
  for (const auto* text : {"one", "two", "three"})
    w.write({text});
  const auto whole = w.bytes();
  for (std::size_t bit = 0; bit < 8 * (32 + 4 + 3); ++bit) {
    CAPTURE(bit);
    for (const std::size_t batch : {0, 1, 2}) {
      auto bytes = whole;
      auto& byte = bytes[(batch + 1) * page + bit / 8];
      byte = static_cast<char>(byte ^ (1 << bit % 8));
      if (batch == 2)
        REQUIRE(values_of(bytes, 0) == std::vector<std::string>{"one", "two"});
      else
        REQUIRE(read_log(bytes, 0).error().code == errc::damaged);
      // Of what the data file has the log need not tell.
      REQUIRE(read_log(bytes, 3)->empty());
    }
  }
}

TEST_CASE("a damaged head is an error and one of a newer version says so") {
  written_log w;
  w.write({"one"});
  for (std::size_t bit = 0; bit < 8 * 20; ++bit) {
    CAPTURE(bit);
    auto bytes = w.bytes();
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    const bool newer = bit / 8 == 4 && static_cast<unsigned char>(bytes[4]) > 1;
    REQUIRE(read_log(bytes, 0).error().code == (newer ? errc::newer_format : errc::damaged));
    REQUIRE(internal::whole_batches(bytes) == 0);
  }
  CHECK(read_log("", 0)->empty());
  CHECK(read_log(std::string(page, '\0'), 0)->empty());  // the file grew, and no more
}

TEST_CASE("a payload that looks like a batch is none") {
  // Another log's batches, which differ in nothing but its number.
  written_log other;
  other.position = 2;
  other.write({"forged"});
  other.write({"and another"});
  const auto forged = other.bytes().substr(page, 2 * page);
  written_log w;
  w.write({std::string(page - 32 - 4, 'x') + forged});
  CHECK(has(w.bytes().substr(2 * page, page), "forged"));
  w.log.clear();
  w.batches.clear();
  w.write({"the next"});  // over the first page of it
  CHECK(values_of(w.bytes(), 1) == std::vector<std::string>{"the next"});
}

TEST_CASE(
    "a log is written from the beginning again and what is left of earlier is no part of it") {
  std::mt19937_64 random{campaign_seed()};
  written_log w;
  for (int round = 0; round < 200; ++round) {
    const auto settled = w.position;
    for (auto n = random() % 12; n > 0; --n) {
      std::vector<std::string> values(1 + random() % 3);
      for (auto& value : values)
        value.assign(random() % 6'000, static_cast<char>('a' + random() % 26));
      w.write(values);
    }
    std::vector<std::string> expected;
    for (const auto& batch : w.batches)
      expected.insert(expected.end(), batch.begin(), batch.end());
    REQUIRE(values_of(w.bytes(), settled) == expected);
    REQUIRE(w.log.records().size() == expected.size());
    w.log.clear();
    w.batches.clear();
    REQUIRE(values_of(w.bytes(), w.position).empty());
  }
}

TEST_CASE("a log takes no batch that does not fit and is as it was when one is given up") {
  written_log w;
  CHECK_FALSE(w.log.make_room(1, 63 * page));
  REQUIRE(w.log.make_room(1, 63 * page - 36));
  w.write({"one"});
  REQUIRE(w.log.make_room(2, 10));
  std::ranges::copy(std::string{"gone"}, w.log.add(4));
  w.log.give_up();
  w.write({"two"});
  CHECK(values_of(w.bytes(), 0) == std::vector<std::string>{"one", "two"});
  w.log.clear();
  w.log.truncate();
  CHECK(fs::file_size(w.dir.store() / "commit.log") == 0);
}

TEST_CASE("a log that goes on behind what the data file has is refused with the way out") {
  written_log w;
  w.write({"one"});
  w.write({"two"});
  w.log.clear();
  w.write({"three"});
  const auto records = read_log(w.bytes(), 1);
  REQUIRE_FALSE(records);
  CHECK(records.error().code == errc::damaged);
  CHECK(has(records.error().message, "change 3"));
  CHECK(has(records.error().message, "Remove commit.log"));
}

TEST_CASE("changes that the log alone has are there after a kill and are read before it") {
  memory_directory dir;
  auto store = logged(dir);
  CHECK(batches_in(dir.store()) == 3);
  std::vector<std::string> told;
  REQUIRE(store.for_each_record(1, 4, [&](const journal_record& x) {
    told.emplace_back(x.payload);
    return x.position < 3;
  }));
  CHECK(told == std::vector<std::string>{"one", "two", "three"});
  copy_as_killed(dir, dir.path() / "killed");
  CHECK(text_of(store, "a") == "one;two;three;four;");
  auto killed = journal_store::open(dir.path() / "killed", small_map(), fold_texts(join));
  REQUIRE(killed);
  CHECK_FALSE(killed->started().clean);
  CHECK(killed->started().warnings.empty());
  CHECK(text_of(*killed, "a") == "one;two;three;four;");
  CHECK(killed->stats().position == 4);
  REQUIRE(commit(*killed, change_of("a", 5, "five")));
  CHECK(text_of(*killed, "a") == "one;two;three;four;five;");
}

TEST_CASE("each way to read sees what the log alone has") {
  const auto reads = std::vector<std::function<std::string(journal_store&)>>{
      [](journal_store& s) { return text_of(s, "a"); },
      [](journal_store& s) { return content(*s.load_at(session_ref("a"), 4)); },
      [](journal_store& s) {
        std::string out;
        REQUIRE(s.for_each_change(session_ref("a"), 0, [&](const journal_record& x) {
          out += std::string{x.payload} + ";";
          return true;
        }));
        return out;
      },
      [](journal_store& s) {
        materialise_all_of(s);
        return text_of(s, "a");
      },
      [](journal_store& s) {
        REQUIRE(s.materialise(session_ref("a")));
        return text_of(s, "a");
      }};
  for (const auto& read : reads) {
    memory_directory dir;
    auto store = logged(dir);
    CHECK(read(store) == "one;two;three;four;");
  }
}

TEST_CASE("a store that was closed has all in its data file and an empty log") {
  memory_directory dir;
  { const auto store = logged(dir); }
  CHECK(fs::file_size(dir.store() / "commit.log") == 0);
  fs::remove(dir.store() / "commit.log");
  auto store = open(dir);
  CHECK(text_of(store, "a") == "one;two;three;four;");
}

TEST_CASE(
    "a log that is full goes into the data file and batches larger than a quarter of it at once") {
  memory_directory dir;
  auto options = small_map();
  options.log_bytes = 8 * page;
  auto store = open(dir, options);
  REQUIRE(commit(store, change_of("a", 1, "0")));
  std::string expected = "0;";
  std::size_t most = 0;
  for (std::uint64_t i = 2; i <= 100; ++i) {
    const auto size = i % 10 == 0 ? 3 * page : i % 7 == 0 ? page : 10;
    const auto before = batches_in(dir.store());
    REQUIRE(commit(store, change_of("a", i, std::string(size, 'x'))));
    expected += std::string(size, 'x') + ";";
    const auto now = batches_in(dir.store());
    if (size == 3 * page)
      CHECK(now == before);
    most = std::max(most, now);
    fs::remove_all(dir.path() / "killed");
    copy_as_killed(dir, dir.path() / "killed");
    auto killed = journal_store::open(dir.path() / "killed", options, fold_texts(join));
    REQUIRE_MESSAGE(killed, (killed ? "" : killed.error().message));
    REQUIRE(text_of(*killed, "a") == expected);
  }
  CHECK(most == 7);
  CHECK(fs::file_size(dir.store() / "commit.log") == 8 * page);
}

TEST_CASE("a batch whose write fails is in doubt and stops the store whatever the disk says") {
  for (const auto& [target, flags] :
       {std::pair{"/dev/full", O_RDWR}, std::pair{"/dev/null", O_RDONLY}}) {
    CAPTURE(target);
    memory_directory dir;
    {
      auto store = logged(dir);
      const broken_disk broken{dir, broken_disk::what::log, target, flags};
      CHECK(commit(store, change_of("a", 5, "five")).error().code == errc::outcome_unknown);
      REQUIRE(store.failed() != nullptr);
      CHECK(commit(store, change_of("a", 5, "five")).error().code == errc::store_failed);
    }
    auto store = open(dir);
    CHECK(text_of(store, "a") == "one;two;three;four;");
  }
}

TEST_CASE("what the log has stays there while the data file has no room and no change follows it") {
  memory_directory dir;
  auto options = small_map();
  options.log_bytes = 5 * page;
  {
    auto store = open(dir, options);
    REQUIRE(commit(store, change_of("a", 1, "one")));
    {
      const broken_disk full{dir, broken_disk::what::pages, "/dev/full", O_RDWR};
      for (std::uint64_t i = 2; i <= 5; ++i)
        REQUIRE(commit(store, change_of("a", i, "more")));
      CHECK(commit(store, change_of("a", 6, "none")).error().code == errc::store_full);
      CHECK(store.load(session_ref("a")).error().code == errc::store_full);
      CHECK(store.failed() == nullptr);
      copy_as_killed(dir, dir.path() / "killed");
    }
    CHECK(text_of(store, "a") == "one;more;more;more;more;");
    REQUIRE(commit(store, change_of("a", 6, "six")));
  }
  auto store = open(dir);
  CHECK(text_of(store, "a") == "one;more;more;more;more;six;");
  auto killed = journal_store::open(dir.path() / "killed", options, fold_texts(join));
  REQUIRE(killed);
  CHECK(text_of(*killed, "a") == "one;more;more;more;more;");
}

TEST_CASE("verify reads the log and says where it is damaged") {
  memory_directory dir;
  const auto store = logged(dir);
  const auto killed = dir.path() / "killed";
  copy_as_killed(dir, killed);
  const auto log = killed / "commit.log";
  const auto bytes = bytes_of(log);
  auto report = verify_store(killed);
  REQUIRE(report);
  CHECK_MESSAGE(report->sound(), (report->sound() ? "" : report->faults.front()));
  CHECK(report->records == 4);
  CHECK(report->position == 4);
  CHECK(report->warnings.empty());
  CHECK(bytes_of(log) == bytes);

  auto damaged = bytes;
  damaged[2 * page + 40] ^= 1;
  write_bytes(log, damaged);
  report = verify_store(killed);
  REQUIRE(report);
  REQUIRE(report->fault_count == 1);
  CHECK(has(report->faults.front(), "change 3 is damaged"));
  const auto opened = journal_store::open(killed, small_map(), fold_texts(join));
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == errc::damaged);
  CHECK(has(opened.error().message, "commit.log"));

  // A whole batch of a record that is none.
  auto foreign = bytes;
  auto* head = foreign.data() + 3 * page;
  std::memset(head + 36, 'x', 20);
  const auto size = internal::get_le<std::uint32_t>(head + 24);
  internal::put_le(head + 28, internal::crc32c({head + 32, size}, internal::crc32c({head, 28})));
  write_bytes(log, foreign);
  report = verify_store(killed);
  REQUIRE(report);
  CHECK(report->fault_count >= 1);
  CHECK(has(report->faults.front(), "journal record 4"));
  const auto data = bytes_of(killed / "data.mdb");
  CHECK(journal_store::open(killed, small_map(), fold_texts(join)).error().code == errc::damaged);
  CHECK(bytes_of(killed / "data.mdb") == data);
  fs::remove(log);
  auto rest = journal_store::open(killed, small_map(), fold_texts(join));
  REQUIRE(rest);
  CHECK(text_of(*rest, "a") == "one;");
}

TEST_CASE("a backup holds what the log alone has and a restore of a killed store too") {
  memory_directory dir;
  const auto store = logged(dir);
  for (const bool compacting : {false, true}) {
    const auto to = dir.path() / (compacting ? "small" : "plain");
    const auto made = store.backup(to, {.compacting = compacting});
    REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
    CHECK(made->content.position == 4);
    CHECK(made->bytes == fs::file_size(to / "data.mdb"));
    CHECK(made->bytes < 1 << 20);
    CHECK_FALSE(fs::exists(to / "commit.log"));
    auto copy = journal_store::open(to, small_map(), fold_texts(join));
    REQUIRE(copy);
    CHECK(text_of(*copy, "a") == "one;two;three;four;");
  }
  const auto killed = dir.path() / "killed";
  copy_as_killed(dir, killed);
  const auto restored = restore_backup(killed, dir.path() / "again", fold_texts(join));
  REQUIRE_MESSAGE(restored, (restored ? "" : restored.error().message));
  CHECK(restored->content.position == 4);

  auto damaged = bytes_of(killed / "commit.log");
  damaged[2 * page + 40] ^= 1;
  write_bytes(killed / "commit.log", damaged);
  CHECK(restore_backup(killed, dir.path() / "none", fold_texts(join)).error().code
        == errc::damaged);
  CHECK(backup_running(killed, dir.path() / "none", fold_texts(join), {}).error().code
        == errc::damaged);
  CHECK_FALSE(fs::exists(dir.path() / "none"));
}

TEST_CASE("what is erased is not in the log any more") {
  memory_directory dir;
  auto store = journal_store::open(dir.store(), small_map(), fold_entities());
  REQUIRE(store);
  const auto commits = [&](const operation& what, const entity_state& now) {
    const auto made = decide(now, {.entity = session_ref("a"), .operations = {what}}, {});
    REQUIRE(made);
    REQUIRE(commit(*store, change_of("a", made->what.revision, encode(made->what))));
    return made->next;
  };
  auto now = commits(create{}, {});
  now = commits(patch_state{{set_key{.key = "k", .data = value{"a secret to be kept"}}}}, now);
  CHECK(has(bytes_of(dir.store() / "commit.log"), "a secret"));
  now = commits(erase{}, now);
  REQUIRE(store->erase(session_ref("a")));
  CHECK_FALSE(has(bytes_of(dir.store() / "commit.log"), "a secret"));
}

TEST_CASE("a full store has room for all that is in its log") {
  for (const std::size_t size : {100, 1'000, 6'000}) {
    CAPTURE(size);
    memory_directory dir;
    auto options = small_map();
    options.quota_bytes = 6 << 20;
    options.reserve_bytes = 0;
    auto store = open(dir, options);
    std::uint64_t sequence = 0;
    std::string expected;
    for (;;) {
      const std::string text(size, static_cast<char>('a' + sequence % 26));
      if (const auto done = commit(store, change_of("a", sequence + 1, text)); !done) {
        REQUIRE(done.error().code == errc::store_full);
        break;
      }
      ++sequence;
      expected += text + ";";
      if (sequence % 400 == 0)
        REQUIRE(text_of(store, "a") == expected);
    }
    CHECK(sequence > 100);
    // What came last, when there was little room, went into the data file at once.
    copy_as_killed(dir, dir.path() / "killed");
    fs::remove(dir.path() / "killed" / "commit.log");
    auto killed = journal_store::open(dir.path() / "killed", options, fold_texts(join));
    REQUIRE_MESSAGE(killed, (killed ? "" : killed.error().message));
    CHECK(text_of(*killed, "a") == expected);
    CHECK(text_of(store, "a") == expected);
  }
}

TEST_CASE("a batch that is given up half made leaves nothing in the log") {
  memory_directory dir;
  auto store = logged(dir);
  // Another process takes all places for readers, so that an entity that nobody knows cannot be
  // looked up.
  std::array<int, 2> told{};
  REQUIRE(::pipe(told.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto env = lmdb::environment::open_to_copy(dir.store());
    std::vector<lmdb::transaction> readers;
    try {
      for (;;)
        readers.push_back(lmdb::transaction::read(env));
    } catch (const lmdb::failure&) {
      static_cast<void>(::write(told[1], "f", 1));
    }
    for (;;)
      ::pause();
  }
  char full = 0;
  REQUIRE(::read(told[0], &full, 1) == 1);
  const std::vector<commit_request> both{change_of("a", 5, "gone"), change_of("b", 1, "gone")};
  for (const auto& result : store.commit(both))
    CHECK(result.error().code == errc::store_failed);
  CHECK(store.failed() == nullptr);
  REQUIRE(commit(store, change_of("a", 5, "five")));
  ::kill(child, SIGKILL);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  ::close(told[0]);
  ::close(told[1]);
  copy_as_killed(dir, dir.path() / "killed");
  auto killed = journal_store::open(dir.path() / "killed", small_map(), fold_texts(join));
  REQUIRE_MESSAGE(killed, (killed ? "" : killed.error().message));
  CHECK(text_of(*killed, "a") == "one;two;three;four;five;");
  CHECK(killed->stats().position == 5);
}

TEST_CASE("another history in the log is warned of") {
  memory_directory dir, other;
  auto options = small_map();
  options.mark_interval = {};
  for (const auto* one : {&dir, &other}) {
    auto store = open(*one, options);
    REQUIRE(commit(store, change_of("a", 1, "one")));
    REQUIRE(commit(store, change_of("a", 2, one == &dir ? "this" : "that")));
    copy_as_killed(*one, dir.path() / (one == &dir ? "this" : "that"));
  }
  const auto at = dir.path() / "this";
  fs::copy_file(dir.path() / "that" / "commit.log", at / "commit.log",
                fs::copy_options::overwrite_existing);
  const auto report = verify_store(at);
  REQUIRE(report);
  REQUIRE(report->warnings.size() == 1);
  const auto store = journal_store::open(at, options, fold_texts(join));
  REQUIRE(store);
  REQUIRE(store->started().warnings.size() == 1);
  CHECK(store->started().warnings == report->warnings);
  CHECK(has(store->started().warnings.front(), "not the one that was acknowledged"));
}
