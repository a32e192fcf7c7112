#pragma once

#include <troupe/persistence/internal/file_system.hpp>
#include <troupe/state/expected.hpp>

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::internal {

/// A file descriptor that is closed by its owner.
class unique_fd {
public:
  unique_fd() = default;
  explicit unique_fd(int fd) noexcept : fd_{fd} {}
  unique_fd(unique_fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd();

  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

private:
  int fd_ = -1;
};

/// As many bytes as there are at `offset`, at most `bytes`, however many calls that takes. Answers
/// the system's code.
[[nodiscard]] int read_at(int fd, std::string& out, std::size_t bytes, std::uint64_t offset);
/// The same into memory of somebody else; `done` says how many there were.
[[nodiscard]] int read_at(int fd, std::span<char> to, std::uint64_t offset, std::size_t& done);

/// An error of the system with its words: `store_full` when there is no room, else `store_failed`.
[[nodiscard]] unexpected system_failure(const std::string& what, int code);

/// The store's directory, owned by this process until the object ends: mode 0700, no symbolic link
/// in it, `owner.lock` locked and holding our pid.
class data_directory {
public:
  /// Creates the directory when there is none. An empty one is closed to others; one with content
  /// that others can enter is refused. Errors: `busy` (names the owner's pid), `forbidden` (others
  /// can enter it), `damaged` (a symbolic link or no file where one belongs),
  /// `remote_file_system` (names it; unless allowed), `store_failed`.
  static expected<data_directory> acquire(const std::filesystem::path& path,
                                          bool allow_remote_fs = false,
                                          const file_system_function& probe = file_system_of);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path data_file() const { return path_ / "data.mdb"; }
  [[nodiscard]] std::filesystem::path creating() const { return path_ / "creating"; }

  /// Where what is to replace `data.mdb` is made.
  [[nodiscard]] std::filesystem::path replacing() const { return path_ / "replacing"; }

  [[nodiscard]] bool has_store() const;

  /// Opens a plain file of the directory; a symbolic link or anything else in its place is refused.
  /// Errors: `damaged`, `store_full`, `store_failed`.
  [[nodiscard]] expected<unique_fd> open_file(std::string_view name, int flags) const;

  /// Moves the complete store from `creating()` to its place: `data.mdb` is never seen half made.
  expected<void> adopt_created();

  /// Puts a complete data file in the place of the one that is there, and makes that durable.
  /// REQUIRES: no environment is open on it.
  expected<void> replace_data(const std::filesystem::path& with) const;

  /// Refuses what LMDB would die of: a file shorter than its meta pages say, or none of LMDB's.
  /// Allocates the lock file, whose mapping would else be the first to meet a full disk, as SIGBUS.
  /// Errors: `damaged`, `newer_format`, `store_full`, `store_failed`.
  expected<void> prepare_to_open() const;

  /// Makes the names in the directory, and its own in its parent, survive power loss.
  expected<void> sync() const;

private:
  data_directory(std::filesystem::path path, unique_fd self, unique_fd lock,
                 std::vector<std::filesystem::path> parents)
      : path_{std::move(path)},
        self_{std::move(self)},
        lock_{std::move(lock)},
        parents_{std::move(parents)} {}

  std::filesystem::path path_;
  unique_fd self_;
  unique_fd lock_;
  std::vector<std::filesystem::path> parents_;
};

}  // namespace troupe::internal
