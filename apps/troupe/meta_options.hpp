#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace troupe::cli {

struct config_check_command {
  std::filesystem::path file;
};
struct completion_command {
  std::string shell;  ///< "bash", "zsh" or "fish"
};
struct manual_command {};

/// Every mistake of a settings file, each with its line, on standard output. Answers 0 when there
/// is none.
int check_config(const config_check_command& what);

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
    add_config(add("config", "Look at the settings file of a node",
                   [this] { return config_check_command{file_}; }));
    add_completion(add("completion", "Print the completion of this command line for a shell",
                       [this] { return completion_command{shell_}; }));
    add("manual", "Print the manual page (roff): troupe manual | man -l -",
        [] { return manual_command{}; });
  }

private:
  void add_config(CLI::App* sub);
  void add_completion(CLI::App* sub);

  std::filesystem::path file_;
  std::string shell_;
};

}  // namespace troupe::cli
