#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
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
/// Every page is checked before LMDB follows it (pages.hpp), but those that this process wrote
/// last. One thread at a time, but for transactions that `read_beside` began. Every call throws
/// `failure`; `journal_store` turns it into an `error` at its border.
namespace troupe::lmdb {

enum class failure_kind {
  full,     ///< no room in the map, on the disk or in the quota: the transaction is gone, the
            ///< environment goes on
  fatal,    ///< an I/O error or a broken file: nothing may be acknowledged any more
  damaged,  ///< a page that is not what it must be, found before it was used: this call failed
  other,    ///< this call failed and no more
};

/// The one table of LMDB's and the system's codes.
[[nodiscard]] failure_kind classify(int code) noexcept;

class failure : public std::runtime_error {
public:
  failure(std::string_view call, int code);
  failure(failure_kind kind, const std::string& what) : std::runtime_error{what}, kind_{kind} {}
  [[nodiscard]] failure_kind kind() const noexcept { return kind_; }
  [[nodiscard]] int code() const noexcept { return code_; }

private:
  failure_kind kind_;
  int code_ = 0;
};

class guard;

using dbi = unsigned int;

inline constexpr unsigned max_databases = 16;  // of one environment

/// Bytes inside the map: valid until the transaction ends or writes.
struct entry {
  std::string_view key;
  std::string_view value;
};

/// What a transaction is for: one that adds leaves the reserve alone, one that frees may take it.
enum class purpose { add, free };

class environment {
public:
  /// Opens the directory with the safe flags only (a map that is read, writes by system calls, both
  /// syncs). The map is halved while the address space does not hold it. `reserve_bytes` of it, and
  /// of the disk, are kept for what frees; at most an eighth of the map.
  static environment open(const std::filesystem::path& directory, std::uint64_t map_bytes,
                          std::uint64_t reserve_bytes = 0);

  /// Opens an environment that another process has open, to read and copy it. REQUIRES: this
  /// process has it not open.
  static environment open_to_copy(const std::filesystem::path& directory);

  /// Takes back what readers of other processes held that ended without letting go.
  void forget_dead_readers();

  environment(environment&& other) noexcept;
  environment& operator=(environment&& other) noexcept;
  ~environment();

  /// Reserves disk space for a transaction that writes about `bytes`, and behind it the reserve, so
  /// that the file is never shorter than its meta pages say: only then is a shorter file certainly
  /// a truncated one. A full disk is not an error yet: what was freed may do. Moves the map's
  /// end when there is little room, so that LMDB goes no further. REQUIRES: no transaction is open
  /// but those of `read_beside`.
  void reserve(std::uint64_t bytes, purpose what_for = purpose::free);

  /// Whether a transaction that adds about `bytes` leaves the reserve to those that free. Freed
  /// pages count as room. REQUIRES: `reserve` was called for it.
  [[nodiscard]] bool has_room(std::uint64_t bytes);

  /// Whether a transaction that adds about `bytes` leaves the reserve even if it takes no freed
  /// page: then it fails for no lack of room. REQUIRES: `reserve` was called for it.
  [[nodiscard]] bool has_room_behind(std::uint64_t bytes) const;

  /// Little is left but the reserve, or less: what can be freed should be.
  [[nodiscard]] bool short_of_room() const noexcept { return short_of_room_; }

  /// Bytes of pages in use, without those that were freed.
  [[nodiscard]] std::uint64_t live_bytes();

  /// While it is held, the map stays where it is: for who reads beside the environment's thread,
  /// which waits for it when it must move the map.
  [[nodiscard]] std::unique_lock<std::mutex> hold_map() const;

  /// The newest committed transaction.
  [[nodiscard]] std::uint64_t newest();

  /// Whether a failed commit is certain to have written nothing: the last committed transaction is
  /// still `before`.
  [[nodiscard]] bool still_at(std::uint64_t before) noexcept;

  /// Writes a consistent copy as of now to `fd`, from a read transaction of its own: any thread may
  /// call it while another one writes. Pages that are freed meanwhile are used again only after it.
  void copy_to(int fd, bool compacting) const;

  /// Bytes of the pages that are in use or were: what a copy that does not compact has.
  [[nodiscard]] std::uint64_t used_bytes() const;

  [[nodiscard]] MDB_env* get() const noexcept { return env_; }
  [[nodiscard]] guard* pages() const noexcept { return guard_.get(); }

private:
  environment(MDB_env* env, const std::filesystem::path& directory, std::uint64_t reserve_bytes);

  int grow(std::uint64_t size);
  [[nodiscard]] bool fits(std::uint64_t bytes);

  MDB_env* env_ = nullptr;
  std::unique_ptr<guard> guard_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t allocated_ = 0;  // bytes of the file that certainly have a place on the disk
  std::uint64_t reserve_bytes_ = 0;
  std::uint64_t limit_ = 0;  // of the map
  std::uint64_t bound_ = 0;  // of the map, or of the file while the disk is full
  bool disk_full_ = false;
  bool short_of_room_ = false;
};

/// Aborts unless it was committed.
class transaction {
public:
  static transaction read(environment& env);
  static transaction write(environment& env);
  /// Begun on the environment's thread, to be used and ended by another one while that goes on
  /// writing, with `hold_map` while it reads: sees what is committed now, and has a page check of
  /// its own.
  static transaction read_beside(environment& env);

  transaction(transaction&& other) noexcept
      : txn_{std::exchange(other.txn_, nullptr)},
        guard_{other.guard_},
        own_{std::move(other.own_)} {}
  transaction& operator=(transaction&&) = delete;
  ~transaction();

  void commit();

  [[nodiscard]] std::uint64_t id() const noexcept;
  [[nodiscard]] std::optional<dbi> find_database(const char* name);
  [[nodiscard]] dbi create_database(const char* name);
  [[nodiscard]] std::vector<std::string> database_names();
  /// How many a database has.
  [[nodiscard]] std::uint64_t entries(dbi db);
  [[nodiscard]] std::optional<std::string_view> get(dbi db, std::string_view key);
  void put(dbi db, std::string_view key, std::string_view value);
  /// Whether there was one.
  bool erase(dbi db, std::string_view key);

  /// Room for a value to be written in place before the next call.
  [[nodiscard]] char* reserve(dbi db, std::string_view key, std::size_t size);

  [[nodiscard]] MDB_txn* get() const noexcept { return txn_; }
  [[nodiscard]] guard* pages() const noexcept { return guard_; }

private:
  transaction(MDB_txn* txn, guard* pages) : txn_{txn}, guard_{pages} {}

  void make_way(dbi db, std::string_view key, std::size_t size);

  MDB_txn* txn_;
  guard* guard_;
  std::shared_ptr<guard> own_{};
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
  [[nodiscard]] std::optional<entry> prior();
  /// The first entry whose key is not less.
  [[nodiscard]] std::optional<entry> seek(std::string_view key);
  /// Room for a value behind the last key, to be written in place before the next call.
  [[nodiscard]] char* append(std::string_view key, std::size_t size);
  /// Deletes the entry the cursor is at; `next` then gives the one behind it.
  void erase();

private:
  std::optional<entry> move(int operation, std::string_view key = {});
  void check_from(std::string_view key);
  std::optional<entry> remember(std::optional<entry> found);

  MDB_cursor* cursor_ = nullptr;
  guard* guard_;
  dbi db_;
  std::string at_;           // the newest key, when the pages behind it are to be checked
  std::size_t run_ = 1;      // entries to check next: few for a look, more for a walk
  std::size_t checked_ = 0;  // entries from here on whose pages were checked
};

}  // namespace troupe::lmdb
