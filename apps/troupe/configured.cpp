#include "troupe/options.hpp"
#include "troupe/settings.hpp"
#include "troupe/text.hpp"
#include <CLI/CLI.hpp>

#include <algorithm>
#include <set>
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
  const auto variable = from.find("TROUPE_CONFIG");
  return variable != from.end() ? std::optional{variable->second} : std::nullopt;
}

/// Those of `serve_settings` that are true or false.
std::set<std::string> serve_switches() {
  std::set<std::string> out;
  describe([&](const CLI::App& app) {
    for (const auto* option : app.get_subcommand("serve")->get_options())
      if (option->get_expected_max() == 0)
        out.insert(option->get_lnames().begin(), option->get_lnames().end());
  });
  return out;
}

/// A command line has words only; a file says true or false.
void refuse_quoted_switches(settings_file& file) {
  const auto switches = serve_switches();
  std::erase_if(file.settings, [&](const setting& one) {
    const bool quoted = switches.contains(one.name) && !one.boolean;
    if (quoted)
      file.mistakes.push_back({one.line, '`' + one.name + "` is true or false, without quotes"});
    return quoted;
  });
}

std::vector<std::string> warnings_about(const environment& from) {
  std::vector<std::string> out;
  for (const auto& [name, meant] : unknown_variables(from, serve_settings()))
    if (meant.empty())
      out.push_back("the variable " + name + " is no setting");
  return out;
}

}  // namespace

std::string at_line(const std::string& file, const mistake& what) {
  return file + (what.line != 0 ? ':' + std::to_string(what.line) : std::string{}) + ": "
         + escape_controls(what.what);
}

told_settings told_beyond(const std::vector<std::string>& words, const environment& from) {
  const auto options = serve_settings();
  told_settings out;
  settings_file file;
  if (const auto name = config_of(words, from)) {
    out.file = *name;
    file = read_settings(*name);
    refuse_quoted_switches(file);
    for (const auto& one : mistakes_in(file, options, refusal_of))
      out.mistakes.push_back(at_line(escape_controls(*name), one));
  }
  for (const auto& [name, meant] : unknown_variables(from, options))
    if (!meant.empty())
      out.mistakes.push_back(name + ": there is no such variable: is it `" + meant + "`?");
  out.warnings = warnings_about(from);
  out.words = further_words(words, options, file, from);
  for (const auto& [word, variable, line] : out.words)
    if (const auto why = variable.empty() ? std::string{} : refusal_of(word); !why.empty())
      out.mistakes.push_back(variable + ": " + escape_controls(why));
  return out;
}

std::variant<std::vector<std::string>, no_command> with_settings(std::vector<std::string> words,
                                                                 const environment& from) {
  const auto asks_help = [](const std::string& x) { return x == "--help" || x == "-h"; };
  if (!is_serve(words) || std::ranges::any_of(words, asks_help))
    return words;
  const auto told = told_beyond(words, from);
  std::string faults;
  for (const auto& one : told.mistakes)
    faults += "error: " + one + '\n';
  if (!faults.empty())
    return no_command{2, faults + "Try: troupe serve --help\n"};
  for (const auto& one : told.words)
    words.push_back(one.word);
  return words;
}

namespace {

/// `troupe serve` with these options, and with --data, which every one has.
std::optional<no_command> refused(std::vector<std::string> options) {
  options.insert(options.begin(), "serve");
  const auto is_data = [](const std::string& x) { return x.starts_with("--data="); };
  if (std::ranges::none_of(options, is_data))
    options.emplace_back("--data=x");
  const auto read = read_words(options);
  const auto* none = std::get_if<no_command>(&read);
  return none != nullptr ? std::optional{*none} : std::nullopt;
}

/// What SIGHUP finds where a node was started with `before`. Errors: `malformed`, in the first line
/// of words.
expected<settings_now> read_again(const std::vector<std::string>& words, const environment& from,
                                  const std::vector<std::string>& before) {
  const auto all = with_settings(words, from);
  auto read = std::holds_alternative<no_command>(all)
                  ? std::variant<command_line, no_command>{std::get<no_command>(all)}
                  : read_words(std::get<std::vector<std::string>>(all));
  if (const auto* fault = std::get_if<no_command>(&read))
    return fail(errc::malformed, reason_of(*fault));
  settings_now out{.log_level = std::get<command_line>(read).log_level};
  const auto& now = std::get<std::vector<std::string>>(all);
  std::set<std::string> changed;
  for (const auto& [these, those] : {std::pair{&before, &now}, {&now, &before}})
    for (const auto& word : *these)
      if (std::ranges::find(*those, word) == those->end())
        changed.insert(name_of(word));
  changed.erase("log-level");
  out.changed.assign(changed.begin(), changed.end());
  return out;
}

}  // namespace

std::variant<command_line, no_command> read_command_line(int argc, const char* const* argv,
                                                         const environment& from) {
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const auto all = with_settings(words, from);
  if (const auto* none = std::get_if<no_command>(&all))
    return *none;
  const auto& told = std::get<std::vector<std::string>>(all);
  auto out = read_words(told);
  if (auto* line = std::get_if<command_line>(&out)) {
    if (auto* options = std::get_if<serve_options>(&line->what)) {
      options->settings_again = [words, from, told] { return read_again(words, from, told); };
      line->warnings = warnings_about(from);
    }
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

std::string name_of(const std::string& word) {
  return word.substr(2, word.find('=') - 2);
}

std::string reason_of(const no_command& none) {
  constexpr std::string_view head = "error: ";
  const auto line = none.text.substr(0, none.text.find('\n'));
  return line.starts_with(head) ? line.substr(head.size()) : line;
}

std::string refusal_of(const std::string& word) {
  const auto none = refused({word});
  return none && !none->of_several ? reason_of(*none) : std::string{};
}

}  // namespace troupe::cli
