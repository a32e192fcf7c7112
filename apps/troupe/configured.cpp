#include "troupe/options.hpp"
#include "troupe/settings.hpp"
#include "troupe/text.hpp"
#include <CLI/CLI.hpp>

#include <algorithm>
#include <utility>

/// `troupe serve` with what a file and the environment add.
namespace troupe::cli {

namespace {

/// The first word that is neither an option nor the value of one that may stand in front of it.
bool is_serve(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--log-level" || words[i] == "--log-format")
      ++i;
    else if (!words[i].starts_with('-'))
      return words[i] == "serve";
  }
  return false;
}

std::optional<std::string> config_of(const std::vector<std::string>& words,
                                     const environment& from) {
  constexpr std::string_view name = "--config";
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == name && i + 1 < words.size())
      return words[i + 1];
    if (words[i].starts_with(std::string{name} + '='))
      return words[i].substr(name.size() + 1);
  }
  return from("TROUPE_CONFIG");
}

}  // namespace

std::string at_line(const std::string& file, const mistake& what) {
  return file + (what.line != 0 ? ':' + std::to_string(what.line) : std::string{}) + ": "
         + escape_controls(what.what);
}

std::variant<std::vector<std::string>, no_command> with_settings(std::vector<std::string> words,
                                                                 const environment& from) {
  const auto asks_help = [](const std::string& x) { return x == "--help" || x == "-h"; };
  if (!is_serve(words) || std::ranges::any_of(words, asks_help))
    return words;
  const auto options = serve_settings();
  settings_file file;
  std::string faults;
  if (const auto name = config_of(words, from)) {
    file = read_settings(*name);
    for (const auto& one : mistakes_in(file, options, refusal_of))
      faults += "error: " + at_line(escape_controls(*name), one) + '\n';
  }
  for (const auto& [word, variable] : further_words(words, options, file, from)) {
    if (const auto why = variable.empty() ? std::string{} : refusal_of(word); !why.empty())
      faults += "error: " + variable + ": " + escape_controls(why) + '\n';
    words.push_back(word);
  }
  if (!faults.empty())
    return no_command{2, faults + "Try: troupe serve --help\n"};
  return words;
}

namespace {

/// Errors: `malformed`, in the first line of words.
expected<std::string> log_level_of(const std::vector<std::string>& words, const environment& from) {
  const auto all = with_settings(words, from);
  auto read = std::holds_alternative<no_command>(all)
                  ? std::variant<command_line, no_command>{std::get<no_command>(all)}
                  : read_words(std::get<std::vector<std::string>>(all));
  if (const auto* fault = std::get_if<no_command>(&read))
    return fail(errc::malformed, fault->text.substr(0, fault->text.find('\n')));
  return std::get<command_line>(read).log_level;
}

}  // namespace

std::variant<command_line, no_command> read_command_line(int argc, const char* const* argv,
                                                         const environment& given) {
  const environment from =
      given ? given : [](const std::string&) { return std::optional<std::string>{}; };
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const auto all = with_settings(words, from);
  if (const auto* none = std::get_if<no_command>(&all))
    return *none;
  auto out = read_words(std::get<std::vector<std::string>>(all));
  if (auto* line = std::get_if<command_line>(&out)) {
    if (auto* options = std::get_if<serve_options>(&line->what))
      options->log_level_now = [words, from] { return log_level_of(words, from); };
  }
  return out;
}

std::vector<std::string> serve_settings() {
  std::vector<std::string> out;
  describe([&](const CLI::App& app) {
    for (const auto* from :
         std::initializer_list<const CLI::App*>{app.get_subcommand("serve"), &app}) {
      for (const auto* option : from->get_options()) {
        const auto& name = option->get_lnames();
        if (!name.empty() && name[0] != "help" && name[0] != "version" && name[0] != "config")
          out.push_back(name[0]);
      }
    }
  });
  return out;
}

std::string refusal_of(const std::string& word) {
  std::vector<std::string> words{"serve", word};
  if (!word.starts_with("--data="))
    words.emplace_back("--data=x");
  const auto read = read_words(words);
  const auto* none = std::get_if<no_command>(&read);
  if (none == nullptr)
    return {};
  constexpr std::string_view head = "error: ";
  const auto line = none->text.substr(0, none->text.find('\n'));
  return line.starts_with(head) ? line.substr(head.size()) : line;
}

}  // namespace troupe::cli
