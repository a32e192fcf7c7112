// So many sessions, created, used once and put to sleep, by the runtime with its default options
// but for the time after which it lets sleep: what each costs in memory and on disk, how long it
// takes, and how long one takes to wake. Memory is RssAnon, without LMDB's map, against that of the
// open runtime before its first session, so that nothing the runtime ever keeps is left out. JSON
// on stdout. Exit code 1 when a figure is beyond its target or something used is not there.
//
//   million_bench [--sessions 1000000] [--in-flight 512] [--wakes 10000] [--dir DIRECTORY]

#include <troupe/runtime/runtime.hpp>

#include <malloc.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;

namespace {

using clock_type = std::chrono::steady_clock;

constexpr double most_bytes_asleep = 100;  // of a session, targets
constexpr double most_wake_p50_us = 300;

struct plan {
  std::size_t sessions = 1'000'000;
  std::ptrdiff_t in_flight = 512;
  std::size_t wakes = 10'000;
  std::filesystem::path parent = std::filesystem::temp_directory_path();
};

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

entity_ref session_number(std::size_t n) {
  return session_ref("session-" + std::to_string(n));
}

void must(bool good, const char* what) {
  if (!good)
    throw std::runtime_error{what};
}

std::uint64_t anonymous_bytes() {
  ::malloc_trim(0);
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);)
    if (line.rfind("RssAnon:", 0) == 0)
      return std::stoull(line.substr(8)) * 1'024;
  throw std::runtime_error{"the kernel does not tell RssAnon"};
}

std::unique_ptr<runtime> open(const std::filesystem::path& dir) {
  auto opened = runtime::open({.data = dir, .idle = std::chrono::seconds{2}});
  must(opened.has_value(), "the store cannot be opened");
  return *std::move(opened);
}

/// One command for each session, so many at a time.
template <class Make>
void for_all(runtime& in, const plan& how, Make make) {
  std::counting_semaphore<> room{how.in_flight};
  std::atomic<bool> good = true;
  for (std::size_t i = 0; i < how.sessions; ++i) {
    room.acquire();
    in.execute(make(i), [&](const expected<command_result>& answer) {
      good = good && answer && answer->durable;
      room.release();
    });
  }
  for (std::ptrdiff_t i = 0; i < how.in_flight; ++i)
    room.acquire();
  must(good, "a command was refused");
}

void wait_until_all_sleep(const runtime& in) {
  const auto start = clock_type::now();
  while (in.active_count() != 0) {
    must(seconds_since(start) < 120, "some do not fall asleep");
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
}

/// Microseconds, ascending. Each must hold what it was used for.
std::vector<double> wake_some(runtime& in, const plan& how) {
  std::vector<double> out;
  std::uint64_t n = 0;
  for (std::size_t i = 0; i < how.wakes; ++i) {
    n = n * 6'364'136'223'846'793'005u + 1'442'695'040'888'963'407u;
    const auto which = (n >> 33) % how.sessions;
    const auto ref = session_number(which);
    if (in.is_live(ref))
      continue;
    const auto begun = clock_type::now();
    const auto found = in.read(ref);
    out.push_back(seconds_since(begun) * 1e6);
    must(found && (**found).live() && (**found).items.size() == 1, "a sleeping session is gone");
  }
  std::ranges::sort(out);
  return out;
}

int measure(const plan& how, const std::filesystem::path& dir) {
  auto node = open(dir);
  const auto before = anonymous_bytes();
  const auto start = clock_type::now();
  for_all(*node, how, [](std::size_t i) {
    return command{.entity = session_number(i), .operations = {create{}}};
  });
  const auto created = seconds_since(start);
  for_all(*node, how, [](std::size_t i) {
    return command{.entity = session_number(i),
                   .operations = {append_items{{value::map(
                       {{"role", "user"}, {"content", "message number " + std::to_string(i)}})}}}};
  });
  const auto used = seconds_since(start);
  wait_until_all_sleep(*node);
  const auto asleep = seconds_since(start);
  const auto after = anonymous_bytes();
  const auto heap = ::mallinfo2();
  const auto wakes = wake_some(*node, how);
  const auto stats = node->stats();
  const auto each = (static_cast<double>(after) - static_cast<double>(before))
                    / static_cast<double>(how.sessions);
  node->close();
  const auto closed = seconds_since(start);
  node.reset();
  const auto reopening = clock_type::now();
  node = open(dir);
  const auto reopened = seconds_since(reopening);
  must(node->read(session_number(how.sessions - 1)).has_value(), "the last session is gone");
  node->close();

  const auto at = [&](double part) {
    return wakes.at(static_cast<std::size_t>(part * static_cast<double>(wakes.size() - 1)));
  };
  std::printf(
      "{\"schema\":\"troupe.bench/1\",\"bench\":\"sleeping_sessions\",\"subject\":\"runtime\","
      "\"sessions\":%zu,\"rss_anon_open\":%" PRIu64 ",\"rss_anon_asleep\":%" PRIu64
      ",\"bytes_each\":%.1f,\"heap_in_use\":%zu,\"store_bytes\":%" PRIuMAX
      ",\"journal_tail_bytes\":%" PRIu64
      ",\"create_s\":%.1f,\"use_s\":%.1f,\"fall_asleep_s\":%.1f,\"commands_per_second\":%.0f,"
      "\"wakes\":%zu,\"wake_p50_us\":%.0f,\"wake_p99_us\":%.0f,\"close_s\":%.1f,\"reopen_s\":%.2f}"
      "\n",
      how.sessions, before, after, each, heap.uordblks + heap.hblkhd,
      static_cast<std::uintmax_t>(std::filesystem::file_size(dir / "data.mdb")), stats.tail_bytes,
      created, used - created, asleep - used, 2.0 * static_cast<double>(how.sessions) / used,
      wakes.size(), at(0.5), at(0.99), closed - asleep, reopened);
  bool good = true;
  const auto target = [&](const char* what, double is, double most) {
    good = good && is < most;
    if (is >= most)
      std::fprintf(stderr, "%s is %.1f, and should be less than %.0f\n", what, is, most);
  };
  target("bytes_each", each, most_bytes_asleep);
  target("wake_p50_us", at(0.5), most_wake_p50_us);
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    plan how;
    for (int i = 1; i < argc; i += 2) {
      const std::string name = argv[i];
      const std::string given = i + 1 < argc ? argv[i + 1] : "";
      if (name == "--sessions")
        how.sessions = std::max(1UL, std::stoul(given));
      else if (name == "--in-flight")
        how.in_flight = std::max(1L, std::stol(given));
      else if (name == "--wakes")
        how.wakes = std::max(1UL, std::stoul(given));
      else if (name == "--dir")
        how.parent = given;
      else
        throw std::runtime_error{"there is no option " + name};
    }
    auto name = (how.parent / "troupe-million-XXXXXX").string();
    must(::mkdtemp(name.data()) != nullptr, "cannot make a directory");
    const auto status = measure(how, name);
    std::filesystem::remove_all(name);
    return status;
  } catch (const std::exception& why) {
    std::fprintf(stderr, "error: %s\n", why.what());
    return 1;
  }
}
