#pragma once

#include "simulate/load.hpp"
#include "troupe/text.hpp"

#include <string>

namespace troupe::simulate {

/// How a load goes, on standard error: on a terminal one line that is written over, else a line
/// every five seconds. One thread.
class load_display {
public:
  /// `seconds` is how long it will take; 0: not known, then `most` intents are.
  load_display(std::string label, double seconds, std::uint64_t most = 0);
  ~load_display();
  load_display(const load_display&) = delete;
  load_display& operator=(const load_display&) = delete;

  void update(const sample& now, std::size_t faults = 0);

  /// "chat  [#####-----]  50 %  12,300/s  p99 1.2 ms  0 failed": what is shown.
  [[nodiscard]] std::string line(const sample& now, std::size_t faults) const;

private:
  std::string label_;
  double seconds_;
  std::uint64_t most_;
  cli::terminal out_ = cli::terminal_of(stderr);
  std::uint64_t done_ = 0, failed_ = 0;
  double logged_s_ = 0;
  bool written_ = false;
};

}  // namespace troupe::simulate
