#pragma once

#include <troupe/state/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <variant>

namespace troupe::cli {

struct inspect_list {
  std::optional<entity_kind> kind;  ///< only of this kind
};
struct inspect_show {
  entity_ref entity;
};
struct inspect_history {
  entity_ref entity;
  std::size_t last = 0;  ///< only so many items; 0: all
};
struct inspect_journal {
  std::uint64_t from = 1;
  std::uint64_t to = std::numeric_limits<std::uint64_t>::max();  ///< included
  std::uint64_t last = 0;                                        ///< only so many; 0: all
};
struct inspect_stats {};

struct inspect_options {
  std::filesystem::path data;
  std::variant<inspect_list, inspect_show, inspect_history, inspect_journal, inspect_stats> what;
  bool json = false;  ///< one object, or one a line
  bool allow_remote_fs = false;
};

/// `troupe inspect`: a look into a store that no process has open; changes nothing that is stored.
/// Answers the exit status.
int inspect(const inspect_options& options);

}  // namespace troupe::cli
