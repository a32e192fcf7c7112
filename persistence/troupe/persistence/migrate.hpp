#pragma once

#include <troupe/persistence/maintenance.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// How a store of an older format becomes one of the current format. A migration is a pure function
/// from one stored entry to what it becomes; steps of several formats are chained. The store is
/// read and a new one is written beside it, walked, and put in its place at once: a process that is
/// killed leaves the old store or the new one.
namespace troupe {

/// Valid during the call that hands it out.
struct stored_entry {
  std::string_view database;
  std::string_view key;
  std::string_view value;
};

using entry_sink = std::function<void(const stored_entry&)>;

/// One step, from a format to the next one.
struct migration {
  std::uint64_t from = 0;
  std::string what;                    ///< for the operator: "history chunks become records"
  std::vector<std::string> databases;  ///< of format `from`; a store with another one is refused

  /// Hands out what the entry becomes: itself, another one, several, none. It refuses what it does
  /// not know (`newer_format`, `damaged`), and then nothing is changed. The entry `format` of the
  /// database `meta` is not asked for.
  std::function<expected<void>(const stored_entry& entry, const entry_sink& sink)> rewrite;
};

/// Those of this build, ascending by `from`.
[[nodiscard]] std::span<const migration> registered_migrations();

/// The format that this build gives a store.
[[nodiscard]] std::uint64_t written_store_format() noexcept;

struct migration_options {
  bool dry_run = false;          ///< reads and rewrites everything, writes nothing
  progress_function progress{};  ///< in entries
};

struct migration_report {
  std::uint64_t format = 0;        ///< of the store before
  std::uint64_t target = 0;        ///< of this build
  std::vector<std::string> steps;  ///< what was done or would be; none: the store is current
  std::uint64_t entries = 0;       ///< read
  std::uint64_t changed = 0;       ///< of these not kept as they were
};

/// Migrates the store in `directory`, which no process has open. A store that is current is walked
/// instead, so that a record this build does not know is told. Errors: `busy`, `newer_format` (the
/// store, or a record of it), `damaged` (also: no store, no way from its format), `store_full`,
/// `store_failed`. Nothing changed then.
expected<migration_report> migrate_store(
    const std::filesystem::path& directory, fold_function fold,
    const migration_options& options = {},
    std::span<const migration> migrations = registered_migrations());

}  // namespace troupe
