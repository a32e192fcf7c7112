#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <variant>

namespace CLI {
class App;
}

namespace troupe::cli {

struct config_check_command {
  std::filesystem::path file;
};
struct config_show_command {
  std::filesystem::path file;  ///< empty: TROUPE_CONFIG, or none
};
struct config_command {
  std::variant<config_check_command, config_show_command> what{};
};
struct completion_command {
  std::string shell;  ///< "bash", "zsh" or "fish"
};
struct manual_command {};

/// Every mistake of a settings file, each with its line, on standard output; then those of its
/// settings together with the environment, and of the files they name. Answers 0 when there is
/// none.
int check_config(const config_check_command& what);

/// Every setting that `troupe serve` would have with this file here, and who says it.
int show_config(const config_show_command& what);

/// The completion of this command line for a shell, and its manual page as roff: made of the
/// options themselves, so they know what `--help` knows.
[[nodiscard]] std::string completion_of(const CLI::App& app, const std::string& shell);
[[nodiscard]] std::string manual_of(const CLI::App& app);

/// The part of the command line that is about the command line.
class meta_options {
public:
  /// `add(name, what, choose)` adds a command.
  template <class Add>
  void add_to(const Add& add) {
    add_config(add("config", "Look at the settings of a node",
                   [this] { return config_command{config_()}; }));
    add_completion(add("completion", "Print the completion of this command line for a shell",
                       [this] { return completion_command{shell_}; }));
    add("manual", "Print the manual page (roff): troupe manual | man -l -",
        [] { return manual_command{}; });
  }

private:
  void add_config(CLI::App* sub);
  void add_completion(CLI::App* sub);

  std::filesystem::path file_;
  std::function<decltype(config_command::what)()> config_;
  std::string shell_;
};

}  // namespace troupe::cli
