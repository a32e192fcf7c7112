#pragma once

#include <troupe/state/expected.hpp>

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace troupe::cli {

struct demo_writer_options {
  std::filesystem::path data;
  pid_t parent = 0;
};

/// What the writer tells its parent, as one line.
struct demo_written {
  std::uint64_t items = 0;    ///< written now
  std::uint64_t earlier = 0;  ///< there before
  std::chrono::nanoseconds elapsed{};
  std::chrono::nanoseconds p50{};
  std::chrono::nanoseconds p99{};
  std::chrono::steady_clock::time_point
      last_acknowledgement{};  ///< the machine's clock, the same in both processes
};

[[nodiscard]] std::string to_line(const demo_written& what);
[[nodiscard]] expected<demo_written> demo_written_from(std::string_view line);

/// The hidden command that `troupe demo` starts: writes what is missing of the demo conversations,
/// tells its parent on standard output, and waits to be killed with the store open. Returns only on
/// failure.
int demo_writer(const demo_writer_options& options);

}  // namespace troupe::cli
