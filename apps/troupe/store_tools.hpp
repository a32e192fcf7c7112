#pragma once

#include <troupe/state/ids.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

/// What an operator does with a store that no process has open. Each answers the exit status, and
/// leaves what was there or all of the new, whenever it ends.
namespace troupe::cli {

/// `troupe backup`: a consistent copy in a new directory.
struct backup_command {
  std::filesystem::path data;
  std::filesystem::path to;
  bool compacting = false;
  std::uint64_t bytes_per_second = 0;  ///< 0: no limit
};
int backup(const backup_command& options);

/// `troupe restore`: a backup becomes a store where none is.
struct restore_command {
  std::filesystem::path from;
  std::filesystem::path data;
};
int restore(const restore_command& options);

/// `troupe compact`: the file becomes as small as what it holds.
struct compact_command {
  std::filesystem::path data;
  std::uint64_t journal_kept_bytes = 0;
};
int compact(const compact_command& options);

/// `troupe migrate`: a store of an older format becomes one of this build's.
struct migrate_command {
  std::filesystem::path data;
  bool dry_run = false;
};
int migrate(const migrate_command& options);

enum class export_format : std::uint8_t { jsonl, msgpack, markdown };

/// `troupe export`: whole entities as a file, see <troupe/state/transfer.hpp>.
struct export_command {
  std::filesystem::path data;
  std::optional<std::string> session;  ///< only this one
  std::optional<entity_kind> kind;     ///< only of this kind
  std::string name_space = "default";  ///< of the session
  export_format format = export_format::jsonl;
  std::filesystem::path output;  ///< empty: standard output
};
int export_entities(const export_command& options);

/// `troupe import`: the entities of an export become part of the store, all or none.
struct import_command {
  std::filesystem::path data;
  std::filesystem::path file;
};
int import_entities(const import_command& options);

}  // namespace troupe::cli
