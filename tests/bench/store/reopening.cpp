// A start, by the size of the store; and waking one session.

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/journal_store.hpp>
#include <troupe/runtime/runtime.hpp>
#include <troupe/state/codec.hpp>

#include "scenarios.hpp"
#include "turn_text.hpp"
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace troupe::bench {

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::size_t turns_each = 10;
constexpr std::size_t one_in = 100;  // has turns

double us_since(clock_type::time_point start) {
  return std::chrono::duration<double, std::micro>(clock_type::now() - start).count();
}

double at(std::vector<double>& sorted, double part) {
  return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
}

entity_ref session_of(std::size_t i) {
  return session_ref("conversation-" + std::to_string(i));
}

expected<journal_store> open_store(const std::filesystem::path& dir) {
  auto out = journal_store::open(dir, journal_options{}, fold_entities());
  if (!out)
    throw std::runtime_error{out.error().message};
  return out;
}

/// The changes that create a session and, in one of a hundred, append ten turns.
std::vector<std::string> changes_of(bool with_turns) {
  std::vector<std::string> out;
  entity_state state;
  const auto add = [&](operation what) {
    const auto decided = decide(state, {session_ref("any"), {std::move(what)}}, {.now = {1'000}});
    if (!decided)
      throw std::runtime_error{decided.error().message};
    out.push_back(encode(decided->what));
    state = decided->next;
  };
  add(create{});
  for (std::size_t i = 0; with_turns && i < turns_each; ++i)
    add(append_items{{value::map({{"role", "user"}, {"content", turn_text(600, i)}})}});
  return out;
}

void build(const std::filesystem::path& dir, std::size_t sessions) {
  auto store = open_store(dir);
  const auto silent = changes_of(false), busy = changes_of(true);
  std::vector<commit_request> batch;
  const auto flush = [&] {
    for (const auto& answer : store->commit(batch))
      if (!answer)
        throw std::runtime_error{answer.error().message};
    batch.clear();
  };
  const auto fold_all = [&] {
    for (expected<bool> more = true; more && *more;)
      if (more = store->materialise(); !more)
        throw std::runtime_error{more.error().message};
  };
  for (std::size_t i = 0; i < sessions; ++i) {
    std::uint64_t sequence = 0;
    for (const auto& change : i % one_in == 0 ? busy : silent)
      batch.push_back({session_of(i), ++sequence, change});
    if (batch.size() >= 10'000)
      flush();
    if (i % 200'000 == 199'999)
      fold_all();
  }
  flush();
  fold_all();
}

/// Drops what the page cache holds of the store.
void forget_pages(const std::filesystem::path& dir) {
  const int fd = ::open((dir / "data.mdb").c_str(), O_RDONLY | O_CLOEXEC);
  ::fsync(fd);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
}

void print(const char* what, const char* cache, std::size_t sessions, std::vector<double> us) {
  std::ranges::sort(us);
  std::printf(
      "{\"schema\":\"troupe.bench/1\",\"bench\":\"%s\",\"cache\":\"%s\",\"sessions\":%zu,"
      "\"n\":%zu,\"min_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
      what, cache, sessions, us.size(), us.front(), at(us, 0.5), at(us, 0.99), us.back());
  std::fflush(stdout);
}

/// A node starts and answers one read.
double open_and_read(const std::filesystem::path& dir) {
  const auto start = clock_type::now();
  auto node = runtime::open({.data = dir, .now = {}});
  if (!node)
    throw std::runtime_error{node.error().message};
  const auto state = (*node)->read(session_of(0));
  const auto took = us_since(start);
  if (!state || (*state)->items.size() != turns_each)
    throw std::runtime_error{"the first read was wrong"};
  return took;
}

void measure_starts(const std::filesystem::path& dir, std::size_t sessions, int rounds) {
  std::vector<double> cold, warm;
  for (int i = 0; i < rounds; ++i) {
    forget_pages(dir);
    cold.push_back(open_and_read(dir));
    warm.push_back(open_and_read(dir));
  }
  print("open_and_first_read", "cold", sessions, cold);
  print("open_and_first_read", "warm", sessions, warm);
}

/// From a store that no actor has woken: the store's part, and a read through the runtime.
void measure_waking(const std::filesystem::path& dir, std::size_t sessions) {
  std::vector<std::size_t> busy;
  for (std::size_t i = 0; i < sessions && busy.size() < 10'000; i += one_in)
    busy.push_back(i);
  std::vector<double> stored, woken;
  {
    auto store = open_store(dir);
    for (const bool first : {true, false})  // the first brings the pages into memory
      for (const auto i : busy) {
        const auto start = clock_type::now();
        const auto found = store->load(session_of(i));
        const auto state =
            found ? join_entity(found->parts) : expected<entity_state>{entity_state{}};
        const auto took = us_since(start);
        if (!state || state->items.size() != turns_each)
          throw std::runtime_error{"a session did not come back"};
        if (!first)
          stored.push_back(took);
      }
  }
  auto node = runtime::open({.data = dir, .now = {}});
  for (const auto i : busy) {
    const auto start = clock_type::now();
    const auto state = (*node)->read(session_of(i));
    woken.push_back(us_since(start));
    if (!state || (*state)->items.size() != turns_each)
      throw std::runtime_error{"a session did not come back"};
  }
  print("hydrate_from_store", "warm", sessions, stored);
  print("hydrate_by_read", "warm", sessions, woken);
}

}  // namespace

void measure_reopening(const store_scenarios& how) {
  for (const auto sessions : {std::size_t{1'000}, how.sessions}) {
    const auto dir = how.dir / ("store-" + std::to_string(sessions));
    const auto start = clock_type::now();
    build(dir, sessions);
    std::fprintf(stderr, "%zu sessions made in %.1f s, %.1f MiB\n", sessions, us_since(start) / 1e6,
                 static_cast<double>(std::filesystem::file_size(dir / "data.mdb")) / (1 << 20));
    measure_starts(dir, sessions, how.rounds);
    measure_waking(dir, sessions);
    std::filesystem::remove_all(dir);
  }
}

}  // namespace troupe::bench
