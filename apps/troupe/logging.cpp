#include "troupe/logging.hpp"

#include <troupe/state/json.hpp>
#include <troupe/state/time.hpp>

#include "api/request_id.hpp"
#include "troupe/text.hpp"
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <string_view>

namespace troupe::cli {

namespace {

std::string_view view(spdlog::string_view_t text) {
  return {text.data(), text.size()};
}

/// The id of the request that a line is about; empty when it is about none.
std::string_view request_of(std::string_view line) {
  const auto end = line.find(": ");
  if (!line.starts_with(api::request_line) || end == std::string_view::npos)
    return {};
  const auto id = line.substr(api::request_line.size(), end - api::request_line.size());
  return id.find(' ') == std::string_view::npos ? id : std::string_view{};
}

std::string time_of(const spdlog::details::log_msg& what) {
  const auto since = what.time.time_since_epoch();
  return to_rfc3339(
      timestamp{std::chrono::duration_cast<std::chrono::milliseconds>(since).count()});
}

/// A line ends where it ends: what is logged makes no second one and drives no terminal.
class text_formatter final : public spdlog::formatter {
public:
  void format(const spdlog::details::log_msg& what, spdlog::memory_buf_t& dest) override {
    auto out = time_of(what) + ' ';
    out += view(spdlog::level::to_string_view(what.level));
    out += ' ' + escape_controls(view(what.payload)) + '\n';
    dest.append(out.data(), out.data() + out.size());
  }

  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<text_formatter>();
  }
};

class json_formatter final : public spdlog::formatter {
public:
  void format(const spdlog::details::log_msg& what, spdlog::memory_buf_t& dest) override {
    std::string out = R"({"time":")" + time_of(what) + R"(","level":")";
    out += view(spdlog::level::to_string_view(what.level));
    out += '"';
    if (const auto id = request_of(view(what.payload)); !id.empty()) {
      out += R"(,"request_id":)";
      append_json_string(out, id);
    }
    out += R"(,"message":)";
    append_json_string(out, view(what.payload));
    out += "}\n";
    dest.append(out.data(), out.data() + out.size());
  }

  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<json_formatter>();
  }
};

}  // namespace

std::unique_ptr<spdlog::formatter> make_log_formatter(log_format how) {
  if (how == log_format::json)
    return std::make_unique<json_formatter>();
  return std::make_unique<text_formatter>();
}

void set_up_logging(log_format how, const std::string& level) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("troupe"));
  spdlog::set_formatter(make_log_formatter(how));
  spdlog::set_level(spdlog::level::from_str(level));
}

}  // namespace troupe::cli
