#pragma once

#include <chrono>
#include <csignal>
#include <thread>

namespace troupe::cli {

/// SIGTERM, SIGINT and SIGHUP of a node: they wait until they are asked for. One that follows the
/// last within a second is its repeat, as of a service manager that signals process and group, and
/// counts for nothing. One object a process, on the main thread.
class stop_signals {
public:
  /// REQUIRES: no other thread runs. Those to come do not get these signals, either.
  stop_signals();
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;
  /// Nobody is told any more.
  ~stop_signals();

  /// The signal that came, or 0 after so long.
  int wait(std::chrono::milliseconds at_most);

  /// From now on the next SIGTERM or SIGINT is logged and ends the process by itself. A thread of
  /// its own waits for it.
  void end_at_next();

private:
  static constexpr std::chrono::seconds repeat_time{1};

  [[nodiscard]] bool is_repeat(int signal);

  sigset_t all_{};
  std::chrono::steady_clock::time_point last_{};
  int seen_ = 0;  ///< SIGTERM or SIGINT, that came last
  std::jthread watch_;
};

}  // namespace troupe::cli
