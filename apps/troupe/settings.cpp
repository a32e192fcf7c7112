#include "troupe/settings.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
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

/// Levenshtein.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j)
      diagonal = std::exchange(
          row[j + 1], std::min({row[j + 1] + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0u : 1u)}));
  }
  return row.back();
}

std::string unknown(const std::string& name, const std::vector<std::string>& options) {
  const auto nearest = std::ranges::min_element(
      options, {}, [&](const std::string& x) { return distance(name, x); });
  const bool near = nearest != options.end() && distance(name, *nearest) <= 3;
  return "there is no setting `" + name + '`' + (near ? ": is it `" + *nearest + "`?" : "");
}

std::string word_of(const setting& x) {
  return "--" + x.name + '=' + x.text;
}

}  // namespace

environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* text = std::getenv(name.c_str());
    return text != nullptr && *text != '\0' ? std::optional<std::string>{text} : std::nullopt;
  };
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

std::vector<further_word> further_words(const std::vector<std::string>& words,
                                        const std::vector<std::string>& options,
                                        const settings_file& file, const environment& from) {
  const auto present = given(words);
  std::vector<further_word> out;
  const auto from_environment = [&](const std::string& name) {
    for (const auto& variable : variables_of(name)) {
      const auto text = from(variable);
      if (text)
        out.push_back({"--" + name + '=' + *text, variable});
      if (text)
        return true;
    }
    return false;
  };
  for (const auto& name : options) {
    if (present.contains(name) || from_environment(name))
      continue;
    const auto found = std::ranges::find(file.settings, name, &setting::name);
    if (found != file.settings.end())
      out.push_back({word_of(*found)});
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
