#include "troupe/exit_status.hpp"
#include "troupe/help.hpp"
#include "troupe/options.hpp"
#include "troupe/table.hpp"
#include "troupe/text.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

/// `troupe config`: what a node is told, without a node.
namespace troupe::cli {

namespace {

std::vector<std::string> serve_words(const std::filesystem::path& file) {
  std::vector<std::string> out{"serve"};
  if (!file.empty())
    out.push_back("--config=" + file.string());
  return out;
}

/// What is wrong with all of it together and in the files it names; empty: nothing. The directory
/// may be named elsewhere.
std::string fault_of_all(std::vector<std::string> words, const std::vector<further_word>& more) {
  const auto is_data = [](const further_word& x) { return x.word.starts_with("--data="); };
  if (std::ranges::none_of(more, is_data))
    words.emplace_back("--data=x");
  for (const auto& one : more)
    words.push_back(one.word);
  const auto read = read_words(words);
  if (const auto* none = std::get_if<no_command>(&read))
    return reason_of(*none);
  const auto fine = check_files(std::get<serve_options>(std::get<command_line>(read).what));
  return fine ? std::string{} : escape_controls(fine.error().message);
}

/// Name and default of each setting.
std::map<std::string, std::string> defaults() {
  std::map<std::string, std::string> out;
  const auto names = serve_settings();
  describe([&](const CLI::App& app) {
    for (const auto* from :
         std::initializer_list<const CLI::App*>{app.get_subcommand("serve"), &app})
      for (const auto* option : from->get_options())
        for (const auto& name : option->get_lnames())
          if (std::ranges::find(names, name) != names.end())
            out[name] = option->get_expected_max() == 0 ? "false" : option->get_default_str();
  });
  return out;
}

}  // namespace

int check_config(const config_check_command& what) {
  const auto words = serve_words(what.file);
  const auto told = told_beyond(words, process_environment());
  auto mistakes = told.mistakes;
  if (mistakes.empty())
    if (auto why = fault_of_all(words, told.words); !why.empty())
      mistakes.push_back(escape_controls(what.file.string()) + ": " + std::move(why));
  for (const auto& one : mistakes)
    std::printf("%s\n", one.c_str());
  const auto of_file = std::ranges::count_if(told.words, [](const auto& x) { return x.line != 0; });
  if (mistakes.empty())
    std::printf("%s: %s, no mistake\n", escape_controls(what.file.string()).c_str(),
                plural(static_cast<std::uint64_t>(of_file), "setting").c_str());
  return mistakes.empty() ? exit_status::ok : exit_status::usage;
}

int show_config(const config_show_command& what) {
  const auto told = told_beyond(serve_words(what.file), process_environment());
  for (const auto& one : told.mistakes)
    std::fprintf(stderr, "error: %s\n", one.c_str());
  if (!told.mistakes.empty())
    return exit_status::usage;
  auto values = defaults();
  std::map<std::string, std::string> sources;
  for (const auto& [word, variable, line] : told.words) {
    const auto end = word.find('=');
    const auto name = word.substr(2, end - 2);
    values[name] = word.substr(end + 1);
    sources[name] = variable.empty() ? told.file + ':' + std::to_string(line) : variable;
  }
  table out{{align::left, align::left, align::left}};
  out.add({"setting", "value", "from"});
  for (const auto& [name, text] : values)
    out.add({name, text.empty() ? "-" : escape_controls(text),
             sources.contains(name) ? escape_controls(sources[name]) : "default"});
  std::fputs(out.render().c_str(), stdout);
  return exit_status::ok;
}

}  // namespace troupe::cli
