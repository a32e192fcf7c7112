#pragma once

#include <troupe/state/expected.hpp>

#include "simulate/options.hpp"
#include "troupe/demo.hpp"
#include "troupe/demo_writer.hpp"
#include "troupe/inspect.hpp"
#include "troupe/logging.hpp"
#include "troupe/meta_options.hpp"
#include "troupe/replay.hpp"
#include "troupe/serve.hpp"
#include "troupe/settings.hpp"
#include "troupe/store_tools.hpp"
#include "troupe/token.hpp"
#include "troupe/verify.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace troupe::cli {

struct version_options {};

using command =
    std::variant<serve_options, replay_options, demo_options, inspect_options, backup_command,
                 restore_command, compact_command, migrate_command, export_command, import_command,
                 verify_options, token_command, demo_writer_options, version_options,
                 config_command, completion_command, manual_command, simulate::simulate_options>;

struct command_line {
  command what;
  std::string log_level;  ///< a level of spdlog
  log_format format = log_format::text;
  std::vector<std::string> warnings{};  ///< to be logged: what is probably not as it was meant
};

/// The command line asks for nothing to be run: help, or it has a fault.
struct no_command {
  int status = 0;
  std::string text;
  bool of_several = false;  ///< each option is right, but not with, or without, others
};

/// Errors are words for the user with the way to help; help has status 0. `troupe serve` is told
/// further by the file that `--config` names and by the environment `from`; see settings.hpp.
[[nodiscard]] std::variant<command_line, no_command> read_command_line(
    int argc, const char* const* argv, const environment& from = {});

/// The same of words without the program's name, to which nothing is added.
[[nodiscard]] std::variant<command_line, no_command> read_words(
    const std::vector<std::string>& words);

/// What may be set of `troupe serve` by a file: its options, without dashes.
[[nodiscard]] std::vector<std::string> serve_settings();
/// What is wrong with "--name=text" as one of them; nothing where it is right by itself.
[[nodiscard]] std::string refusal_of(const std::string& word);
/// "max-live" of "--max-live=3".
[[nodiscard]] std::string name_of(const std::string& word);
/// The first line of a fault, without "error: ".
[[nodiscard]] std::string reason_of(const no_command& none);
/// What file and environment say beyond the words of a command line.
struct told_settings {
  std::string file{};  ///< its name; empty: there is none
  std::vector<further_word> words{};
  std::vector<std::string> mistakes{};  ///< harmless on a terminal
  std::vector<std::string> warnings{};  ///< likewise: variables that are no settings
};
[[nodiscard]] told_settings told_beyond(const std::vector<std::string>& words,
                                        const environment& from);
/// The words of a command line (without the program's name) with those that file and environment
/// add, or every mistake of these.
[[nodiscard]] std::variant<std::vector<std::string>, no_command> with_settings(
    std::vector<std::string> words, const environment& from);
/// "troupe.toml:3: ..."
[[nodiscard]] std::string at_line(const std::string& file, const mistake& what);
/// Shows the whole command line as CLI11 knows it.
void describe(const std::function<void(const CLI::App&)>& to);

struct listen_address {
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 0;

  friend bool operator==(const listen_address&, const listen_address&) = default;
};

/// "127.0.0.1:7717", "localhost:0", "[::1]:7717". Fails with `malformed`, in words.
[[nodiscard]] expected<listen_address> parse_listen_address(std::string_view text);

}  // namespace troupe::cli
