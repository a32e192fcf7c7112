#include <troupe/actors/striped_mutex.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

using troupe::internal::striped_mutex;

TEST_CASE("a striped mutex keeps who changes waiting for a reader on any thread") {
  striped_mutex mutex;
  for (int thread = 0; thread < 10; ++thread) {
    std::atomic<bool> reads = false, changed = false, too_soon = false;
    std::thread reader{[&] {
      const std::shared_lock held{mutex};
      reads = true;
      reads.notify_one();
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
      too_soon = changed.load();
    }};
    reads.wait(false);
    {
      const std::scoped_lock held{mutex};
      changed = true;
    }
    reader.join();
    CHECK(!too_soon);
  }
}

TEST_CASE("a striped mutex shows readers nothing that is half changed") {
  striped_mutex mutex;
  int first = 0, second = 0;
  std::atomic<int> torn = 0;
  std::vector<std::thread> all;
  for (int i = 0; i < 2; ++i)
    all.emplace_back([&] {
      for (int n = 0; n < 1'000; ++n) {
        const std::scoped_lock held{mutex};
        ++first;
        ++second;
      }
    });
  for (int i = 0; i < 8; ++i)
    all.emplace_back([&] {
      for (int n = 0; n < 1'000; ++n) {
        const std::shared_lock held{mutex};
        if (first != second)
          ++torn;
      }
    });
  for (auto& one : all)
    one.join();
  CHECK(torn == 0);
  CHECK(first == 2'000);
  CHECK(second == 2'000);
}
