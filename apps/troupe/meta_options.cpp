#include "troupe/meta_options.hpp"

#include "troupe/exit_status.hpp"
#include "troupe/options.hpp"
#include "troupe/settings.hpp"
#include "troupe/text.hpp"
#include "troupe/tool_options.hpp"
#include <CLI/CLI.hpp>

#include <cstdio>

namespace troupe::cli {

void meta_options::add_config(CLI::App* sub) {
  sub->require_subcommand(1);
  auto* check = sub->add_subcommand(
      "check",
      "Tell every mistake of a settings file, with its line. The file is TOML; a setting is an "
      "option of `troupe serve` without its dashes");
  check->add_option("FILE", file_, "The file")->required()->type_name(" ");
  sub->footer(footer("  troupe config check /etc/troupe/troupe.toml\n"));
}

void meta_options::add_completion(CLI::App* sub) {
  sub->add_option("SHELL", shell_, "bash, zsh or fish")
      ->required()
      ->type_name(" ")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  sub->footer(footer("  eval \"$(troupe completion bash)\"\n"));
}

int check_config(const config_check_command& what) {
  const auto file = read_settings(what.file);
  const auto all = mistakes_in(file, serve_settings(), refusal_of);
  const auto name = escape_controls(what.file.string());
  for (const auto& one : all)
    std::printf("%s\n", at_line(name, one).c_str());
  if (all.empty())
    std::printf("%s: %zu settings, no mistake\n", name.c_str(), file.settings.size());
  return all.empty() ? exit_status::ok : exit_status::usage;
}

}  // namespace troupe::cli
