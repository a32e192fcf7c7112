#pragma once

#include "simulate/driver.hpp"

#include <string_view>

namespace troupe::simulate {

/// What Troupe's own metrics (Prometheus' text format) say of its state; nothing where they do not.
[[nodiscard]] target_state read_metrics(std::string_view text);

/// Resident bytes of a process that are no pages of files: those of a store's map are the system's
/// cache, as what others read from their files is.
struct process_memory {
  double own = 0;     ///< anonymous
  double shared = 0;  ///< with other processes
};

/// Absent when the process is gone.
[[nodiscard]] std::optional<process_memory> read_memory(int pid);

/// Both parts of `read_memory`.
[[nodiscard]] std::optional<double> bytes_of_process(int pid);

/// Bytes of all files in a directory and below, as allocated.
[[nodiscard]] double bytes_below(const std::string& directory);

}  // namespace troupe::simulate
