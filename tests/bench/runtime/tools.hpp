#pragma once

/// What the benchmarks of the runtime share.

#include <troupe/runtime/runtime.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <vector>

/// jemalloc's, where it is linked.
extern "C" int mallctl(const char* name, void* old, std::size_t* old_size, void* now,
                       std::size_t size) __attribute__((weak));

namespace troupe::bench {

using clock_type = std::chrono::steady_clock;

struct plan {
  std::filesystem::path dir;
  std::string only;
  int rounds = 5;
  double seconds = 1;
  std::size_t sessions = 1'000'000;  // of `sleep`
};

inline double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

inline double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of.at(of.size() / 2);
}

inline std::string id_of(std::size_t n) {
  return "session-" + std::to_string(n);
}

/// All subjects of a run have the same one: jemalloc's as the node, or the C library's.
inline bool has_jemalloc() {
  return &mallctl != nullptr;
}

inline void print(const char* bench, const char* subject, const std::string& numbers) {
  std::printf(
      "{\"schema\":\"troupe.bench/"
      "1\",\"bench\":\"%s\",\"subject\":\"%s\",\"allocator\":\"%s\",%s}\n",
      bench, subject, has_jemalloc() ? "jemalloc" : "libc", numbers.c_str());
  std::fflush(stdout);
}

inline std::string rate(const std::vector<double>& rounds, const char* unit = "per_second") {
  const auto [least, most] = std::ranges::minmax(rounds);
  char text[160];
  std::snprintf(text, sizeof text, "\"rounds\":%zu,\"%s\":%.1f,\"min\":%.1f,\"max\":%.1f",
                rounds.size(), unit, median(rounds), least, most);
  return text;
}

inline void must(bool good, const char* what) {
  if (!good)
    throw std::runtime_error{what};
}

inline std::unique_ptr<runtime> open(const std::filesystem::path& dir,
                                     std::size_t max_live = 100'000) {
  auto opened = runtime::open({.data = dir, .max_live = max_live});
  must(opened.has_value(), "the store cannot be opened");
  return *std::move(opened);
}

/// Calls `send(n, done)` with so many in flight for so long; answers how many a second.
template <class Send>
double keep_in_flight(std::size_t in_flight, double seconds, Send send) {
  struct state {
    std::atomic<std::size_t> next = 0, done = 0, waiting;
    std::binary_semaphore over{0};
    clock_type::time_point start = clock_type::now();
  } all;
  all.waiting = in_flight;
  std::function<void()> one = [&] {
    send(all.next++, [&] {
      ++all.done;
      if (seconds_since(all.start) < seconds)
        one();
      else if (--all.waiting == 0)
        all.over.release();
    });
  };
  for (std::size_t i = 0; i < in_flight; ++i)
    one();
  all.over.acquire();
  return static_cast<double>(all.done) / seconds_since(all.start);
}

inline void create(runtime& in, std::size_t sessions) {
  std::counting_semaphore<512> room{512};
  std::atomic<bool> good = true;
  for (std::size_t i = 0; i < sessions; ++i) {
    room.acquire();
    in.execute({session_ref(id_of(i)), {troupe::create{}}},
               [&](const expected<command_result>& answer) {
                 good = good && answer.has_value();
                 room.release();
               });
  }
  for (int i = 0; i < 512; ++i)
    room.acquire();
  must(good, "a session was not created");
}

inline command set_in_memory(std::size_t session, std::size_t n, std::size_t operations) {
  command out{.entity = session_ref(id_of(session)), .level = durability::memory};
  for (std::size_t i = 0; i < operations; ++i)
    out.operations.push_back(patch_state{
        {set_key{.key = "key-" + std::to_string(i % 8), .data = static_cast<std::int64_t>(n)}}});
  return out;
}

void measure_batches(const plan& how);
void measure_commands(const plan& how);
void measure_blocking(const plan& how);
void measure_durable(const plan& how);
void measure_reads(const plan& how);
void measure_live(const plan& how);
void measure_sleep(const plan& how);

}  // namespace troupe::bench
