#include <troupe/persistence/internal/sweeper.hpp>
#include <troupe/persistence/store_actor.hpp>
#include <troupe/state/entity.hpp>

#include "store_fixture.hpp"
#include "support/deterministic.hpp"
#include <caf/scoped_actor.hpp>

#include <map>
#include <stdexcept>

using namespace troupe;
using namespace troupe::testing;

namespace {

/// What came back, in the order in which it came: "1" for position 1, else the error's name.
using answers = std::vector<std::string>;

std::string shown(const caf::error& what) {
  return std::string{to_string(from_caf(what).code)};
}

struct fixture {
  memory_directory dir;
  deterministic_system actors;
  store_actor store;
  answers seen;

  void start(journal_options options = small_map(), store_options how = {}, text_fold fold = join) {
    how.detached = false;
    store = spawn_store(actors.system(), open(dir, options, std::move(fold)), std::move(how));
    actors.run();
  }

  void stop() {
    caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
    store = nullptr;
    actors.run();
  }

  ~fixture() { stop(); }

  /// Sends all of them from one actor; `run` moves them.
  void send(std::vector<commit_request> requests) {
    actors.system().spawn([this, requests = std::move(requests)](caf::event_based_actor* self) {
      for (const auto& request : requests)
        compat::request(self, store, request)
            .then([this](commit_receipt x) { seen.push_back(std::to_string(x.position)); },
                  [this](const caf::error& x) { seen.push_back(shown(x)); });
    });
  }

  template <class T>
  void send_materialise(T then) {
    actors.system().spawn([this, then](caf::event_based_actor* self) {
      compat::request(self, store, materialise_all{})
          .then([then] { then("done"); }, [then](const caf::error& x) { then(shown(x)); });
    });
  }

  void send_load(const std::string& id) {
    actors.system().spawn([this, id](caf::event_based_actor* self) {
      compat::request(self, store, load_request{session_ref(id)})
          .then([this](const stored_entity& x) { seen.push_back(content(x)); },
                [this](const caf::error& x) { seen.push_back(shown(x)); });
    });
  }

  store_stats stats() {
    store_stats out;
    actors.system().spawn([this, &out](caf::event_based_actor* self) {
      compat::request(self, store, get_store_stats{})
          .then([&out](const store_stats& x) { out = x; }, [](const caf::error&) {});
    });
    actors.run();
    return out;
  }
};

std::vector<commit_request> changes_of(const std::string& id, std::uint64_t from, std::uint64_t to,
                                       const std::string& payload = "x") {
  std::vector<commit_request> out;
  for (auto i = from; i <= to; ++i)
    out.push_back(change_of(id, i, payload));
  return out;
}

answers numbers(std::uint64_t from, std::uint64_t to) {
  answers out;
  for (auto i = from; i <= to; ++i)
    out.push_back(std::to_string(i));
  return out;
}

}  // namespace

TEST_CASE_FIXTURE(fixture,
                  "requests that wait together become one transaction and are answered in order") {
  start();
  send(changes_of("a", 1, 200));
  actors.run();
  CHECK(seen == numbers(1, 200));
  CHECK(stats().commits == 1);
  CHECK(stats().changes == 200);
  send(changes_of("a", 201, 201));
  actors.run();
  CHECK(stats().commits == 2);
}

TEST_CASE_FIXTURE(fixture, "requests of many senders share a transaction") {
  start();
  for (int i = 0; i < 50; ++i)
    send(changes_of("id" + std::to_string(i), 1, 1));
  actors.run();
  CHECK(seen.size() == 50);
  CHECK(stats().commits == 1);
}

TEST_CASE_FIXTURE(fixture, "a transaction holds at most 1024 changes and 1 MiB") {
  start();
  send(changes_of("a", 1, 2'500));
  actors.run();
  CHECK(seen == numbers(1, 2'500));
  CHECK(stats().commits == 3);
  send(changes_of("b", 1, 30, std::string(100'000, 'x')));
  actors.run();
  CHECK(stats().commits == 6);
}

TEST_CASE_FIXTURE(fixture, "requests are let go of when they are answered however many there are") {
  start();
  const auto first_of = [](std::uint64_t count, std::uint64_t from) {
    auto requests = changes_of("a", from, from + count - 1);
    requests.front().after = std::make_shared<const entity_state>();
    return requests;
  };
  std::uint64_t next = 1;
  for (const std::uint64_t count : {1, 15, 16, 200, 2'500}) {
    auto requests = first_of(count, next);
    next += count;
    const std::weak_ptr<const entity_state> held = requests.front().after;
    send(std::move(requests));
    actors.run();
    CHECK(seen.size() == next - 1);
    CHECK_MESSAGE(held.expired(), count);
  }
}

TEST_CASE("spent batches beyond four are left to who brings them") {
  internal::spent_batches spent;
  const auto held = std::make_shared<const entity_state>();
  const auto batch = [&] {
    internal::spent_batch out{changes_of("a", 1, 16)};
    out.requests.front().after = held;
    out.messages.resize(16);
    return out;
  };
  for (int i = 0; i < 4; ++i) {
    auto one = batch();
    CHECK(spent.take(one));
    CHECK(one.empty());
  }
  auto fifth = batch();
  CHECK(!spent.take(fifth));
  CHECK(fifth.requests.size() == 16);
  fifth.clear();
  CHECK(held.use_count() == 5);
  spent.let_go();
  CHECK(held.use_count() == 1);
  auto sixth = batch();
  CHECK(spent.take(sixth));
  CHECK(sixth.requests.capacity() >= 16);
}

TEST_CASE_FIXTURE(fixture, "nothing is answered before its transaction was committed") {
  start();
  {
    broken_disk full{dir, broken_disk::what::pages, "/dev/full", O_RDWR};
    send(changes_of("a", 1, 3));
    actors.run();
    CHECK(seen == answers{"store_full", "store_full", "store_full"});
  }
  seen.clear();
  send(changes_of("a", 1, 3));
  actors.run();
  CHECK(seen == numbers(1, 3));
}

TEST_CASE_FIXTURE(fixture,
                  "what was pipelined behind a failed change fails too and the rest is stored") {
  start();
  {
    broken_disk full{dir, broken_disk::what::pages, "/dev/full", O_RDWR};
    send(changes_of("a", 1, 1));
    actors.run();
  }
  auto rest = changes_of("a", 2, 3);
  rest.push_back(change_of("b", 1, "x"));
  send(rest);
  actors.run();
  CHECK(seen == answers{"store_full", "store_failed", "store_failed", "1"});
}

TEST_CASE_FIXTURE(fixture, "a load sees every change that was sent before it") {
  start();
  send({change_of("a", 1, "one"), change_of("b", 1, "uno"), change_of("a", 2, "two")});
  send_load("a");
  send_load("nobody");
  actors.run();
  REQUIRE(seen.size() == 5);
  std::map<std::string, int> counted;
  for (const auto& x : seen)
    ++counted[x];
  CHECK(counted["one;two;"] == 1);
  CHECK(counted[""] == 1);
}

TEST_CASE_FIXTURE(fixture,
                  "materialise_all answers when snapshots cover all that was sent before it") {
  auto options = small_map();
  options.slice_bytes = 500;
  start(options);
  for (int i = 0; i < 40; ++i)
    send(changes_of("id" + std::to_string(i), 1, 3));
  std::string done;
  send_materialise([&](const std::string& x) { done = x; });
  CHECK(done.empty());
  actors.run();
  CHECK(done == "done");
  CHECK(stats().materialised == 120);
  CHECK(stats().tail_bytes == 0);
  stop();
  CHECK(open(dir).load(session_ref("id7"))->parts.body == "x;x;x;");
}

TEST_CASE_FIXTURE(fixture, "materialise_all answers at once when there is nothing to do") {
  start();
  std::string done;
  send_materialise([&](const std::string& x) { done = x; });
  actors.run();
  CHECK(done == "done");
}

TEST_CASE_FIXTURE(fixture, "a tail beyond its bound is materialised without being asked") {
  auto options = small_map();
  options.tail_bytes = 20'000;
  options.slice_bytes = 3'000;
  start(options);
  for (std::uint64_t i = 1; i <= 100; ++i) {
    send(changes_of("id" + std::to_string(i % 7), (i - 1) / 7 + 1, (i - 1) / 7 + 1,
                    std::string(1'000, 'x')));
    actors.run();
    CHECK(stats().tail_bytes <= options.tail_bytes);
  }
  CHECK(seen == numbers(1, 100));
  CHECK(stats().materialised > 50);
}

TEST_CASE_FIXTURE(fixture,
                  "a tail that is folded is folded until a sixteenth of its bound is free") {
  auto options = small_map();
  options.tail_bytes = 32'000;
  options.slice_bytes = 1'500;
  start(options);
  std::uint64_t before = 0;
  int folded = 0;
  for (int i = 1; i <= 100; ++i) {
    send(changes_of("id" + std::to_string(i), 1, 1, std::string(1'000, 'x')));
    actors.run();
    const auto now = stats().tail_bytes;
    if (now < before) {  // what it just wrote included
      ++folded;
      CHECK(now <= 30'000);
    }
    before = now;
  }
  CHECK(folded >= 20);
}

TEST_CASE_FIXTURE(
    fixture, "a batch waits for folding when the tail is half its bound beyond it and not before") {
  auto options = small_map();
  options.tail_bytes = 20'000;
  int folds = 0;
  start(options, {},
        [&](entity_kind kind, std::string_view snapshot, const std::vector<std::string>& changes) {
          ++folds;
          return join(kind, snapshot, changes);
        });
  const auto append_and_wait = [&](const std::string& id, std::size_t bytes) {
    seen.clear();
    send(changes_of(id, 1, 1, std::string(bytes, 'x')));
    while (seen.empty())
      REQUIRE(actors.step());
  };
  append_and_wait("a", 25'000);
  CHECK(folds == 0);
  actors.run();
  CHECK(folds == 1);
  CHECK(stats().tail_bytes == 0);
  append_and_wait("b", 45'000);
  CHECK(folds == 2);
  actors.run();
  CHECK(folds == 2);
}

TEST_CASE_FIXTURE(fixture, "a journal beyond what is kept is freed without being asked") {
  auto options = small_map();
  options.tail_bytes = 10'000;
  options.covered_bytes = 30'000;
  options.slice_bytes = 5'000;
  start(options);
  for (std::uint64_t i = 1; i <= 100; ++i) {
    send(changes_of("id", i, i, std::string(1'000, 'x')));
    actors.run();
    CHECK(stats().covered_bytes <= options.covered_bytes);
  }
  CHECK(seen == numbers(1, 100));
  CHECK(stats().first > 50);
}

TEST_CASE_FIXTURE(fixture,
                  "at most every second batch that waits for a slice also waits for freeing") {
  auto options = small_map();
  options.tail_bytes = 10'000;
  options.covered_bytes = 10'000;
  options.slice_bytes = 3'000;
  auto owned = std::make_unique<journal_store>(open(dir, options));
  const auto& below = *owned;
  store_options how;
  how.detached = false;
  store = spawn_store(actors.system(), std::move(owned), std::move(how));
  int wrote = 0, freed = 0, both = 0;
  for (int i = 1; i <= 100; ++i) {
    send(changes_of("id" + std::to_string(i), 1, 1, std::string(1'000, 'x')));
    for (auto before = below.stats(); actors.step(); before = below.stats()) {
      const auto now = below.stats();
      wrote += now.materialised != before.materialised ? 1 : 0;
      freed += now.first != before.first ? 1 : 0;
      both += now.materialised != before.materialised && now.first != before.first ? 1 : 0;
    }
  }
  CHECK(wrote >= 20);
  CHECK(freed >= 20);
  CHECK(2 * both <= wrote);
}

TEST_CASE_FIXTURE(fixture, "a store that starts with a tail beyond its bound materialises it") {
  {
    auto store_before = open(dir);
    for (const auto& request : changes_of("a", 1, 50, std::string(1'000, 'x')))
      REQUIRE(commit(store_before, request));
  }
  auto options = small_map();
  options.tail_bytes = 10'000;
  start(options);
  CHECK(stats().tail_bytes <= 10'000);
}

TEST_CASE_FIXTURE(fixture, "snapshots that cannot be written stop no change and end no loop") {
  auto options = small_map();
  options.tail_bytes = 10'000;
  int folds = 0;
  start(options, {}, [&](entity_kind, std::string_view, const std::vector<std::string>&) {
    ++folds;
    return expected<std::string>{fail(errc::damaged, "cannot")};
  });
  for (std::uint64_t i = 1; i <= 40; ++i) {
    send(changes_of("a", i, i, std::string(1'000, 'x')));
    actors.run();
  }
  CHECK(seen == numbers(1, 40));
  CHECK(folds > 1);
  CHECK(folds < 20);
  std::string done;
  send_materialise([&](const std::string& x) { done = x; });
  actors.run();
  CHECK(done == "damaged");
}

TEST_CASE_FIXTURE(fixture, "an I/O error calls on_fatal once before anything is answered") {
  answers log;
  store_options how;
  how.on_fatal = [&](const error& x) {
    log.push_back("fatal " + std::string{to_string(x.code)} + " after "
                  + std::to_string(seen.size()) + " answers");
  };
  start(small_map(), how);
  broken_disk broken{dir, broken_disk::what::meta, "/dev/full", O_RDWR};
  send(changes_of("a", 1, 2));
  actors.run();
  CHECK(log == answers{"fatal outcome_unknown after 0 answers"});
  CHECK(seen == answers{"outcome_unknown", "outcome_unknown"});
  send(changes_of("b", 1, 1));
  send_load("a");
  actors.run();
  CHECK(seen == answers{"outcome_unknown", "outcome_unknown", "store_failed", "store_failed"});
  CHECK(log.size() == 1);
}

TEST_CASE_FIXTURE(fixture, "what no handler expects calls on_fatal once") {
  std::vector<std::string> fatal;
  store_options how;
  how.on_fatal = [&](const error& x) { fatal.push_back(x.message); };
  start(
      small_map(), how,
      [](entity_kind, std::string_view, const std::vector<std::string>&) -> expected<std::string> {
        throw std::runtime_error{"planted"};
      });
  send(changes_of("a", 1, 1));
  actors.run();
  CHECK(seen == numbers(1, 1));
  CHECK(fatal.empty());
  send_materialise([](const std::string&) {});
  actors.run();
  CHECK(fatal == std::vector<std::string>{"planted"});
}

TEST_CASE("a detached store answers requests of other threads and closes when it ends") {
  init_messages();
  memory_directory dir;
  {
    caf::actor_system_config config;
    caf::actor_system system{config};
    auto store = spawn_store(system, open(dir));
    {
      caf::scoped_actor self{system};
      for (std::uint64_t i = 1; i <= 20; ++i)
        compat::request(self.ptr(), store, change_of("a", i, std::to_string(i)))
            .receive([&](commit_receipt x) { CHECK(x.position == i); },
                     [](const caf::error& x) { FAIL(caf::to_string(x)); });
    }
    caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
  }
  CHECK(open(dir).load(session_ref("a"))->sequence == 20);
}
