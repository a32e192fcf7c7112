#include "troupe/exit_status.hpp"
#include "troupe/help.hpp"
#include "troupe/options.hpp"
#include "troupe/table.hpp"
#include "troupe/text.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
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

/// Where a fault names this option, else its value; `npos`: nowhere.
std::size_t place_in(const std::string& fault, const std::string& word) {
  const auto option = "--" + name_of(word);
  for (auto at = fault.find(option); at != fault.npos; at = fault.find(option, at + 1))
    if (fault.find_first_of("abcdefghijklmnopqrstuvwxyz-", at + option.size())
        != at + option.size())
      return at;
  const auto text = word.substr(word.find('=') + 1);
  return text.empty() ? fault.npos : fault.find(text);
}

/// What is wrong with settings that are right by themselves, each with its line or variable. One
/// that was told is left out, and nothing is told that follows from it.
std::vector<std::string> faults_together(const std::vector<std::string>& words,
                                         const told_settings& told) {
  std::vector<std::string> out;
  auto left = told.words;
  std::vector<std::string> wrong;
  const auto leave_out = [&](const further_word& one) {
    wrong.push_back(one.word);
    std::erase_if(left, [word = one.word](const further_word& x) { return x.word == word; });
  };
  for (const auto& one : told.words)
    if (!refusal_of(one.word).empty())
      leave_out(one);
  while (true) {
    const auto why = fault_of_all(words, left);
    if (why.empty())
      return out;
    const auto place = [&](const further_word& x) { return place_in(why, x.word); };
    const auto named = std::ranges::min_element(left, {}, place);
    const bool known = named != left.end() && place(*named) != why.npos;
    if (std::ranges::all_of(wrong, [&](const auto& x) { return place_in(why, x) == why.npos; }))
      out.push_back(known && !named->variable.empty()
                        ? named->variable + ": " + why
                        : at_line(escape_controls(told.file), {known ? named->line : 0, why}));
    if (!known)
      return out;
    leave_out(*named);
  }
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
  std::ranges::move(faults_together(words, told), std::back_inserter(mistakes));
  for (const auto& one : mistakes)
    std::printf("%s\n", one.c_str());
  for (const auto& one : told.warnings)
    std::printf("warning: %s\n", escape_controls(one).c_str());
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
  for (const auto& one : told.warnings)
    std::fprintf(stderr, "warning: %s\n", escape_controls(one).c_str());
  if (!told.mistakes.empty())
    return exit_status::usage;
  auto values = defaults();
  std::map<std::string, std::string> sources;
  for (const auto& [word, variable, line] : told.words) {
    const auto name = name_of(word);
    values[name] = word.substr(word.find('=') + 1);
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
