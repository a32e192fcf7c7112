#pragma once

#include "troupe/options.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace troupe::cli {

/// The part of the command line that is about whole stores: backup, restore, compact, migrate,
/// export, import. Strings as CLI11 fills them; what they mean afterwards.
class tool_options {
public:
  /// Adds a command; `make` is called when the command line names it.
  using add_function =
      std::function<CLI::App*(const char* name, const char* what, std::function<command()> make)>;

  void add_to(const add_function& add);

private:
  CLI::App* add_directory(CLI::App* sub, const char* name, std::string& where, const char* what);
  [[nodiscard]] command chosen_export() const;

  std::string data_;
  std::string other_;
  std::string session_;
  std::string kind_;
  std::string name_space_ = "default";
  std::string format_ = "jsonl";
  std::string output_;
  std::uint64_t journal_kept_ = 256 << 20;
  std::uint64_t rate_ = 0;
  bool compacting_ = false;
  bool dry_run_ = false;
  bool all_ = false;
};

/// The words of a command line with `--data` in front of what has no name, so that a tool that
/// takes its directory either way finds each word its place.
[[nodiscard]] std::vector<std::string> data_first(std::vector<std::string> words);

/// "session", "workflow", ...
[[nodiscard]] std::vector<std::string> kind_names();
/// None for a text that names none.
[[nodiscard]] std::optional<entity_kind> optional_kind(std::string_view name);

/// Examples and the exit codes, below a command's help.
[[nodiscard]] std::string footer(const char* examples);

}  // namespace troupe::cli
