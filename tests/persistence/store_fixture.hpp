#pragma once

/// The language of the persistence tests: a directory that goes away, changes that are short texts,
/// and a fold that joins them, so that what an entity holds can be read off.

#include <troupe/messages/store_messages.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/journal_store.hpp>

#include "support/fold.hpp"
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace troupe::testing {

/// A directory that is gone when the test is; in memory where there is plenty, as what these tests
/// say does not depend on how long a disk takes to flush.
class memory_directory {
public:
  memory_directory() {
    std::error_code ec;
    const auto memory = std::filesystem::space("/dev/shm", ec);
    const bool plenty = !ec && memory.available > (1U << 30);
    auto name = ((plenty ? "/dev/shm" : std::filesystem::temp_directory_path())
                 / std::filesystem::path{"troupe-test-XXXXXX"})
                    .string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  memory_directory(const memory_directory&) = delete;
  memory_directory& operator=(const memory_directory&) = delete;
  ~memory_directory() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path store() const { return path_ / "store"; }

private:
  std::filesystem::path path_;
};

inline commit_request change_of(const std::string& id, std::uint64_t sequence,
                                std::string payload) {
  commit_request out;
  out.entity = session_ref(id);
  out.sequence = sequence;
  out.payload = std::move(payload);
  return out;
}

inline expected<std::string> join(entity_kind, std::string_view snapshot,
                                  const std::vector<std::string>& changes) {
  std::string out{snapshot};
  for (const auto& change : changes)
    out += change + ";";
  return out;
}

/// What an entity holds, wherever the border between snapshot and changes is.
inline std::string content(const stored_entity& stored) {
  return *join(entity_kind::session, stored.parts.body, stored.parts.changes);
}

inline journal_options small_map() {
  journal_options out;
  out.map_bytes = 64 << 20;
  return out;
}

/// Every commit is a transaction of the data file.
inline journal_options without_log() {
  auto out = small_map();
  out.log_bytes = 0;
  return out;
}

inline expected<journal_store> try_open(const memory_directory& dir,
                                        const journal_options& options = small_map(),
                                        text_fold fold = join) {
  return journal_store::open(dir.store(), options, fold_texts(std::move(fold)));
}

inline journal_store open(const memory_directory& dir, const journal_options& options = small_map(),
                          text_fold fold = join) {
  auto out = try_open(dir, options, std::move(fold));
  REQUIRE_MESSAGE(out, (out ? "" : out.error().message));
  return std::move(*out);
}

inline expected<commit_receipt> commit(journal_store& store, const commit_request& request) {
  auto out = store.commit({&request, 1});
  REQUIRE(out.size() == 1);
  return out.front();
}

inline std::string text_of(journal_store& store, const std::string& id) {
  const auto out = store.load(session_ref(id));
  return out ? content(*out) : "error: " + out.error().message;
}

inline void materialise_all_of(journal_store& store) {
  for (auto more = store.materialise();; more = store.materialise()) {
    REQUIRE(more);
    if (!*more)
      return;
  }
}

inline errc open_fault(const memory_directory& dir) {
  const auto out = try_open(dir);
  return out ? errc{} : out.error().code;
}

inline std::string open_message(const memory_directory& dir) {
  const auto out = try_open(dir);
  return out ? "" : out.error().message;
}

inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

/// Changes a stored value of a closed store behind its back.
inline void tamper(const memory_directory& dir, const char* database, std::string_view key,
                   const std::function<void(std::string&)>& how) {
  auto env = lmdb::environment::open(dir.store(), 64 << 20);
  auto txn = lmdb::transaction::write(env);
  const auto db = txn.create_database(database);
  const auto found = txn.get(db, key);
  std::string value{found.value_or("")};
  how(value);
  txn.put(db, key, value);
  txn.commit();
}

/// What the next start finds when the process that has the store open is killed now.
inline void copy_as_killed(const memory_directory& dir, const std::filesystem::path& to) {
  std::filesystem::create_directory(to);
  std::filesystem::permissions(to, std::filesystem::perms::owner_all);
  for (const auto* name : {"commit.log", "commit.mark", "data.mdb"})
    std::filesystem::copy_file(dir.store() / name, to / name);
}

/// While it lives, the writes to the log of the open store, or those that LMDB makes to its pages
/// or to its meta pages, go to another file: /dev/full (no room) or /dev/null opened for reading
/// (not writable: an I/O error that is no lack of room).
class broken_disk {
public:
  enum class what { pages, meta, log };

  broken_disk(const memory_directory& dir, what which, const char* target, int flags)
      : fd_{find(dir.store() / (which == what::log ? "commit.log" : "data.mdb"), which)},
        saved_{::dup(fd_)} {
    REQUIRE(saved_ >= 0);
    const int other = ::open(target, flags);
    REQUIRE(other >= 0);
    REQUIRE(::dup2(other, fd_) == fd_);
    ::close(other);
  }
  broken_disk(const broken_disk&) = delete;
  broken_disk& operator=(const broken_disk&) = delete;
  ~broken_disk() {
    ::dup2(saved_, fd_);
    ::close(saved_);
  }

private:
  /// LMDB writes meta pages through a descriptor of their own, which is O_DSYNC.
  static int find(const std::filesystem::path& file, what which) {
    for (int fd = 3; fd < 256; ++fd) {
      std::error_code ec;
      if (std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ec) != file)
        continue;
      if (((::fcntl(fd, F_GETFL) & O_DSYNC) != 0) == (which != what::pages))
        return fd;
    }
    FAIL("the store's descriptor was not found");
    return -1;
  }

  int fd_;
  int saved_;
};

}  // namespace troupe::testing
