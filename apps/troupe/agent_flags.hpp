#pragma once

#include "api/agent.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

namespace CLI {
class App;
}

namespace troupe {

class runtime;

/// Who answers the messages of the agent API, and its limits.
struct agent_settings {
  std::string responder = "builtin";  ///< or "openai"
  std::string url = "https://api.openai.com/v1";
  std::string model{};                ///< openai needs one
  std::filesystem::path key_file{};   ///< its first line; empty: OPENAI_API_KEY
  std::filesystem::path ca_file{};    ///< empty: the system's certificates
  std::uint64_t timeout_s = 120;      ///< of one answer
  std::uint64_t max_age_hours = 24;   ///< of a session without use; 0: for ever
  std::uint64_t history_limit = 100;  ///< messages; 0: as many as there is room for
};

/// Reads the files that the settings name. Errors: `invalid_value`, in words: one cannot be read, a
/// key file has no key.
expected<void> check_files(const agent_settings& how);

/// Starts the responder. Errors: as `check_files`, and openai without a model.
expected<api::agent_options> make_agents(const runtime& of, const agent_settings& how);

namespace cli {

/// Adds the options to a command.
void add_agent_flags(CLI::App* sub, agent_settings& to);
/// Throws CLI::RequiresError: openai has a model, and what is said of openai is used.
void require_responder(const agent_settings& how);

}  // namespace cli

}  // namespace troupe
