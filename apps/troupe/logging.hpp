#pragma once

#include <memory>
#include <string>

namespace spdlog {
class formatter;
}

namespace troupe::cli {

/// `TIME LEVEL TEXT`, or one JSON object a line: `time` (RFC 3339, UTC, milliseconds), `level`,
/// `message`, and `request_id` where it is about one. Times are UTC in both.
enum class log_format { text, json };

[[nodiscard]] std::unique_ptr<spdlog::formatter> make_log_formatter(log_format how);

/// Logs go to standard error. `level` is one of spdlog's.
void set_up_logging(log_format how, const std::string& level);

}  // namespace troupe::cli
