#pragma once

#include <troupe/persistence/internal/data_directory.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/maintenance.hpp>

#include <cstdint>
#include <filesystem>

/// A store that is being made: under a name that nobody opens, by one process at a time, until it
/// is complete, walked and on disk.
namespace troupe::internal {

class staging {
public:
  /// Makes the directory `path` (mode 0700), or empties what a killed attempt left there.
  /// Errors: `busy` (an attempt is running), `store_failed`.
  static expected<staging> begin(std::filesystem::path path);

  staging(staging&&) noexcept = default;
  staging& operator=(staging&&) = delete;
  ~staging();  ///< removes all of it unless it was published

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path data_file() const { return path_ / "data.mdb"; }

  /// The data file as a copy of an environment, which goes on meanwhile. Answers its bytes.
  /// Errors: `store_full`, `store_failed` (also when `progress` gave up).
  expected<std::uint64_t> copy_from(const lmdb::environment& env, const backup_options& how);

  /// The data file as a copy of a file that nobody writes.
  expected<std::uint64_t> copy_from(int fd, std::uint64_t bytes, const progress_function& progress);

  /// The log of the store at `from`, before its data file is copied: what is in neither then was
  /// not acknowledged when this was called. All of it when nobody has the store open, so that
  /// damage is found; else its whole batches.
  expected<void> copy_log(const std::filesystem::path& from, bool closed);

  /// Opens and walks what was made, as a store with default options. What was in the log is in the
  /// data file then, which is no longer than it must be.
  expected<store_summary> walk(fold_function fold, const progress_function& progress);

  [[nodiscard]] std::uint64_t data_bytes() const;

  /// The data file alone is left and on disk.
  expected<void> settle();

  /// Gives the directory its name, which nobody has or an empty directory, and makes that durable.
  expected<void> publish(const std::filesystem::path& to);

private:
  expected<void> cut_to_use() const;

  staging(std::filesystem::path path, unique_fd self)
      : path_{std::move(path)},
        self_{std::move(self)} {}

  std::filesystem::path path_;
  unique_fd self_;  // locked
  bool logged_ = false;
};

}  // namespace troupe::internal
