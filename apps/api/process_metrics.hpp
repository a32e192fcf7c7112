#pragma once

#include <string>

namespace troupe::api {

/// What the kernel knows of this process, in Prometheus' text format and under the names that its
/// client libraries use: `process_resident_memory_bytes`. Empty where there is no /proc.
[[nodiscard]] std::string process_metrics();

}  // namespace troupe::api
