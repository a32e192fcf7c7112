#include "troupe/logging.hpp"

#include <troupe/state/json.hpp>

#include <doctest/doctest.h>
#include <spdlog/details/log_msg.h>
#include <spdlog/formatter.h>

#include <chrono>
#include <string>

using namespace troupe;

namespace {

std::string formatted(cli::log_format how, std::string_view text) {
  const spdlog::details::log_msg what{
      spdlog::log_clock::time_point{std::chrono::milliseconds{1'767'323'045'678}},
      {},
      "troupe",
      spdlog::level::warn,
      {text.data(), text.size()}};
  spdlog::memory_buf_t out;
  cli::make_log_formatter(how)->format(what, out);
  return {out.data(), out.size()};
}

}  // namespace

TEST_CASE("a JSON log is one object a line whatever is logged") {
  const auto line = formatted(cli::log_format::json, "a \"quote\" and\na line, \\ and \x01");
  CHECK(line.find('\n') == line.size() - 1);
  const auto read = value_from_json(line);
  REQUIRE(read);
  CHECK(*read
        == value::map({{"time", "2026-01-02T03:04:05.678Z"},
                       {"level", "warning"},
                       {"message", "a \"quote\" and\na line, \\ and \x01"}}));
}

TEST_CASE("a JSON log tells the request that a line is about and no other") {
  const auto id = [](std::string_view text) {
    const auto read = value_from_json(formatted(cli::log_format::json, text));
    REQUIRE(read);
    const auto found = read->view().find("request_id");
    return std::string{found ? found->as_string().value_or("no text") : "none"};
  };
  CHECK(id("request mine-1: GET /healthz is answered 200") == "mine-1");
  CHECK(id("request of nobody: x") == "none");
  CHECK(id("request ") == "none");
  CHECK(id("request \"\x01: x") == "\"\x01");
  CHECK(id("a request mine-1: x") == "none");
}

TEST_CASE("a text log begins with its time in UTC and its level") {
  CHECK(formatted(cli::log_format::text, "hello") == "2026-01-02T03:04:05.678Z warning hello\n");
}

TEST_CASE("a text log is one line whatever is logged and drives no terminal") {
  const auto line = formatted(cli::log_format::text, "a\r\nb \x1b[31m {\"level\":\"x\"} h\u00e9");
  CHECK(line
        == "2026-01-02T03:04:05.678Z warning a\\x0d\\nb \\x1b[31m {\"level\":\"x\"} h\u00e9\n");
}
