#pragma once

/// Between the hub and one subscriber. Not installed.

#include <troupe/state/event_stream.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace troupe::internal {

struct queue_limits {
  std::size_t bytes = 1 << 20;      ///< of changes as stored, beside the one that is taken next
  std::size_t deliveries = 10'000;  ///< then, as with bytes: cut off
};

/// What waits for one subscriber, in its order. The hub puts, any one thread takes; neither waits
/// for the other but for the length of a pointer's move.
class event_queue {
public:
  explicit event_queue(const queue_limits& limits, std::function<void()> wake)
      : limits_{limits},
        wake_{std::move(wake)} {}

  // The hub's side. `wake` is called without the lock.

  /// How the subscriber tells that it is gone (true), or has room again (false) after `room` said
  /// that there is none. Called without the lock.
  void connect(std::function<void(bool)> tell);

  /// False: it is full, and was cut off with a gap behind what is in it; or nobody listens.
  bool put(event_delivery what);
  /// As `put`, whatever is in it: of what is read from the journal, after `room`.
  void put_read(event_delivery what);

  /// Is there room for another slice? If not, the subscriber tells when there is.
  bool room();

  /// Nothing follows. What is in it can still be taken, then comes the error. Once.
  void end(error why);

  // The subscriber's side.

  /// Nothing when there is none now; then `wake` is called with the next. Errors: why it ended.
  expected<std::optional<event_delivery>> try_next();
  /// Waits until the deadline. Errors: as `try_next`.
  expected<std::optional<event_delivery>> next(std::chrono::steady_clock::time_point deadline);
  void close();

private:
  struct waiting {
    event_delivery what;
    std::size_t bytes;
  };

  void add(event_delivery what);
  void woken(std::unique_lock<std::mutex> lock);
  [[nodiscard]] std::optional<event_delivery> take(std::unique_lock<std::mutex>& lock);

  queue_limits limits_;
  std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<waiting> waiting_;
  std::size_t bytes_ = 0;
  std::function<void(bool)> tell_;
  std::optional<error> ended_;
  std::string last_;         // cursor of the newest that was put
  bool asleep_ = true;       // the subscriber found nothing, and is woken by the next
  bool wants_room_ = false;  // the hub is told when half is free
  bool closed_ = false;
};

}  // namespace troupe::internal
