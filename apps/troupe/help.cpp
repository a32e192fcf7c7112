#include "troupe/help.hpp"

#include "troupe/text.hpp"

#include <algorithm>
#include <iterator>

namespace troupe::cli {

namespace {

constexpr std::string_view of_the_program = "--help,--version";

std::vector<const CLI::Option*> options_beyond_help(const CLI::App& app) {
  return app.get_options([](const CLI::Option* x) {
    return x->nonpositional() && of_the_program.find(x->get_name()) == std::string_view::npos;
  });
}

bool is_shown(const CLI::App* app) {
  return !app->get_group().empty();
}

}  // namespace

std::string help_formatter::make_subcommands(const CLI::App* app, CLI::AppFormatMode mode) const {
  auto out = Formatter::make_subcommands(app, mode);
  for (const auto* above = app->get_parent(); above != nullptr; above = above->get_parent()) {
    const auto options = options_beyond_help(*above);
    if (mode == CLI::AppFormatMode::Normal && !options.empty())
      out +=
          make_group("Options of `" + call_of(*above) + "`, which stand here, too", false, options);
  }
  return out;
}

/// What may stand with its name or without is "--data DIR" among the options.
std::string help_formatter::make_option_name(const CLI::Option* option, bool is_positional) const {
  auto out = Formatter::make_option_name(option, is_positional);
  const bool both = !is_positional && option->get_positional();
  return both ? out + ' ' + option->get_name(true) : out;
}

const CLI::App& asked(const CLI::App& all) {
  const auto* at = &all;
  for (auto inner = at->get_subcommands(); !inner.empty(); inner = at->get_subcommands())
    at = inner.front();
  return *at;
}

std::string call_of(const CLI::App& app) {
  const auto* above = app.get_parent();
  return above == nullptr ? app.get_name() : call_of(*above) + ' ' + app.get_name();
}

std::string unexpected_words(const CLI::App& asked, const std::vector<std::string>& words) {
  const auto is_option = [](const std::string& x) { return x.starts_with('-'); };
  const auto word = std::ranges::find_if_not(words, is_option);
  const bool no_command = asked.get_require_subcommand_min() > 0 && word != words.end();
  const auto option = no_command ? words.end() : std::ranges::find_if(words, is_option);
  std::vector<std::string> names;
  if (option == words.end()) {
    for (const auto* one : asked.get_subcommands(is_shown))
      names.push_back(one->get_name());
    if (names.empty())
      return '`' + call_of(asked) + "` has no place for '" + *word + '\''
             + (asked.get_option_no_throw("--data") != nullptr
                    ? ": a directory is given by `--data " + *word + '`'
                    : "");
    const auto meant = nearest(*word, names);
    return "there is no command '" + *word + '\'' + (meant ? ": is it `" + *meant + "`?" : "");
  }
  for (const auto* at = &asked; at != nullptr; at = at->get_parent())
    for (const auto* one : at->get_options())
      std::ranges::copy(one->get_lnames(), std::back_inserter(names));
  const auto name = option->substr(0, option->find('='));
  const auto meant = nearest(
      std::string_view{name}.substr(std::min(name.find_first_not_of('-'), name.size())), names);
  return "there is no option '" + name + '\'' + (meant ? ": is it `--" + *meant + "`?" : "");
}

std::vector<std::string> choices_of(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const auto begin = type.find('{'), end = type.rfind('}');
  if (begin == std::string::npos || end == std::string::npos)
    return {};
  return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

}  // namespace troupe::cli
