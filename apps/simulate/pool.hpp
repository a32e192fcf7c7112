#pragma once

#include "simulate/driver.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace troupe::simulate {

/// Threads with a connection each, for targets whose clients block. Any thread may send.
class connection_pool {
public:
  explicit connection_pool(std::vector<std::unique_ptr<connection>> connections)
      : connections_{std::move(connections)} {
    for (auto& one : connections_)
      threads_.emplace_back([this, &one] { work(*one); });
  }
  ~connection_pool() {
    {
      const std::lock_guard lock{mutex_};
      ended_ = true;
    }
    changed_.notify_all();
    for (auto& one : threads_)
      one.join();
  }
  connection_pool(const connection_pool&) = delete;
  connection_pool& operator=(const connection_pool&) = delete;

  [[nodiscard]] std::size_t size() const noexcept { return connections_.size(); }

  void send(const intent& what, driver::callback done) {
    {
      const std::lock_guard lock{mutex_};
      waiting_.emplace_back(what, std::move(done));
    }
    changed_.notify_one();
  }

private:
  void work(connection& with) {
    std::unique_lock lock{mutex_};
    while (true) {
      changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
      if (waiting_.empty())
        return;
      auto [what, done] = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      done(with.perform(what));
      lock.lock();
    }
  }

  std::vector<std::unique_ptr<connection>> connections_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<intent, driver::callback>> waiting_;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace troupe::simulate
