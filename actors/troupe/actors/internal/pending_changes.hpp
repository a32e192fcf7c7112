#pragma once

/// The changes of one entity that were decided and are not on disk. Not installed.

#include <troupe/actors/internal/output_gate.hpp>
#include <troupe/actors/internal/short_queue.hpp>
#include <troupe/messages/messages.hpp>

#include <atomic>
#include <cstdint>
#include <vector>

namespace troupe::internal {

/// Those that were sent, in the order in which they become durable, and behind them those of level
/// `memory`, which wait until they must. The bytes of what was answered and not synced count
/// against what all entities share.
class pending_changes {
public:
  struct unwritten {
    commit_request change;
    state_ptr state;  ///< after it
  };

  explicit pending_changes(std::atomic<std::uint64_t>& relaxed_bytes)
      : relaxed_bytes_{relaxed_bytes} {}
  pending_changes(const pending_changes&) = delete;
  pending_changes& operator=(const pending_changes&) = delete;
  ~pending_changes() { forget(); }

  [[nodiscard]] bool none_sent() const noexcept { return commits_.empty(); }
  [[nodiscard]] bool none_unwritten() const noexcept { return unwritten_.empty(); }
  [[nodiscard]] bool none() const noexcept { return none_sent() && none_unwritten(); }

  /// Since there was none: commits that were sent, of which so many are durable.
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
  [[nodiscard]] std::uint64_t durable() const noexcept { return sent_ - commits_.size(); }

  /// False: it is one too many, all must be sent.
  [[nodiscard]] bool keep(unwritten what);
  [[nodiscard]] std::vector<unwritten> take_unwritten();

  /// Whether so many bytes may be answered before they are synced.
  [[nodiscard]] bool may_relax(std::size_t bytes, timestamp now) const;

  /// A change is sent, with so many bytes answered before they are synced.
  void add(state_ptr after, timestamp now, std::uint64_t relaxed);
  /// The oldest is durable: the state after it.
  [[nodiscard]] state_ptr pop();
  /// All of them are lost.
  void forget();

private:
  struct commit {
    state_ptr state;
    std::int64_t sent_ms = 0;
    std::uint64_t relaxed_bytes = 0;
  };

  std::atomic<std::uint64_t>& relaxed_bytes_;
  short_queue<commit> commits_;
  std::vector<unwritten> unwritten_;
  std::size_t unwritten_bytes_ = 0;
  std::uint64_t sent_ = 0;
};

}  // namespace troupe::internal
