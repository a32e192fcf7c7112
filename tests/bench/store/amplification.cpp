// Write amplification: what reaches the disk for each byte of the turns themselves.

#include <troupe/runtime/runtime.hpp>

#include "disk_writes.hpp"
#include "scenarios.hpp"
#include "turn_text.hpp"

#include <cstdio>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>

namespace troupe::bench {

namespace {

constexpr std::size_t payload_bytes = 600;
constexpr std::ptrdiff_t max_in_flight = 64;
constexpr std::uint64_t never = 1ULL << 40;

struct scenario {
  const char* name;
  std::size_t sessions = 1;
  std::size_t turns = 0;
  std::ptrdiff_t in_flight = max_in_flight;
  std::uint64_t tail_bytes = never;  ///< journal before snapshots are written
  std::uint64_t kept_bytes = never;  ///< journal kept behind them
};

value turn(std::uint64_t seed) {
  return value::map({{"role", "user"}, {"content", turn_text(payload_bytes, seed)}});
}

void print(const scenario& what, std::uint64_t payload, const disk_writes& writes,
           std::uint64_t commits, std::uint64_t file_bytes) {
  std::printf(
      "{\"schema\":\"troupe.bench/1\",\"bench\":\"write_amplification\",\"scenario\":\"%s\","
      "\"sessions\":%zu,\"turns\":%zu,\"turn_bytes\":%zu,\"in_flight\":%td,"
      "\"payload_bytes\":%llu,\"to_disk_bytes\":%llu,\"pages\":%llu,\"write_calls\":%llu,"
      "\"commits\":%llu,"
      "\"file_bytes\":%llu,\"per_payload_byte\":%.2f}\n",
      what.name, what.sessions, what.turns, payload_bytes, what.in_flight,
      static_cast<unsigned long long>(payload), static_cast<unsigned long long>(writes.to_disk),
      static_cast<unsigned long long>(writes.to_disk / 4'096),
      static_cast<unsigned long long>(writes.calls), static_cast<unsigned long long>(commits),
      static_cast<unsigned long long>(file_bytes),
      static_cast<double>(writes.to_disk) / static_cast<double>(payload));
  std::fflush(stdout);
}

void not_run(const char* name, const std::string& why) {
  std::printf(
      "{\"schema\":\"troupe.bench/1\",\"bench\":\"write_amplification\","
      "\"scenario\":\"%s\",\"not_run\":\"%s\"}\n",
      name, why.c_str());
}

/// A runtime whose sessions are there and on disk.
class subject {
public:
  subject(const std::filesystem::path& dir, const scenario& what) : dir_{dir}, what_{what} {
    auto opened = runtime::open({.data = dir,
                                 .now = {},
                                 .journal_tail_bytes = what.tail_bytes,
                                 .journal_kept_bytes = what.kept_bytes});
    if (!opened)
      throw std::runtime_error{opened.error().message};
    runtime_ = std::move(*opened);
    for (std::size_t i = 0; i < what.sessions; ++i)
      send(command{session_of(i), {create{}}});
    settle();
  }

  void append_all() {
    for (std::size_t i = 0; i < what_.turns; ++i)
      send(command{session_of(i % what_.sessions), {append_items{{turn(i)}}}});
    settle();
  }

  expected<command_result> execute(command what) { return runtime_->execute(std::move(what)); }
  expected<runtime::snapshot> read(std::size_t i) { return runtime_->read(session_of(i)); }
  void close() { runtime_->close(); }

  [[nodiscard]] std::uint64_t commits() const { return runtime_->stats().commits; }
  [[nodiscard]] std::uint64_t file_bytes() const {
    return std::filesystem::file_size(dir_ / "data.mdb");
  }
  static entity_ref session_of(std::size_t i) {
    return session_ref("conversation-" + std::to_string(i));
  }

private:
  void send(command what) {
    room_.acquire();
    runtime_->execute(std::move(what), [this](const expected<command_result>& answer) {
      if (!answer)
        std::fprintf(stderr, "refused: %s\n", answer.error().message.c_str());
      room_.release();
    });
  }
  void settle() {
    for (std::ptrdiff_t i = 0; i < what_.in_flight; ++i)
      room_.acquire();
    room_.release(what_.in_flight);
  }

  std::filesystem::path dir_;
  scenario what_;
  std::unique_ptr<runtime> runtime_;
  std::counting_semaphore<max_in_flight> room_{what_.in_flight};
};

/// `closing`: the close counts too, which folds what is left of the journal into snapshots.
void run(const store_scenarios& how, const scenario& what, bool closing) {
  const auto dir = how.dir / what.name;
  {
    subject store{dir, what};
    const auto commits_before = store.commits();
    const auto before = disk_writes::now();
    store.append_all();
    if (closing)
      store.close();
    const auto writes = disk_writes::now() - before;
    print(what, what.turns * payload_bytes, writes, store.commits() - commits_before,
          store.file_bytes());
  }
  std::filesystem::remove_all(dir);
}

/// The fork of a session of `turns`, then one turn in it and its snapshot: what a copy costs.
void run_fork(const store_scenarios& how) {
  const scenario what{.name = "fork_of_a_long_session", .turns = how.long_turns};
  const auto dir = how.dir / what.name;
  {
    subject store{dir, what};
    store.append_all();
    const auto parent = store.read(0);
    if (!parent)
      throw std::runtime_error{parent.error().message};
    const auto fork = session_ref("fork");
    const auto before = disk_writes::now();
    auto answer = store.execute({fork, {fork_from{subject::session_of(0), *parent}}});
    if (answer)
      answer = store.execute({fork, {append_items{{turn(0)}}}});
    if (answer)
      print({.name = what.name, .turns = 1, .in_flight = 1}, payload_bytes,
            disk_writes::now() - before, 2, store.file_bytes());
    else
      not_run(what.name, answer.error().message);
  }
  std::filesystem::remove_all(dir);
}

}  // namespace

void measure_write_amplification(const store_scenarios& how) {
  run(how, {.name = "append", .sessions = 1'000, .turns = how.turns}, false);
  run(how,
      {.name = "append_one_in_flight", .sessions = 1'000, .turns = how.turns / 10, .in_flight = 1},
      false);
  run(how,
      {.name = "append_materialise_compact",
       .sessions = 1'000,
       .turns = how.turns,
       .tail_bytes = 4 << 20,
       .kept_bytes = 4 << 20},
      true);
  run(how,
      {.name = "long_session",
       .turns = how.long_turns,
       .in_flight = 1,
       .tail_bytes = 256 << 10,
       .kept_bytes = 1 << 20},
      true);
  run_fork(how);
}

}  // namespace troupe::bench
