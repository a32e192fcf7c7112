#pragma once

/// Group commit for a library whose transactions are synchronous: the fair way to give it as many
/// writers as we have requests in flight. Threads wait; the first of them writes for all that wait
/// in one transaction, wakes them, and hands the lead to the first that came meanwhile.

#include "peer.hpp"
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace troupe::bench {

/// A turn that waits to be on disk.
struct waiting_turn {
  std::size_t session = 0;
  std::uint64_t sequence = 0;  ///< of the session: 1, 2, 3 ...
};

/// A thread that sleeps until it is woken, once. The library's semaphore spins first, which takes
/// the cores from those that have work when many wait.
class parking {
public:
  void wait() {
    while (word_.load(std::memory_order_acquire) == 0)
      ::syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    word_.store(0, std::memory_order_relaxed);
  }
  /// May be the last to touch this object, and touch it when it is gone: the kernel only looks the
  /// address up.
  void wake() {
    auto* word = &word_;
    word->store(1, std::memory_order_release);
    ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }

private:
  std::atomic<std::uint32_t> word_ = 0;
};

class group_committer {
public:
  using commit_function = std::function<void(std::span<const waiting_turn>)>;

  /// `commit` returns when the turns are on disk; called by one thread at a time.
  explicit group_committer(commit_function commit) : commit_{std::move(commit)} {}

  /// Blocks until the turn is on disk.
  void append(const waiting_turn& turn) {
    waiter self{.turn = turn};
    {
      const std::lock_guard lock{mutex_};
      queue_.push_back(&self);
      if (led_)
        self.leads = false;
      led_ = true;
    }
    if (!self.leads) {
      self.parked.wait();
      if (!self.leads)
        return;
    }
    lead();
  }

  [[nodiscard]] std::uint64_t commits() const { return commits_; }

private:
  struct waiter {
    waiting_turn turn;
    parking parked{};
    bool leads = true;
  };

  /// Writes all that waits, itself among them, and passes the lead on.
  void lead() {
    std::vector<waiter*> batch;
    {
      const std::lock_guard lock{mutex_};
      const auto size = std::min(queue_.size(), max_batch);
      batch.assign(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(size));
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(size));
    }
    std::vector<waiting_turn> turns;
    turns.reserve(batch.size());
    for (const auto* one : batch)
      turns.push_back(one->turn);
    commit_(turns);
    ++commits_;
    waiter* next = nullptr;
    {
      const std::lock_guard lock{mutex_};
      if (queue_.empty())
        led_ = false;
      else
        next = queue_.front();
      if (next != nullptr)
        next->leads = true;
    }
    if (next != nullptr)  // first, so that the disk is busy while the others wake
      next->parked.wake();
    for (auto* one : batch)
      if (one != batch.front()) {
        one->leads = false;
        one->parked.wake();
      }
  }

  static constexpr std::size_t max_batch = 1'024;  // as the store actor's

  commit_function commit_;
  std::mutex mutex_;
  std::deque<waiter*> queue_;
  bool led_ = false;
  std::uint64_t commits_ = 0;
};

/// As many threads as requests are in flight, each appending one turn after the other. Sessions
/// belong to threads, so that sequences ascend.
inline result with_waiting_threads(const workload& work, group_committer::commit_function commit) {
  group_committer committer{std::move(commit)};
  std::vector<std::vector<float>> latencies(work.in_flight);
  std::vector<std::thread> threads;
  const auto cpu_before = cpu_seconds();
  const auto start = clock_type::now();
  for (std::size_t t = 0; t < work.in_flight; ++t)
    threads.emplace_back([&, t] {
      std::vector<std::uint64_t> sequences(work.sessions / work.in_flight + 1, 0);
      latencies[t].reserve(1 << 16);
      for (std::size_t i = 0;; ++i) {
        auto session = t + (i % sequences.size()) * work.in_flight;
        if (session >= work.sessions)
          continue;
        const auto begin = clock_type::now();
        if (std::chrono::duration<double>(begin - start).count() >= work.seconds)
          return;
        committer.append({session, ++sequences[i % sequences.size()]});
        latencies[t].push_back(
            std::chrono::duration<float, std::micro>(clock_type::now() - begin).count());
      }
    });
  for (auto& thread : threads)
    thread.join();
  result out;
  out.seconds = seconds_since(start);
  out.cpu_seconds = cpu_seconds() - cpu_before;
  out.commits = committer.commits();
  for (const auto& part : latencies)
    out.latencies_us.insert(out.latencies_us.end(), part.begin(), part.end());
  return out;
}

}  // namespace troupe::bench
