#pragma once

#include <troupe/state/expected.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace troupe::simulate {

struct planned_fault {
  std::string kind;
  double at_s = 0;  ///< real time from the beginning of the load
  friend bool operator==(const planned_fault&, const planned_fault&) = default;
};

/// Reads "kill=50" (so many, one in each equal part of the run, where in it by the seed) and
/// "kill@10s" (at this time). Ascending. Errors: `malformed`, in words.
[[nodiscard]] expected<std::vector<planned_fault>> plan_faults(
    const std::vector<std::string>& wanted, double run_s, std::uint64_t seed);

struct fault_report {
  std::string kind;
  double at_s = 0;
  double took_s = 0;   ///< until the target was as before
  std::string note{};  ///< what was done, or why it failed
  bool failed = false;
};

/// What a target lets be done to it, by kind. Called on the injector's thread; answers a note.
using fault_hooks = std::map<std::string, std::function<expected<std::string>()>>;

/// Does the planned faults while a load runs, each when the one before it is over.
class fault_injector {
public:
  /// Starts at once. REQUIRES: a hook for each planned kind.
  fault_injector(std::vector<planned_fault> plan, fault_hooks hooks);
  ~fault_injector() { stop(); }

  /// What has not begun is left out; waits for what has.
  void stop();
  /// REQUIRES: stopped.
  [[nodiscard]] const std::vector<fault_report>& done() const noexcept { return done_; }
  /// How many have been done so far. Any thread.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
  void run();

  std::vector<planned_fault> plan_;
  fault_hooks hooks_;
  std::vector<fault_report> done_;
  std::atomic<std::size_t> count_{0};
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace troupe::simulate
