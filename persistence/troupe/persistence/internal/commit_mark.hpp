#pragma once

#include <troupe/persistence/internal/data_directory.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::internal {

/// How far the store had come, kept beside it, so that a start can tell an older copy and a lost
/// write, which are whole stores in themselves. Layout: docs/on-disk-format.md.
struct commit_mark {
  static constexpr std::size_t bytes = 512;  // one sector: written whole or not at all

  std::uint64_t position = 0;  ///< newest committed
  std::uint32_t digest = 0;    ///< CRC32C of the record there, key and value; 0 when it is not kept
  bool clean = false;          ///< the store was closed behind it

  friend bool operator==(const commit_mark&, const commit_mark&) = default;
};

[[nodiscard]] std::string encode(const commit_mark& mark);
/// Nothing when the bytes are no mark.
[[nodiscard]] std::optional<commit_mark> decode_mark(std::string_view bytes);

/// The file of the mark; each write is on disk when it returns.
class mark_file {
public:
  enum class mode { write, read };

  /// To write: makes an empty one when there is none. Errors: as `data_directory::open_file`.
  static expected<mark_file> open(const data_directory& directory, mode how = mode::write);

  /// Nothing when there is none, or one that cannot be read as one.
  [[nodiscard]] expected<std::optional<commit_mark>> read() const;
  /// Errors: `store_full`, `store_failed`.
  [[nodiscard]] expected<void> write(const commit_mark& mark) const;

private:
  mark_file(unique_fd fd, std::string name) : fd_{std::move(fd)}, name_{std::move(name)} {}

  unique_fd fd_;
  std::string name_;
};

}  // namespace troupe::internal
