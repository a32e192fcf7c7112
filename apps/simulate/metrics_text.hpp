#pragma once

#include "simulate/driver.hpp"

#include <string_view>

namespace troupe::simulate {

/// What Troupe's own metrics (Prometheus' text format) say of its state; nothing where they do not.
[[nodiscard]] target_state read_metrics(std::string_view text);

/// Resident bytes of a process by its id; absent when it is gone.
[[nodiscard]] std::optional<double> resident_bytes(int pid);

/// Bytes of all files in a directory and below, as allocated.
[[nodiscard]] double bytes_below(const std::string& directory);

}  // namespace troupe::simulate
