#pragma once

#include "troupe/comparison.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace troupe::cli {

/// What one replay wrote.
struct write_result {
  std::uint64_t sessions = 0;  ///< created or continued
  std::uint64_t items = 0;     ///< acknowledged; each was one durable append
  std::chrono::nanoseconds elapsed{};
  std::chrono::nanoseconds p50{};
  std::chrono::nanoseconds p99{};

  [[nodiscard]] double appends_per_second() const noexcept;
};

/// One replay, to be printed.
struct replay_report {
  std::string target;          ///< a directory or an address
  std::uint64_t sessions = 0;  ///< in the file
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;  ///< of all items, as msgpack
  std::size_t parallel = 0;
  std::optional<write_result> written{};  ///< not with --verify-only
  std::optional<std::chrono::nanoseconds>
      reopened{};                        ///< time to open the embedded store for the comparison
  std::optional<comparison> compared{};  ///< not after a failure
  std::optional<std::string> failure{};  ///< safe for a terminal
  bool interrupted = false;

  /// Everything that was to be done was done, and came back equal.
  [[nodiscard]] bool good() const noexcept;
};

/// The table, with the mismatches below it. Ends with a newline.
[[nodiscard]] std::string render_table(const replay_report& report);

/// The same as one JSON object without newline. Times are in seconds or, when the name says so,
/// microseconds.
[[nodiscard]] std::string render_json(const replay_report& report);

}  // namespace troupe::cli
