#pragma once

#include "troupe/text.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace troupe::cli {

/// How far one piece of work is, as text to be written to stderr: on a terminal one line that is
/// written over, else a line of its own every few seconds. Pure: time is passed in. One thread.
class progress {
public:
  using clock = std::chrono::steady_clock;

  static constexpr std::chrono::milliseconds terminal_interval{100};
  static constexpr std::chrono::milliseconds log_interval{3'000};

  progress(std::string label, std::uint64_t total, terminal out, clock::time_point start);

  /// What to write now; empty while nothing is due.
  [[nodiscard]] std::string update(std::uint64_t done, clock::time_point now);

  /// What to write at the end: clears the terminal's line, so that the next output begins at its
  /// left. A log gets a last line when it got one before.
  [[nodiscard]] std::string finish(std::uint64_t done, clock::time_point now);

private:
  [[nodiscard]] std::string numbers(std::uint64_t done, clock::time_point now) const;

  std::string label_;
  std::uint64_t total_;
  terminal out_;
  clock::time_point start_;
  clock::time_point last_;
  bool written_ = false;
};

/// A `progress` on stderr, by the clock.
class progress_display {
public:
  progress_display(std::string label, std::uint64_t total);
  ~progress_display();  ///< finishes
  progress_display(const progress_display&) = delete;
  progress_display& operator=(const progress_display&) = delete;

  void update(std::uint64_t done);

private:
  progress state_;
  std::uint64_t done_ = 0;
};

}  // namespace troupe::cli
