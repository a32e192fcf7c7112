#pragma once

#include <troupe/actors/short_mutex.hpp>

#include <array>
#include <atomic>
#include <cstddef>

namespace troupe::internal {

/// For what many threads look up all the time and few change: threads that read have one of a few
/// locks each, so that they do not wait for one another's cache line; who changes takes all of
/// them. Nobody waits while held, and a thread that reads does not lock it again.
class striped_mutex {
public:
  void lock_shared() { stripes_[mine()].mutex.lock(); }
  void unlock_shared() { stripes_[mine()].mutex.unlock(); }
  void lock() {
    for (auto& one : stripes_)
      one.mutex.lock();
  }
  void unlock() {
    for (auto& one : stripes_)
      one.mutex.unlock();
  }

private:
  static constexpr std::size_t cache_line = 64;
  struct alignas(cache_line) stripe {
    short_mutex mutex;
  };
  static std::size_t mine() {
    static std::atomic<std::size_t> threads = 0;
    thread_local const std::size_t number = threads.fetch_add(1, std::memory_order_relaxed);
    return number % stripe_count;
  }

  static constexpr std::size_t stripe_count = 8;
  std::array<stripe, stripe_count> stripes_;
};

}  // namespace troupe::internal
