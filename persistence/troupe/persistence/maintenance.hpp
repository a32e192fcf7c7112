#pragma once

#include <troupe/persistence/journal_store.hpp>

#include <cstdint>
#include <filesystem>

/// What an operator does with whole stores: walk, back up, restore, shrink. Each leaves either what
/// was there or the complete new thing, whenever the process is killed; what it was making then has
/// the suffix `.incomplete` (or is `replacing/` in the store) and is removed by the next attempt.
namespace troupe {

/// What a walk over a store has read.
struct store_summary {
  std::uint64_t entities = 0;
  std::uint64_t records = 0;   ///< of the journal
  std::uint64_t position = 0;  ///< newest commit position
  friend bool operator==(const store_summary&, const store_summary&) = default;
};

/// Loads every entity and reads every record of the journal, and so verifies each checksum.
/// Errors: `damaged` (names the first that is), `newer_format`, `store_failed`.
expected<store_summary> walk_store(journal_store& store, const progress_function& progress = {});

struct backup_options {
  bool compacting = false;             ///< leaves free pages out: smaller, and slower to make
  std::uint64_t bytes_per_second = 0;  ///< 0: as fast as the disks are
  progress_function progress{};        ///< in bytes
};

struct backup_report {
  store_summary content;
  std::uint64_t bytes = 0;  ///< of its data file
};

/// As `journal_store::backup`, of a store that **another process** has open and goes on writing to.
/// Until it ends, what that process frees is not used again. Errors: as `journal_store::backup`.
expected<backup_report> backup_running(const std::filesystem::path& from,
                                       const std::filesystem::path& to, fold_function fold,
                                       const backup_options& options);

/// Puts a backup in the place of a store that is not there: `to` is missing or an empty directory.
/// The backup is copied, the copy walked, synced and renamed. Errors: `busy` (a process has `from`
/// or what is being made open), `already_exists` (`to` has content), `damaged` (also: no store),
/// `newer_format`, `store_full`, `store_failed`.
expected<backup_report> restore_backup(const std::filesystem::path& from,
                                       const std::filesystem::path& to, fold_function fold,
                                       const progress_function& progress = {});

struct shrink_report {
  store_summary content;
  std::uint64_t bytes_before = 0;  ///< of the data file
  std::uint64_t bytes_after = 0;
};

}  // namespace troupe
