#pragma once

#include <troupe/persistence/internal/data_directory.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The file that makes a batch of changes durable with one write, before LMDB has them. Layout:
/// docs/on-disk-format.md.
namespace troupe::internal {

/// A record on its way into the journal.
struct logged_record {
  std::uint64_t position = 0;
  std::string_view value;
};

/// What the bytes of a log hold behind position `behind`, which is the newest that LMDB has; views
/// into `bytes`. A batch that is not whole ends it, as the one that was being written. Errors:
/// `damaged` (a whole batch stands behind one that is not, or does not follow `behind`),
/// `newer_format`.
expected<std::vector<logged_record>> read_log(std::string_view bytes, std::uint64_t behind);

/// How many of the bytes are a head and whole batches that follow one another behind it.
[[nodiscard]] std::size_t whole_batches(std::string_view bytes);

/// All bytes of the directory's log; none when there is no such file. Errors: `damaged` (no plain
/// file, or one that is too large for a log), `store_failed`.
expected<std::string> bytes_of_log(const std::filesystem::path& directory);

/// The log of an open store. Batches are written one behind the other, each from a page of its own
/// on, so that nothing that was acknowledged is written again; when LMDB has them all (`clear`),
/// the next one is written from the beginning. All of them have the number of the file's head,
/// which is drawn when the file begins: what a payload holds is never taken for a batch. Throws
/// `lmdb::failure`.
class write_ahead_log {
public:
  static constexpr std::size_t page_bytes = 4'096;
  static constexpr const char* file_name = "commit.log";

  /// Opens or makes the file, to be at most so large. What it holds is read before (`bytes_of_log`)
  /// and goes with the first batch. Errors: as `data_directory::open_file`.
  static expected<write_ahead_log> open(const data_directory& directory, std::size_t capacity);

  /// Of a batch with so many bytes of records: whether it fits, on the disk too.
  [[nodiscard]] bool make_room(std::size_t records, std::size_t bytes);

  /// Room for the next record of the batch that is being made. REQUIRES: `make_room` of the batch.
  [[nodiscard]] char* add(std::size_t size);
  /// That batch is on disk when this returns; its first record is the one at `position`. Throws one
  /// of kind `full` when nothing of it is in the file; of another one nobody knows how much is.
  void write(std::uint64_t position);
  /// There is no such batch.
  void give_up() noexcept;

  /// What was written since `clear`.
  [[nodiscard]] std::span<const logged_record> records() const noexcept { return records_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return begin_ - page_bytes; }
  [[nodiscard]] bool empty() const noexcept { return records_.empty(); }
  /// LMDB has all of it.
  void clear() noexcept;
  /// The file lets go of what it held and begins anew. REQUIRES: `empty`.
  void truncate();

private:
  write_ahead_log(unique_fd fd, std::string name, std::size_t capacity)
      : fd_{std::move(fd)},
        name_{std::move(name)},
        capacity_{capacity / page_bytes * page_bytes} {}

  void cut(std::uint64_t size);
  void write_at(const char* bytes, std::size_t size, std::uint64_t at) const;

  unique_fd fd_;  // its writes are on disk when they return
  std::string name_;
  std::size_t capacity_ = 0;
  std::uint64_t number_ = 0;   // of the file, when it has a head
  std::uint64_t written_ = 0;  // bytes of the file that have a place on the disk; 0: no head yet
  std::unique_ptr<char[]> memory_;  // the file's bytes since `clear`
  std::size_t begin_ = page_bytes;  // of the batch that is being made
  std::size_t end_ = page_bytes;    // of its records; `begin_`: there are none
  std::vector<logged_record> records_;
  std::vector<std::string_view> made_;  // of the batch that is being made
};

}  // namespace troupe::internal
