#pragma once

#include <troupe/state/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace troupe {

struct verify_options {
  bool allow_remote_fs = false;
  std::size_t max_faults = 100;  ///< told in words; beyond: only counted
};

/// What a store holds, and all that is wrong with it.
struct verify_report {
  std::uint64_t pages = 0;       ///< of data.mdb, in use or free
  std::uint64_t free_pages = 0;  ///< to be taken by what comes next
  std::uint64_t records = 0;     ///< in the journal
  std::uint64_t snapshots = 0;
  std::uint64_t chunks = 0;         ///< of histories
  std::uint64_t unused_chunks = 0;  ///< of these in no history: of a log that others use
  std::uint64_t name_spaces = 0;
  std::uint64_t position = 0;           ///< of the newest change
  bool clean = true;                    ///< its last owner closed it, or it had none: a copy
  std::uint64_t fault_count = 0;        ///< 0: every page, checksum and invariant is right
  std::vector<std::string> faults{};    ///< each names the page, record or entity
  std::vector<std::string> warnings{};  ///< as `start_report::warnings`

  [[nodiscard]] bool sound() const noexcept { return fault_count == 0; }
};

/// Reads all of a store that no process has open: the tree of every database page by page, the free
/// list, every record with its checksum, and the invariants of docs/on-disk-format.md. Changes
/// nothing. A fault is no error: it stands in the report. Errors: `busy`, `damaged` (not even its
/// first pages are a store's), `newer_format`, `forbidden`, `remote_file_system`, `store_failed`.
expected<verify_report> verify_store(const std::filesystem::path& directory,
                                     const verify_options& options = {});

/// The same in a child process, so that nothing in a file can end this one. Errors also: `damaged`
/// (the child died of it).
expected<verify_report> verify_in_child(const std::filesystem::path& directory,
                                        const verify_options& options = {});

}  // namespace troupe
