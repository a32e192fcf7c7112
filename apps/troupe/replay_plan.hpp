#pragma once

#include <troupe/state/error.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace troupe::cli {

/// Which append comes next while conversations are replayed, and what became of each. Conversations
/// are handed out in their order; the next message of one only after the one before it was
/// acknowledged. No clock and no I/O.
///
/// Any thread; a conversation belongs to one caller at a time, who hands it on with a
/// happens-before.
class replay_plan {
public:
  using clock = std::chrono::steady_clock;

  /// The number of messages of each conversation.
  explicit replay_plan(const std::vector<std::size_t>& lengths);

  /// The first messages are stored already. REQUIRES: before anything was handed out.
  void begin_behind(std::size_t conversation, std::size_t stored);

  /// A conversation to be created and written now; nothing when all are handed out or the replay
  /// stops.
  [[nodiscard]] std::optional<std::size_t> next_conversation();

  /// The index of its message to be appended now; nothing when it is complete or the replay stops.
  [[nodiscard]] std::optional<std::size_t> next_message(std::size_t conversation) const;

  /// The session is there. Conversations without it are not compared.
  void created(std::size_t conversation);

  /// The message handed out last is durable: it was sent at `sent`, and the answer came at `now`.
  void acknowledged(std::size_t conversation, clock::time_point sent, clock::time_point now);

  /// Hands out nothing more. The first failure is kept.
  void stop() noexcept { stopped_ = true; }
  void fail(std::size_t conversation, error why);

  struct failure {
    std::size_t conversation = 0;
    error why;
  };
  [[nodiscard]] std::optional<failure> failed() const;
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

  /// Acknowledged in this replay, and what there is to do in all.
  [[nodiscard]] std::uint64_t done() const noexcept { return done_; }
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }

  /// When the newest answer came; the epoch when none did.
  [[nodiscard]] clock::time_point last_acknowledgement() const noexcept {
    return clock::time_point{newest_.load()};
  }

  /// Messages of a conversation that are stored; nothing when the session was not created.
  /// REQUIRES: nobody writes.
  [[nodiscard]] std::optional<std::size_t> stored(std::size_t conversation) const;

  /// The times of all appends, sorted. REQUIRES: nobody writes.
  [[nodiscard]] std::vector<std::chrono::nanoseconds> latencies() const;

private:
  struct track {
    std::size_t length = 0;
    std::size_t first = 0;  // of this replay
    std::size_t stored = 0;
    std::size_t offset = 0;  // of its times
    bool created = false;
  };

  std::vector<track> tracks_;
  std::vector<std::chrono::nanoseconds>
      times_;  // a slot for each message: no two writers share one
  std::atomic<std::size_t> next_ = 0;
  std::atomic<std::uint64_t> done_ = 0;
  std::atomic<clock::duration> newest_{};
  std::uint64_t total_ = 0;
  std::atomic<bool> stopped_ = false;
  mutable std::mutex mutex_;
  std::optional<failure> failed_;
};

/// The smallest time that `percent` of them do not exceed (nearest rank); zero of none.
/// REQUIRES: sorted.
[[nodiscard]] std::chrono::nanoseconds percentile(
    const std::vector<std::chrono::nanoseconds>& times, unsigned percent);

}  // namespace troupe::cli
