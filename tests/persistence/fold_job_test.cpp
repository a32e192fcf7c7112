// Slices that are folded beside the commits: what is committed, materialised or rewritten between
// their beginning and their end.

#include <troupe/persistence/internal/chunk_store.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/fold_slice.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/store_actor.hpp>
#include <troupe/persistence/verify.hpp>

#include "store_fixture.hpp"
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>

#include <atomic>
#include <latch>
#include <thread>

using namespace troupe;
using namespace troupe::testing;

namespace {

std::unique_ptr<fold_job> begin(journal_store& store) {
  auto out = store.begin_fold();
  REQUIRE(out);
  REQUIRE(*out != nullptr);
  return *std::move(out);
}

void end(journal_store& store, fold_job& job) {
  job.run();
  const auto done = store.end_fold(job);
  REQUIRE_MESSAGE(done, (done ? "" : done.error().message));
}

std::string snapshot_of(journal_store& store, const std::string& id) {
  return store.load(session_ref(id))->parts.body;
}

bool sound(const memory_directory& dir) {
  const auto report = verify_store(dir.store());
  return report && report->sound();
}

}  // namespace

TEST_CASE("what is committed while its entity is folded stays in its tail") {
  memory_directory dir;
  {
    auto store = open(dir);
    for (const auto& request : {change_of("a", 1, "1"), change_of("a", 2, "2"),
                                change_of("b", 1, "1"), change_of("c", 1, "1")})
      REQUIRE(commit(store, request));
    const auto job = begin(store);
    REQUIRE(commit(store, change_of("a", 3, "3")));
    REQUIRE(commit(store, change_of("d", 1, "1")));
    REQUIRE(commit(store, change_of("a", 4, "4")));
    CHECK(text_of(store, "a") == "1;2;3;4;");
    end(store, *job);
    CHECK(store.stats().materialised == 4);
    CHECK(snapshot_of(store, "a") == "1;2;");
    CHECK(snapshot_of(store, "b") == "1;");
    CHECK(snapshot_of(store, "d").empty());
    CHECK(text_of(store, "a") == "1;2;3;4;");
    REQUIRE(commit(store, change_of("a", 5, "5")));
    for (std::uint64_t revision = 2; revision <= 5; ++revision)
      CHECK(store.load_at(session_ref("a"), revision)->sequence == revision);
    materialise_all_of(store);
    CHECK(snapshot_of(store, "a") == "1;2;3;4;5;");
    CHECK(store.stats().tail_bytes == 0);
  }
  CHECK(sound(dir));
  auto store = open(dir);
  CHECK(text_of(store, "a") == "1;2;3;4;5;");
  CHECK(text_of(store, "d") == "1;");
}

TEST_CASE("a start after a fold beside commits finds the tail that was left") {
  memory_directory dir;
  {
    auto store = open(dir);
    REQUIRE(commit(store, change_of("a", 1, "1")));
    const auto job = begin(store);
    REQUIRE(commit(store, change_of("a", 2, "2")));
    end(store, *job);
    CHECK(store.stats().materialised == 1);
  }
  auto store = open(dir);
  CHECK(snapshot_of(store, "a") == "1;");
  CHECK(text_of(store, "a") == "1;2;");
  REQUIRE(commit(store, change_of("a", 3, "3")));
}

TEST_CASE("an entity that is materialised alone while a job folds it keeps the newer snapshot") {
  memory_directory dir;
  auto store = open(dir);
  for (const auto* id : {"a", "b"})
    REQUIRE(commit(store, change_of(id, 1, "1")));
  const auto job = begin(store);
  REQUIRE(commit(store, change_of("a", 2, "2")));
  REQUIRE(store.materialise(session_ref("a")));
  REQUIRE(commit(store, change_of("a", 3, "3")));
  end(store, *job);
  CHECK(store.stats().materialised == 3);
  CHECK(snapshot_of(store, "a") == "1;2;");
  CHECK(snapshot_of(store, "b") == "1;");
  CHECK(text_of(store, "a") == "1;2;3;");
  materialise_all_of(store);
  CHECK(snapshot_of(store, "a") == "1;2;3;");
}

TEST_CASE("a job is dropped when another one was begun or the tail was folded without it") {
  memory_directory dir;
  auto store = open(dir);
  REQUIRE(commit(store, change_of("a", 1, "1")));
  const auto first = begin(store);
  REQUIRE(commit(store, change_of("a", 2, "2")));
  const auto second = begin(store);
  end(store, *first);
  CHECK(store.stats().materialised == 0);
  end(store, *second);
  CHECK(store.stats().materialised == 2);

  REQUIRE(commit(store, change_of("b", 1, "1")));
  const auto third = begin(store);
  REQUIRE(commit(store, change_of("b", 2, "2")));
  materialise_all_of(store);
  REQUIRE(commit(store, change_of("b", 3, "3")));
  end(store, *third);
  CHECK(snapshot_of(store, "b") == "1;2;");
  CHECK(text_of(store, "b") == "1;2;3;");
}

TEST_CASE("a job is dropped when a fork takes the place of an entity that it folded") {
  memory_directory dir;
  auto store = open(dir);
  REQUIRE(commit(store, change_of("a", 1, "of an earlier life")));
  const auto job = begin(store);
  auto fork = change_of("a", 10, "forked");
  fork.base = std::make_shared<const entity_parts>(entity_parts{
      .revision = 9, .live = true, .header = "h", .body = "base;", .chunks = {}, .owner = {}});
  fork.parent = session_ref("parent");
  REQUIRE(commit(store, fork));
  end(store, *job);
  CHECK(store.stats().materialised == 0);
  CHECK(text_of(store, "a") == "base;forked;");
  materialise_all_of(store);
  CHECK(snapshot_of(store, "a") == "base;forked;");
}

TEST_CASE("a job that is destroyed leaves all as it was") {
  memory_directory dir;
  auto store = open(dir);
  REQUIRE(commit(store, change_of("a", 1, "1")));
  begin(store).reset();
  REQUIRE(commit(store, change_of("a", 2, "2")));
  begin(store)->run();
  CHECK(store.stats().materialised == 0);
  CHECK(text_of(store, "a") == "1;2;");
  materialise_all_of(store);
  CHECK(snapshot_of(store, "a") == "1;2;");
}

TEST_CASE("a job says what it cannot fold and everything before that is covered") {
  memory_directory dir;
  const auto fold = [](entity_kind kind, std::string_view snapshot,
                       const std::vector<std::string>& changes) -> expected<std::string> {
    if (changes.front() == "bad")
      return fail(errc::newer_format, "cannot");
    return join(kind, snapshot, changes);
  };
  auto store = open(dir, small_map(), fold);
  REQUIRE(commit(store, change_of("a", 1, "1")));
  REQUIRE(commit(store, change_of("b", 1, "bad")));
  const auto job = begin(store);
  REQUIRE(commit(store, change_of("a", 2, "2")));
  end(store, *job);
  CHECK(store.stats().materialised == 1);
  const auto stuck = begin(store);
  stuck->run();
  const auto done = store.end_fold(*stuck);
  REQUIRE_FALSE(done);
  CHECK(done.error().code == errc::newer_format);
  CHECK(has(done.error().message, "cannot fold b at journal record 2"));
  CHECK(text_of(store, "a") == "1;2;");
}

TEST_CASE("slices follow one another without gap whatever is committed between them") {
  memory_directory dir;
  auto options = small_map();
  options.slice_bytes = 700;
  auto store = open(dir, options);
  std::vector<std::string> texts(5);
  std::vector<std::uint64_t> revisions(5);
  std::uint64_t number = 0;
  const auto write = [&](std::size_t changes) {
    for (; changes > 0; --changes) {
      const auto at = number++ % texts.size();
      texts[at] += "x;";
      REQUIRE(commit(store, change_of("s" + std::to_string(at), ++revisions[at], "x")));
    }
  };
  write(40);
  std::uint64_t slices = 0;
  for (std::uint64_t before = 0; slices < 12; ++slices) {
    const auto job = begin(store);
    write(3);
    job->run();
    write(2);
    REQUIRE(store.end_fold(*job));
    CHECK(store.stats().materialised > before);
    before = store.stats().materialised;
  }
  for (std::size_t i = 0; i < texts.size(); ++i)
    CHECK(text_of(store, "s" + std::to_string(i)) == texts[i]);
  materialise_all_of(store);
  CHECK(store.stats().tail_bytes == 0);
}

TEST_CASE("jobs on a thread of their own and commits beside them equal what was written") {
  memory_directory dir;
  constexpr std::size_t sessions = 20;
  std::vector<std::string> texts(sessions);
  {
    auto options = small_map();
    options.slice_bytes = 2'000;
    auto store = open(dir, options);
    std::vector<std::uint64_t> revisions(sessions);
    std::uint64_t number = 0;
    const auto write = [&] {
      const auto at = number++ * 7 % sessions;
      const auto payload = std::to_string(number) + std::string(number % 90, 'x');
      texts[at] += payload + ";";
      REQUIRE(commit(store, change_of("s" + std::to_string(at), ++revisions[at], payload)));
    };
    write();
    for (int round = 0; round < 200; ++round) {
      const auto job = *store.begin_fold();
      if (job == nullptr)
        break;
      std::jthread folder{[&] { job->run(); }};
      for (int i = 0; i < 8; ++i)
        write();
      folder.join();
      REQUIRE(store.end_fold(*job));
    }
    CHECK(store.stats().materialised > 100);
  }
  CHECK(sound(dir));
  auto store = open(dir);
  for (std::size_t i = 0; i < sessions; ++i)
    CHECK(text_of(store, "s" + std::to_string(i)) == texts[i]);
}

TEST_CASE("a transaction that was begun beside sees what was there whatever is committed later") {
  memory_directory dir;
  std::filesystem::create_directories(dir.store());
  auto env = lmdb::environment::open(dir.store(), 1 << 24, 1 << 20);
  lmdb::dbi db = 0;
  const auto write = [&](char what) {
    env.reserve(1 << 20);
    auto txn = lmdb::transaction::write(env);
    db = txn.create_database("d");
    for (int n = 0; n < 300; ++n)
      txn.put(db, "key-" + std::to_string(n), std::string(100, what));
    txn.commit();
  };
  write('a');
  auto txn = lmdb::transaction::read_beside(env);
  for (const char what : {'b', 'c', 'd'})
    write(what);
  env.reserve(12 << 20, lmdb::purpose::add);  // which moves the map
  CHECK(env.short_of_room());
  std::jthread{[&] {
    const auto still = env.hold_map();
    for (int n = 0; n < 300; ++n)
      CHECK(txn.get(db, "key-" + std::to_string(n)) == std::string(100, 'a'));
  }}.join();
}

TEST_CASE("commits are answered while an entity is folded and a store that ends waits for that") {
  init_messages();
  memory_directory dir;
  std::latch folding{1}, released{1};
  std::atomic<bool> first = true;
  const auto fold = [&](entity_kind kind, std::string_view snapshot,
                        const std::vector<std::string>& changes) {
    if (first.exchange(false)) {
      folding.count_down();
      released.wait();
    }
    return join(kind, snapshot, changes);
  };
  constexpr std::uint64_t changes = 20;
  {
    auto options = small_map();
    options.tail_bytes = 10'000;
    caf::actor_system_config config;
    caf::actor_system system{config};
    auto store = spawn_store(system, open(dir, options, fold));
    {
      caf::scoped_actor self{system};
      const auto append = [&](std::uint64_t sequence, std::size_t bytes) {
        compat::request(self.ptr(), store, change_of("a", sequence, std::string(bytes, 'x')))
            .receive([&](commit_receipt x) { CHECK(x.position == sequence); },
                     [](const caf::error& x) { FAIL(to_string(x)); });
      };
      append(1, 10'500);  // beyond the bound, and less than half of it
      folding.wait();
      for (std::uint64_t i = 2; i <= changes; ++i)
        append(i, 10);
    }
    caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
    store = nullptr;
    released.count_down();
  }
  auto store = open(dir);
  CHECK(store.load(session_ref("a"))->sequence == changes);
}

TEST_CASE("a chunk that was read stands where it was and others are packed beside the owner") {
  const std::string long_one(10'000, 'x');
  const std::vector<std::string_view> chunks{"first", long_one, "third"};
  const std::vector<std::string> read{"first", "second"};
  const auto made = internal::unplaced(chunks, read);
  REQUIRE(made.size() == 3);
  CHECK(made[0].stands);
  CHECK(made[0].packed.empty());
  for (const std::size_t i : {1, 2}) {
    CHECK(!made[i].stands);
    CHECK(made[i].check == internal::crc32c(chunks[i]));
  }
  CHECK(made[1].packed.size() < 100);
  CHECK(made[2].packed == std::string{'\0'} + "third");

  for (const auto& one : internal::unplaced(chunks)) {
    CHECK(!one.stands);
    CHECK(one.check == internal::crc32c(one.bytes));
    CHECK(one.packed.empty());
  }
}

TEST_CASE("chunks go on where the body's end when the last of those is the one of its number") {
  const std::vector<std::string_view> chunks{"first", "second", "third"};
  const auto ref = [](std::string_view x) {
    return internal::chunk_ref{.log = 7, .check = internal::crc32c(x)};
  };
  const auto made = internal::unplaced_behind(chunks, {ref("first"), ref("second")});
  REQUIRE(made);
  REQUIRE(made->size() == 3);
  CHECK((*made)[0].stands);
  CHECK((*made)[1].stands);
  CHECK(!(*made)[2].stands);
  CHECK((*made)[2].check == internal::crc32c("third"));
  CHECK((*made)[2].packed == std::string{'\0'} + "third");
  CHECK(internal::unplaced_behind(chunks, {}));
  CHECK_FALSE(internal::unplaced_behind(chunks, {ref("first"), ref("another")}));
  CHECK_FALSE(
      internal::unplaced_behind(chunks, {ref("first"), ref("second"), ref("third"), ref("4")}));
}

TEST_CASE("what a folded tail writes are the chunks that do not stand") {
  const std::vector<std::string_view> chunks{"first", "second!", "third"};
  const std::vector<std::string> read{"first", "second"};
  internal::folded_tail one{};
  one.what.parts.header = "head";
  one.what.parts.body = "bodies";
  const auto bytes = one.bytes();
  const auto pages = one.pages();
  CHECK(bytes == 10);
  one.chunks = internal::unplaced(chunks, read);
  CHECK(one.bytes() == bytes + 12);
  CHECK(one.pages() == pages + 2);
}
