#pragma once

#include <troupe/state/event_stream.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace troupe {

namespace internal {
class event_queue;
}

struct subscribe_options {
  event_filter filter{};
  std::optional<std::string> after{};   ///< a cursor; absent: from now on
  std::size_t max_bytes = 1 << 20;      ///< waiting, as stored; then: it is cut off
  std::size_t max_deliveries = 10'000;  ///< the same by number
  /// Called when something came after `try_next` found nothing, or the stream ended. On a runtime's
  /// thread; must not block, nor call the subscription.
  std::function<void()> wake{};
};

/// A stream of committed changes: each once, those of one entity by revision, all of them in commit
/// order, those that were made together adjacent. What was missed since `after` comes first, then
/// what is committed from then on, without gap or repeat. Where something is missing an `event_gap`
/// says so. It asks nobody's permission.
///
/// Owner: one, who may take from any one thread at a time. It ends with the handle. Errors, after
/// all that came before was taken: `busy` (too slow; the last delivery is a gap), `draining` (the
/// runtime closed), `damaged`, `store_failed`, `internal` (the hub ended).
class subscription {
public:
  subscription() = default;  ///< has ended
  explicit subscription(std::shared_ptr<internal::event_queue> queue);
  subscription(subscription&&) noexcept = default;
  subscription& operator=(subscription&& other) noexcept;
  ~subscription();

  /// The next, or nothing when there is none now. Never waits.
  expected<std::optional<event_delivery>> try_next();
  /// Waits for it; nothing after the deadline.
  expected<std::optional<event_delivery>> next(std::chrono::milliseconds deadline);

  void close();

private:
  std::shared_ptr<internal::event_queue> queue_;
};

}  // namespace troupe
