#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <variant>

namespace troupe::cli {

struct inspect_list {};
struct inspect_show {
  std::string id;
  std::string name_space = "default";
};
struct inspect_journal {
  std::uint64_t from = 1;
  std::uint64_t to = std::numeric_limits<std::uint64_t>::max();  ///< included
};
struct inspect_stats {};

struct inspect_options {
  std::filesystem::path data;
  std::variant<inspect_list, inspect_show, inspect_journal, inspect_stats> what;
  bool json = false;  ///< one object, or one a line
  bool allow_remote_fs = false;
};

/// `troupe inspect`: a look into a store that no process has open; changes nothing that is stored.
/// Answers the exit status.
int inspect(const inspect_options& options);

}  // namespace troupe::cli
