#pragma once

#include <filesystem>

namespace troupe::cli {

/// Whether there is something to open. A look only: opening decides whether it is a store.
[[nodiscard]] inline bool holds_store(const std::filesystem::path& data) {
  std::error_code ec;
  return std::filesystem::exists(std::filesystem::symlink_status(data / "data.mdb", ec));
}

/// Whether a data file begins as LMDB's do; what cannot be read is not known to be another's.
[[nodiscard]] bool begins_as_store(const std::filesystem::path& file);

/// A directory that is removed with all its contents.
class temporary_directory {
public:
  temporary_directory();  ///< throws std::filesystem::filesystem_error
  ~temporary_directory();
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  /// It lives in memory, where a sync costs nothing.
  [[nodiscard]] bool in_memory() const;

private:
  std::filesystem::path path_;
};

}  // namespace troupe::cli
