#include "troupe/settings.hpp"
#include <toml++/toml.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

/// toml++ stands here alone.
namespace troupe::cli {

namespace {

std::optional<std::string> text_of(const toml::node& x) {
  if (const auto* text = x.as_string())
    return text->get();
  if (const auto* number = x.as_integer())
    return std::to_string(number->get());
  if (const auto* flag = x.as_boolean())
    return flag->get() ? "true" : "false";
  if (const auto* real = x.as_floating_point()) {
    std::ostringstream out;
    out << real->get();
    return out.str();
  }
  return std::nullopt;
}

/// A hint where a line's value is neither in quotes nor a number, true or false.
std::string quotes_missing(std::string_view toml, std::size_t line) {
  std::istringstream in{std::string{toml}};
  std::string text;
  for (std::size_t i = 0; i < line && std::getline(in, text); ++i) {
  }
  const auto equals = text.find('=');
  const auto value = equals == text.npos ? text.npos : text.find_first_not_of(" \t", equals + 1);
  if (value == text.npos || text[value] == '"' || text[value] == '\'')
    return {};
  return "; text stands in quotes: name = \"text\"";
}

}  // namespace

settings_file parse_settings(std::string_view toml) {
  settings_file out;
  try {
    for (const auto& [key, what] : toml::parse(toml)) {
      const std::size_t line = key.source().begin.line;
      const std::string name{key.str()};
      if (auto text = text_of(what))
        out.settings.push_back({name, *std::move(text), line});
      else
        out.mistakes.push_back(
            {line, '`' + name
                       + "` is a table, an array or a time: settings are text, numbers, true "
                         "or false, one a line and without sections"});
    }
  } catch (const toml::parse_error& why) {
    out = {};
    const std::size_t line = why.source().begin.line;
    out.mistakes.push_back({line, std::string{why.description()} + quotes_missing(toml, line)});
  }
  std::ranges::sort(out.settings, {}, &setting::line);
  return out;
}

settings_file read_settings(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in.is_open() || in.bad())
    return {.settings = {}, .mistakes = {{0, "cannot be read"}}};
  return parse_settings(text);
}

}  // namespace troupe::cli
