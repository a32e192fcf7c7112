#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <string_view>
#include <vector>

/// What the command line tells about itself. CLI11's headers: for its own sources only.
namespace troupe::cli {

/// CLI11's help, and below it the options of the commands above, which stand behind the innermost
/// one, too.
class help_formatter final : public CLI::Formatter {
public:
  std::string make_subcommands(const CLI::App* app, CLI::AppFormatMode mode) const override;
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
};

/// The innermost command that was named.
[[nodiscard]] const CLI::App& asked(const CLI::App& all);
/// "troupe token create"
[[nodiscard]] std::string call_of(const CLI::App& app);

/// "there is no option '--journal-tial': is it `--journal-tail`?": of the first word that fits
/// nowhere.
/// REQUIRES: `words` is not empty.
[[nodiscard]] std::string unexpected_words(const CLI::App& asked,
                                           const std::vector<std::string>& words);

/// The texts of which an option takes one; none where it takes others.
[[nodiscard]] std::vector<std::string> choices_of(const CLI::Option& option);

}  // namespace troupe::cli
