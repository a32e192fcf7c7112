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

void take(const toml::table& from, settings_file& out) {
  for (const auto& [key, what] : from) {
    const std::size_t line = key.source().begin.line;
    const std::string name{key.str()};
    if (auto text = text_of(what)) {
      out.settings.push_back({name, *std::move(text), line, what.is_boolean()});
      continue;
    }
    out.mistakes.push_back(
        {line, '`' + name
                   + "` is a table, an array or a time: settings are text, numbers, true "
                     "or false, one a line and without sections"});
    if (const auto* section = what.as_table())
      take(*section, out);  // for the mistakes in it
  }
}

/// What is wrong with a line that is no TOML, and what to write.
std::string advice(std::string_view line, std::string_view why) {
  const auto equals = line.find('=');
  if (equals == line.npos)
    return "a line is `name = value`, or a comment behind `#`";
  const auto value = line.find_first_not_of(" \t\r", equals + 1);
  if (value == line.npos || line[value] == '#')
    return "the value is missing: name = value";
  const char quote = line[value];
  if (quote != '"' && quote != '\'')
    return std::string{why} + "; text stands in quotes: name = \"text\"";
  if (line.find(quote, value + 1) == line.npos)
    return "the quote is not closed: name = \"text\"";
  return std::string{why};
}

/// Each line by itself, so that every one that is wrong is told.
settings_file parse_lines(std::string_view toml) {
  settings_file out;
  std::istringstream in{std::string{toml}};
  std::string text;
  for (std::size_t line = 1; std::getline(in, text); ++line) {
    settings_file one;
    try {
      take(toml::parse(text), one);
    } catch (const toml::parse_error& why) {
      one.mistakes.push_back({line, advice(text, why.description())});
    }
    for (auto& held : one.settings) {
      held.line = line;
      const auto first = std::ranges::find(out.settings, held.name, &setting::name);
      if (first != out.settings.end())
        out.mistakes.push_back({line, '`' + held.name + "` stands in line "
                                          + std::to_string(first->line)
                                          + " already: leave one of them out"});
      else
        out.settings.push_back(std::move(held));
    }
    for (auto& fault : one.mistakes)
      out.mistakes.push_back({line, std::move(fault.what)});
  }
  return out;
}

}  // namespace

settings_file parse_settings(std::string_view toml) {
  settings_file out;
  try {
    take(toml::parse(toml), out);
  } catch (const toml::parse_error& why) {
    out = parse_lines(toml);
    if (out.mistakes.empty())  // each line is fine, and all of them are not
      out.mistakes.push_back({why.source().begin.line, std::string{why.description()}});
  }
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
