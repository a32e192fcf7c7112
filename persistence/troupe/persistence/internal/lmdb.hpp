#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct MDB_cursor;
struct MDB_env;
struct MDB_txn;

/// LMDB's handles, each closed by its destructor; the only file that includes lmdb.h is lmdb.cpp.
/// One thread at a time. Every call throws `failure`; `journal_store` turns it into an `error` at
/// its border.
namespace troupe::lmdb {

enum class failure_kind {
  full,   ///< no room in the map, on the disk or in the quota: the transaction is gone, the
          ///< environment goes on
  fatal,  ///< an I/O error or a broken file: nothing may be acknowledged any more
  other,  ///< this call failed and no more
};

/// The one table of LMDB's and the system's codes.
[[nodiscard]] failure_kind classify(int code) noexcept;

class failure : public std::runtime_error {
public:
  failure(std::string_view call, int code);
  [[nodiscard]] failure_kind kind() const noexcept { return classify(code_); }
  [[nodiscard]] int code() const noexcept { return code_; }

private:
  int code_;
};

using dbi = unsigned int;

inline constexpr unsigned max_databases = 16;  // of one environment

/// Bytes inside the map: valid until the transaction ends or writes.
struct entry {
  std::string_view key;
  std::string_view value;
};

class environment {
public:
  /// Opens the directory with the safe flags only (a map that is read, writes by system calls, both
  /// syncs). The map is halved while the address space does not hold it.
  static environment open(const std::filesystem::path& directory, std::uint64_t map_bytes);

  environment(environment&& other) noexcept;
  environment& operator=(environment&& other) noexcept;
  ~environment();

  /// Reserves disk space for a transaction that writes about `bytes`, so that a full disk is met
  /// before it and the file is never shorter than its meta pages say: only then is a shorter file
  /// certainly a truncated one.
  void reserve(std::uint64_t bytes);

  /// Whether a failed commit is certain to have written nothing: the last committed transaction is
  /// still `before`.
  [[nodiscard]] bool still_at(std::uint64_t before) noexcept;

  /// Writes a consistent copy as of now to `fd`, from a read transaction of its own: any thread may
  /// call it while another one writes. Pages that are freed meanwhile are used again only after it.
  void copy_to(int fd, bool compacting) const;

  /// Bytes of the pages that are in use or were: what a copy that does not compact has.
  [[nodiscard]] std::uint64_t used_bytes() const;

  [[nodiscard]] MDB_env* get() const noexcept { return env_; }

private:
  explicit environment(MDB_env* env) : env_{env} {}

  MDB_env* env_ = nullptr;
  std::uint64_t file_bytes_ = 0;
};

/// Aborts unless it was committed.
class transaction {
public:
  static transaction read(environment& env);
  static transaction write(environment& env);

  transaction(transaction&& other) noexcept : txn_{std::exchange(other.txn_, nullptr)} {}
  transaction& operator=(transaction&&) = delete;
  ~transaction();

  void commit();

  [[nodiscard]] std::uint64_t id() const noexcept;
  [[nodiscard]] std::optional<dbi> find_database(const char* name);
  [[nodiscard]] dbi create_database(const char* name);
  [[nodiscard]] std::vector<std::string> database_names();
  [[nodiscard]] std::optional<std::string_view> get(dbi db, std::string_view key);
  void put(dbi db, std::string_view key, std::string_view value);
  /// Whether there was one.
  bool erase(dbi db, std::string_view key);

  /// Room for a value to be written in place before the next call.
  [[nodiscard]] char* reserve(dbi db, std::string_view key, std::size_t size);

  [[nodiscard]] MDB_txn* get() const noexcept { return txn_; }

private:
  explicit transaction(MDB_txn* txn) : txn_{txn} {}

  MDB_txn* txn_;
};

/// Closed before its transaction ends.
class cursor {
public:
  cursor(transaction& txn, dbi db);
  cursor(const cursor&) = delete;
  cursor& operator=(const cursor&) = delete;
  ~cursor();

  [[nodiscard]] std::optional<entry> first();
  [[nodiscard]] std::optional<entry> last();
  [[nodiscard]] std::optional<entry> next();
  [[nodiscard]] std::optional<entry> previous();
  /// The first entry whose key is not less.
  [[nodiscard]] std::optional<entry> seek(std::string_view key);
  /// Room for a value behind the last key, to be written in place before the next call.
  [[nodiscard]] char* append(std::string_view key, std::size_t size);
  /// Deletes the entry the cursor is at; `next` then gives the one behind it.
  void erase();

private:
  std::optional<entry> move(int operation, std::string_view key = {});

  MDB_cursor* cursor_ = nullptr;
};

}  // namespace troupe::lmdb
