#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// What a node is told by a file, by the environment and by its command line, under one rule: the
/// option `--journal-tail` is `journal-tail` in the file and TROUPE_JOURNAL_TAIL in the
/// environment; the command line goes before the environment, that before the file, that before the
/// default. Nothing here knows an option by name, so a new one needs nothing here.
namespace troupe::cli {

/// One line of a file, or one variable.
struct setting {
  std::string name;  ///< of the option, without its dashes
  std::string text;  ///< as it would stand on the command line
  std::size_t line = 0;
  bool boolean = false;  ///< true or false, without quotes
};

struct mistake {
  std::size_t line = 0;  ///< 0: of the whole file
  std::string what;
};

struct settings_file {
  std::vector<setting> settings;
  std::vector<mistake> mistakes;  ///< of the file's form: not TOML, a table, an array
};

/// TOML, one level: strings, numbers and booleans. A line that is none hides no other.
[[nodiscard]] settings_file parse_settings(std::string_view toml);
[[nodiscard]] settings_file read_settings(const std::filesystem::path& file);

/// The variables that are not empty: an empty one counts as none.
using environment = std::map<std::string, std::string>;
[[nodiscard]] environment process_environment();

/// The variables that name an option, the one that counts first: TROUPE_MAX_LIVE, then
/// SESSION_MAX_CONCURRENT, as clients of the agent API know it.
[[nodiscard]] std::vector<std::string> variables_of(std::string_view option);

/// A variable that begins as a setting's and is none.
struct unknown_variable {
  std::string name;
  std::string meant{};  ///< the one it probably is; empty: another program's
};
[[nodiscard]] std::vector<unknown_variable> unknown_variables(
    const environment& from, const std::vector<std::string>& options);

/// One more word of a command line, and who says it: a variable, or else the file.
struct further_word {
  std::string word;        ///< "--name=text"
  std::string variable{};  ///< empty: the file
  std::size_t line = 0;    ///< of the file
};

/// What environment and file say of those of `options` that `words` (a command line) does not give.
/// Names in the file that are no options are left out.
[[nodiscard]] std::vector<further_word> further_words(const std::vector<std::string>& words,
                                                      const std::vector<std::string>& options,
                                                      const settings_file& file,
                                                      const environment& from);

/// Every mistake of a file, in the order of lines. `refusal(word)` says what is wrong with
/// "--name=text" as an option, or nothing.
[[nodiscard]] std::vector<mistake> mistakes_in(
    const settings_file& file, const std::vector<std::string>& options,
    const std::function<std::string(const std::string& word)>& refusal);

}  // namespace troupe::cli
