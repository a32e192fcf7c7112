#pragma once

#include "simulate/driver.hpp"
#include "simulate/histogram.hpp"
#include "simulate/record.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace troupe::simulate {

using clock = std::chrono::steady_clock;

/// A piece of a run, from one sample to the next.
struct sample {
  double at_s = 0;     ///< its end, from the beginning of the load
  double seconds = 0;  ///< how long it took
  std::uint64_t done = 0, failed = 0;
  std::uint64_t p50_ns = 0, p99_ns = 0, highest_ns = 0;  ///< of what was answered in it
  std::uint64_t on_the_way = 0;                          ///< at its end
  std::uint64_t late = 0;                                ///< due at its end and not sent
  std::uint64_t known = 0;                               ///< subjects that are there
  target_state state{};
};

struct load_options {
  std::chrono::nanoseconds duration{std::chrono::seconds{30}};
  std::chrono::nanoseconds warm_up{std::chrono::seconds{2}};  ///< not in the histograms
  /// So many seconds of the population in one of the run. 0: no clock, as fast as the target
  /// answers with `in_flight` on their way (a closed loop: it waits while the target is slow, so
  /// its latencies say little).
  double speed = 1;
  std::size_t in_flight = 0;  ///< on their way at once; 0: what the driver says
  std::chrono::nanoseconds sample_every{std::chrono::seconds{1}};
  /// What is answered "not now" is asked again so often, so long after.
  int attempts = 200;
  std::chrono::nanoseconds pause{std::chrono::milliseconds{20}};
  /// Behind the end, what is on its way has so long; then: it counts as unknown.
  std::chrono::nanoseconds drain{std::chrono::seconds{60}};
  std::chrono::nanoseconds hurry{std::chrono::seconds{2}};  ///< likewise, when `tick` ended it
  std::uint64_t most = UINT64_MAX;                          ///< intents; then: the load ends
};

struct load_result {
  double seconds = 0;         ///< behind the warm-up, until the load's end
  std::uint64_t sent = 0;     ///< intents, warm-up included
  std::uint64_t done = 0;     ///< of those that were due behind the warm-up: answered
  std::uint64_t in_time = 0;  ///< of these before the load's end
  std::uint64_t failed = 0;   ///< of these refused or unknown
  std::uint64_t lookups = 0, hits = 0;
  histogram latency;  ///< from when it was due; waiting for a slow target is a part of it
  histogram service;  ///< from when it was sent
  std::array<histogram, action_count> by_action{};  ///< latency
  std::vector<sample> samples;
  std::vector<std::string> errors;      ///< some, in words
  std::vector<std::string> violations;  ///< what answers showed that is another's
  bool interrupted = false;
  bool cut_off = false;  ///< the drain was not enough: intents are without an answer

  [[nodiscard]] double per_second() const noexcept {
    return seconds > 0 ? static_cast<double>(in_time) / seconds : 0;
  }
};

/// Sends what `next` gives until it gives nothing, or the duration ends, and waits for the answers.
/// Of one subject one intent is on its way at a time. The books are kept. `tick` is called at every
/// sample; false ends the load. Blocks; `next`, `tick` and the books are used on this thread only.
[[nodiscard]] load_result run_load(driver& target, record& books,
                                   const std::function<std::optional<intent>()>& next,
                                   const load_options& options,
                                   const std::function<bool(const sample&)>& tick);

}  // namespace troupe::simulate
