#pragma once

#include <atomic>
#include <chrono>
#include <thread>

namespace troupe::internal {

/// Held for tens of nanoseconds to some microseconds: worth a spin, then giving way. Who spins only
/// reads, so that the holder keeps the line; letting go is a plain store.
class short_mutex {
public:
  void lock() {
    for (int tries = 0;; ++tries) {
      if (!held_.load(std::memory_order_relaxed)
          && !held_.exchange(true, std::memory_order_acquire))
        return;
      if (tries < spins)
        pause();
      else if (tries < spins + yields)
        std::this_thread::yield();
      else  // the holder does not run
        std::this_thread::sleep_for(std::chrono::microseconds{20});
    }
  }
  void unlock() { held_.store(false, std::memory_order_release); }

private:
  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }

  static constexpr int spins = 100, yields = 20;
  std::atomic<bool> held_ = false;
};

}  // namespace troupe::internal
