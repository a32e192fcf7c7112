#include "troupe/meta_options.hpp"

#include "troupe/options.hpp"
#include "troupe/tool_options.hpp"
#include <CLI/CLI.hpp>

namespace troupe::cli {

void meta_options::add_config(CLI::App* sub) {
  sub->require_subcommand(1);
  auto* check = sub->add_subcommand(
      "check",
      "Tell every mistake of a settings file, with its line: also of settings that need each "
      "other, "
      "and of the\nfiles they name. The file is TOML; a setting is an option of `troupe serve` "
      "without its dashes");
  check->add_option("FILE", file_, "The file")->required()->type_name(" ");
  check->parse_complete_callback(
      [this] { config_ = [this] { return config_check_command{file_}; }; });
  auto* show = sub->add_subcommand(
      "show",
      "Every setting that `troupe serve` would have here, and who says it: the environment, "
      "a line of the\nfile, or nobody: then it is the default");
  show->add_option("FILE", file_, "The file; default: $TROUPE_CONFIG")->type_name(" ");
  show->parse_complete_callback(
      [this] { config_ = [this] { return config_show_command{file_}; }; });
  sub->footer(
      footer("  troupe config check /etc/troupe/troupe.toml\n"
             "  troupe config show /etc/troupe/troupe.toml\n"));
}

void meta_options::add_completion(CLI::App* sub) {
  sub->add_option("SHELL", shell_, "bash, zsh or fish")
      ->required()
      ->type_name(" ")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  sub->footer(footer("  eval \"$(troupe completion bash)\"\n"));
}

}  // namespace troupe::cli
