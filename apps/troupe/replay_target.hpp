#pragma once

#include <troupe/state/expected.hpp>

#include "troupe/comparison.hpp"
#include "troupe/conversations.hpp"
#include "troupe/replay_plan.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace troupe::cli {

/// Called on the caller's thread several times a second while work goes on, with what is done.
/// False stops the work: what is in flight is finished, nothing more begun.
using replay_tick = std::function<bool(std::uint64_t done)>;

inline constexpr std::chrono::milliseconds tick_interval{50};

/// How often a refusal that says "not now" is answered with another try, and how long after.
inline constexpr int max_busy_attempts = 500;
inline constexpr std::chrono::milliseconds busy_pause{20};

/// Where conversations go and come back from: an embedded store, or a node over HTTP. One owner,
/// one thread; calls block.
class replay_target {
public:
  virtual ~replay_target() = default;

  /// How many items each session has; 0 also where there is no session. A node over HTTP is asked
  /// for one item only, so that it answers 0 or 1.
  virtual expected<std::vector<std::size_t>> count_items(std::span<const conversation> told,
                                                         const replay_tick& tick) = 0;

  /// Creates every session and appends what the plan hands out, each message once. The plan has the
  /// outcome.
  virtual void write(std::span<const conversation> told, replay_plan& plan,
                     const replay_tick& tick) = 0;

  /// After this, reads answer from what is on disk. The time it took to open; nothing where that is
  /// not ours to do.
  virtual expected<std::optional<std::chrono::nanoseconds>> reopen() = 0;

  /// Reads every session that has a count and compares its first items.
  /// REQUIRES: a count for each conversation.
  virtual expected<comparison> compare(std::span<const conversation> told,
                                       std::span<const std::optional<std::size_t>> counts,
                                       extra_items extra, const replay_tick& tick) = 0;
};

}  // namespace troupe::cli
