#include "troupe/settings.hpp"

#include "troupe/text.hpp"
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

namespace troupe::cli {

namespace {

/// Names that clients of the agent API set already.
constexpr std::pair<std::string_view, std::string_view> kept_variables[] = {
    {"max-live", "SESSION_MAX_CONCURRENT"},
    {"session-history-limit", "SESSION_HISTORY_LIMIT"},
    {"session-max-age-hours", "SESSION_MAX_AGE_HOURS"},
};

/// "--name" or "--name=..." among the words in front of a "--".
std::set<std::string> given(const std::vector<std::string>& words) {
  std::set<std::string> out;
  for (const auto& word : words) {
    if (word == "--")
      break;
    if (word.starts_with("--"))
      out.insert(word.substr(2, word.find('=') - 2));
  }
  return out;
}

std::string unknown(const std::string& name, const std::vector<std::string>& options) {
  const auto meant = nearest(name, options);
  return "there is no setting `" + name + '`' + (meant ? ": is it `" + *meant + "`?" : "");
}

std::string word_of(const setting& x) {
  return "--" + x.name + '=' + x.text;
}

}  // namespace

environment process_environment() {
  environment out;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view one{*at};
    const auto name = one.substr(0, one.find('='));
    if (name.size() + 1 < one.size())
      out.emplace(name, one.substr(name.size() + 1));
  }
  return out;
}

std::vector<std::string> variables_of(std::string_view option) {
  std::string own = "TROUPE_";
  for (const char c : option)
    own += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  std::vector<std::string> out{std::move(own)};
  for (const auto& [name, variable] : kept_variables) {
    if (name == option)
      out.emplace_back(variable);
  }
  return out;
}

std::vector<unknown_variable> unknown_variables(const environment& from,
                                                const std::vector<std::string>& options) {
  constexpr std::string_view prefix = "TROUPE_";
  std::vector<std::string> known{"CONFIG"};
  for (const auto& option : options)
    known.push_back(variables_of(option).front().substr(prefix.size()));
  std::vector<unknown_variable> out;
  for (const auto& [name, text] : from) {
    if (!name.starts_with(prefix))
      continue;
    const auto rest = name.substr(prefix.size());
    if (std::ranges::find(known, rest) != known.end())
      continue;
    const auto meant = nearest(rest, known);
    out.push_back({name, meant ? std::string{prefix} + *meant : std::string{}});
  }
  return out;
}

std::vector<further_word> further_words(const std::vector<std::string>& words,
                                        const std::vector<std::string>& options,
                                        const settings_file& file, const environment& from) {
  const auto present = given(words);
  std::vector<further_word> out;
  const auto from_environment = [&](const std::string& name) {
    for (const auto& variable : variables_of(name)) {
      const auto text = from.find(variable);
      if (text != from.end())
        out.push_back({"--" + name + '=' + text->second, variable});
      if (text != from.end())
        return true;
    }
    return false;
  };
  for (const auto& name : options) {
    if (present.contains(name) || from_environment(name))
      continue;
    const auto found = std::ranges::find(file.settings, name, &setting::name);
    if (found != file.settings.end())
      out.push_back({word_of(*found), {}, found->line});
  }
  return out;
}

std::vector<mistake> mistakes_in(
    const settings_file& file, const std::vector<std::string>& options,
    const std::function<std::string(const std::string& word)>& refusal) {
  auto out = file.mistakes;
  for (const auto& one : file.settings) {
    if (std::ranges::find(options, one.name) == options.end())
      out.push_back({one.line, unknown(one.name, options)});
    else if (auto why = refusal(word_of(one)); !why.empty())
      out.push_back({one.line, std::move(why)});
  }
  std::ranges::stable_sort(out, {}, &mistake::line);
  return out;
}

}  // namespace troupe::cli
