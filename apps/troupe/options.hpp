#pragma once

#include <troupe/state/expected.hpp>

#include "simulate/options.hpp"
#include "troupe/demo.hpp"
#include "troupe/demo_writer.hpp"
#include "troupe/inspect.hpp"
#include "troupe/logging.hpp"
#include "troupe/replay.hpp"
#include "troupe/serve.hpp"
#include "troupe/store_tools.hpp"
#include "troupe/token.hpp"
#include "troupe/verify.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace troupe::cli {

struct version_options {};

using command = std::variant<serve_options, replay_options, demo_options, inspect_options,
                             backup_command, restore_command, compact_command, migrate_command,
                             export_command, import_command, verify_options, token_command,
                             demo_writer_options, version_options, simulate::simulate_options>;

struct command_line {
  command what;
  std::string log_level;  ///< a level of spdlog
  log_format format = log_format::text;
};

/// The command line asks for nothing to be run: help, or it has a fault.
struct no_command {
  int status = 0;
  std::string text;
};

/// Errors are words for the user with the way to help; help has status 0. Pure but for what the
/// environment says of the terminal's width.
[[nodiscard]] std::variant<command_line, no_command> read_command_line(int argc,
                                                                       const char* const* argv);

struct listen_address {
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 0;

  friend bool operator==(const listen_address&, const listen_address&) = default;
};

/// "127.0.0.1:7717", "localhost:0", "[::1]:7717". Fails with `malformed`, in words.
[[nodiscard]] expected<listen_address> parse_listen_address(std::string_view text);

}  // namespace troupe::cli
