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

/// Starts the responder. Errors: `invalid_value`, in words: openai without a model, a key that
/// cannot be read.
expected<api::agent_options> make_agents(const runtime& of, const agent_settings& how);

namespace cli {

/// Adds the options to a command.
void add_agent_flags(CLI::App* sub, agent_settings& to);

}  // namespace cli

}  // namespace troupe
