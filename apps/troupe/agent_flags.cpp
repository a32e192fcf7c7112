#include "troupe/agent_flags.hpp"

#include <troupe/runtime/runtime.hpp>

#include "responders/openai.hpp"
#include "troupe/number_range.hpp"
#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

namespace troupe {

namespace {

unexpected cannot_read(const std::filesystem::path& file) {
  return fail(errc::invalid_value, "cannot read " + file.string() + ": " + std::strerror(errno));
}

/// Errors: `invalid_value`, in words.
expected<std::string> key_of(const agent_settings& how) {
  if (how.key_file.empty()) {
    const char* key = std::getenv("OPENAI_API_KEY");
    return key != nullptr ? key : "";
  }
  std::ifstream in{how.key_file};
  if (!in)
    return cannot_read(how.key_file);
  std::string key;
  if (!std::getline(in, key) || key.empty())
    return fail(errc::invalid_value, how.key_file.string() + " has no key on its first line");
  return key;
}

}  // namespace

expected<void> check_files(const agent_settings& how) {
  if (const auto key = key_of(how); !key)
    return tl::unexpected(key.error());
  if (!how.ca_file.empty() && !std::ifstream{how.ca_file})
    return cannot_read(how.ca_file);
  return {};
}

expected<api::agent_options> make_agents(const runtime& of, const agent_settings& how) {
  api::agent_options out{.answers = {},
                         .max_age = std::chrono::hours{how.max_age_hours},
                         .history_limit = how.history_limit};
  if (how.responder == "builtin") {
    out.answers = responders::spawn_builtin(of);
    return out;
  }
  if (how.model.empty())
    return fail(errc::invalid_value, "the openai responder needs --openai-model");
  auto key = key_of(how);
  if (!key)
    return tl::unexpected(std::move(key.error()));
  if (key->find_first_of("\r\n") != std::string::npos)
    return fail(errc::invalid_value, "the key of the endpoint has a line end in it");
  out.answers = responders::spawn_openai(of, {.url = how.url,
                                              .model = how.model,
                                              .key = *std::move(key),
                                              .ca_file = how.ca_file.string(),
                                              .timeout = std::chrono::seconds{how.timeout_s}});
  return out;
}

namespace cli {

void add_agent_flags(CLI::App* sub, agent_settings& to) {
  sub->add_option("--responder", to.responder,
                  "Who answers /api/agent/quick: builtin (no model, no network) or openai (any "
                  "OpenAI-compatible endpoint)")
      ->check(CLI::IsMember({"builtin", "openai"}))
      ->type_name("NAME")
      ->capture_default_str();
  sub->add_option("--openai-url", to.url, "The endpoint's API, without /chat/completions")
      ->type_name("URL")
      ->check([](const std::string& text) {
        return text.starts_with("http://") || text.starts_with("https://")
                   ? std::string{}
                   : std::string{"an endpoint begins with http:// or https://"};
      })
      ->capture_default_str();
  sub->add_option("--openai-model", to.model, "The model's name there")->type_name("NAME");
  sub->add_option("--openai-key-file", to.key_file,
                  "File with the endpoint's key on its first line; default: $OPENAI_API_KEY")
      ->type_name("FILE");
  sub->add_option("--openai-ca-file", to.ca_file,
                  "Certificates (PEM) to trust of the endpoint; default: the system's")
      ->type_name("FILE");
  sub->add_option("--responder-timeout", to.timeout_s,
                  "Seconds for one answer, repeats and all; beyond: 504 and the message is kept")
      ->type_name("TIME")
      ->transform(number_range{1, 3'600, "seconds"})
      ->capture_default_str();
  sub->add_option("--session-max-age-hours", to.max_age_hours,
                  "Sessions of the agent API are deleted when nobody used them so long. 0: never")
      ->type_name("HOURS")
      ->check(number_range{0, 876'000, "hours"})
      ->capture_default_str();
  sub->add_option("--session-history-limit", to.history_limit,
                  "Messages that a session of the agent API keeps; beyond: the oldest go. 0: all")
      ->type_name("N")
      ->check(number_range{0, 100'000, "messages"})
      ->capture_default_str();
}

void require_responder(const agent_settings& how) {
  if (how.responder == "openai") {
    if (how.model.empty())
      throw CLI::RequiresError("--responder openai", "--openai-model");
    return;
  }
  const agent_settings untold;
  const std::pair<const char*, bool> told[] = {{"--openai-url", how.url != untold.url},
                                               {"--openai-model", !how.model.empty()},
                                               {"--openai-key-file", !how.key_file.empty()},
                                               {"--openai-ca-file", !how.ca_file.empty()}};
  for (const auto& [name, given] : told)
    if (given)
      throw CLI::RequiresError(name, "--responder openai");
}

}  // namespace cli

}  // namespace troupe
