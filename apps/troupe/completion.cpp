#include "troupe/help.hpp"
#include "troupe/meta_options.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

namespace troupe::cli {

namespace {

/// One command with its path, "serve" or "token create"; "" is the program itself.
struct option_words {
  std::string name;  // "--data"
  std::string what;
  std::vector<std::string> choices{};  // the texts it takes, where these are known
};
struct command_words {
  std::string path;
  std::string what;
  std::vector<std::string> inner{};     // names of commands below it, or of what stands without one
  std::vector<option_words> options{};  // its own
  std::vector<option_words> inherited{};  // of the commands above it
};

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

bool is_shown(const CLI::App& app) {
  return !app.get_group().empty();
}

std::vector<option_words> options_of(const CLI::App& app) {
  std::vector<option_words> out;
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames())
      out.push_back({"--" + name, first_line(option->get_description()), choices_of(*option)});
  return out;
}

void collect(const CLI::App& app, const std::string& path, std::vector<command_words>& out) {
  command_words own{
      .path = path, .what = first_line(app.get_description()), .options = options_of(app)};
  for (const auto* option : app.get_options())
    if (!option->nonpositional())
      std::ranges::copy(choices_of(*option), std::back_inserter(own.inner));
  for (const auto* above = app.get_parent(); above != nullptr; above = above->get_parent())
    for (auto& one : options_of(*above))
      if (one.name != "--help" && one.name != "--version")
        own.inherited.push_back(std::move(one));
  const auto inner = app.get_subcommands([](const CLI::App* x) { return is_shown(*x); });
  for (const auto* one : inner)
    own.inner.push_back(one->get_name());
  out.push_back(std::move(own));
  for (const auto* one : inner)
    collect(*one, path.empty() ? one->get_name() : path + ' ' + one->get_name(), out);
}

/// In single quotes, as every shell here reads it.
std::string in_quotes(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += R"('\'')";
    else
      out += c;
  }
  return out + '\'';
}

std::string words_of(const command_words& x) {
  std::string out;
  for (const auto& name : x.inner)
    out += name + ' ';
  for (const auto* some : {&x.options, &x.inherited})
    for (const auto& one : *some)
      out += one.name + ' ';
  return out;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& one : words)
    out += (out.empty() ? "" : " ") + one;
  return out;
}

/// A line of `case "$path $before"` for each option whose values are known.
std::string values_of(const command_words& x) {
  std::string out;
  for (const auto* some : {&x.options, &x.inherited})
    for (const auto& one : *some)
      if (!one.choices.empty())
        out += "    " + in_quotes((x.path.empty() ? "" : ' ' + x.path) + ' ' + one.name)
               + ") words=" + in_quotes(joined(one.choices)) + " ;;\n";
  return out;
}

std::string bash(const std::vector<command_words>& all) {
  std::string out = R"(# bash completion of troupe
_troupe() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path='' word words=''
  if [ "$before" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi
  if [ "$current" = = ]; then current=''; fi
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
)";
  for (const auto& one : all) {
    if (!one.path.empty())
      out += "      " + in_quotes(' ' + one.path) + ") path=" + in_quotes(' ' + one.path) + " ;;\n";
  }
  out += "    esac\n  done\n  case \"$path\" in\n";
  for (const auto& one : all)
    out += "    " + in_quotes(one.path.empty() ? "" : ' ' + one.path)
           + ") words=" + in_quotes(words_of(one)) + " ;;\n";
  out += "  esac\n  case \"$path $before\" in\n";
  for (const auto& one : all)
    out += values_of(one);
  return out + R"(  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
}
complete -o filenames -F _troupe troupe
)";
}

std::string zsh(const std::vector<command_words>& all) {
  return "#compdef troupe\nautoload -U +X bashcompinit && bashcompinit\n" + bash(all);
}

std::string fish(const std::vector<command_words>& all) {
  std::string out = "# fish completion of troupe\n";
  for (const auto& one : all) {
    std::string seen;  // the commands of the path were named
    for (std::size_t at = 0; at < one.path.size();) {
      const auto end = std::min(one.path.find(' ', at), one.path.size());
      seen += (seen.empty() ? "" : "; and ")
              + ("__fish_seen_subcommand_from " + one.path.substr(at, end - at));
      at = end + 1;
    }
    const auto here = seen.empty() ? std::string{"__fish_use_subcommand"} : seen;
    for (const auto& name : one.inner) {
      const auto inner = one.path.empty() ? name : one.path + ' ' + name;
      std::string what;
      for (const auto& other : all)
        what = other.path == inner ? other.what : what;
      out += "complete -c troupe -f -n " + in_quotes(here) + " -a " + name + " -d "
             + in_quotes(what) + '\n';
    }
    for (const auto& [name, what, choices] : one.options)
      out += "complete -c troupe -n " + in_quotes(seen.empty() ? "true" : seen) + " -l "
             + name.substr(2) + (choices.empty() ? "" : " -x -a " + in_quotes(joined(choices)))
             + " -d " + in_quotes(what) + '\n';
  }
  return out;
}

}  // namespace

std::string completion_of(const CLI::App& app, const std::string& shell) {
  std::vector<command_words> all;
  collect(app, "", all);
  return shell == "fish" ? fish(all) : shell == "zsh" ? zsh(all) : bash(all);
}

}  // namespace troupe::cli
