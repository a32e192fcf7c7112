#pragma once

#include <troupe/messages/messages.hpp>
#include <troupe/persistence/internal/commit_mark.hpp>
#include <troupe/persistence/internal/data_directory.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/record.hpp>
#include <troupe/persistence/internal/tail_index.hpp>
#include <troupe/persistence/journal_store.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe {

/// What a failure that is not fatal means to the caller.
[[nodiscard]] inline errc code_of(const lmdb::failure& what) noexcept {
  switch (what.kind()) {
    case lmdb::failure_kind::full: return errc::store_full;
    case lmdb::failure_kind::damaged: return errc::damaged;
    case lmdb::failure_kind::fatal:
    case lmdb::failure_kind::other: break;
  }
  return errc::store_failed;
}

/// What stands behind `journal_store`. Its functions throw `lmdb::failure`; the border turns that
/// into an `error`.
///
/// Invariants between calls: `position` is the newest position on disk; `watermark` <= `position`;
/// records are kept from `first` <= `watermark` + 1 on, without gap;
/// every record behind the watermark whose sequence its entity's snapshot does not cover has its
/// position in `index`, and no other.
class journal_store::impl {
public:
  impl(internal::data_directory at, lmdb::environment opened, const journal_options& how,
       fold_function by)
      : directory{std::move(at)},
        env{std::move(opened)},
        options{how},
        fold{std::move(by)},
        index{how.clean_entries} {}
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;
  ~impl() { end_mark(); }

  /// Reads meta and the journal behind the watermark (journal_read.cpp).
  expected<void> replay();

  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests);
  expected<stored_entity> load(const entity_ref& entity);
  expected<bool> materialise();
  expected<bool> compact();
  expected<void> for_each_entity(const std::function<bool(const entity_ref&, std::uint64_t)>& next);
  expected<void> for_each_record(std::uint64_t from, std::uint64_t to,
                                 const std::function<bool(const journal_record&)>& next);

  /// How far the store has come, kept in the mark's file (journal_mark.cpp): what it says of this
  /// store, from the start on, when it is time, and at the end.
  expected<void> begin_mark(internal::mark_file file,
                            const std::optional<internal::commit_mark>& before);
  void mark_in_time();
  void end_mark() noexcept;

  /// Remembers that nothing may be answered any more.
  error stop(errc code, std::string message);

  internal::data_directory directory;  // first in, last out: it holds the lock
  lmdb::environment env;
  journal_options options;
  fold_function fold;
  internal::databases dbs;
  internal::name_space_table name_spaces;
  internal::tail_index index;
  std::uint64_t position = 0;
  std::uint64_t watermark = 0;
  std::uint64_t first = 1;    // oldest record that is kept
  std::uint64_t covered = 0;  // bytes of the records from there to the watermark
  std::uint64_t tail_bytes = 0;
  std::uint64_t epoch = 0;
  std::uint64_t commits = 0;
  std::uint64_t changes = 0;
  std::optional<error> failure;
  start_report started;

private:
  struct batch;
  std::vector<expected<commit_receipt>> attempt(std::span<const commit_request> requests,
                                                lmdb::purpose what_for);
  struct slice;

  expected<commit_receipt> append(batch& to, const commit_request& request);
  expected<commit_receipt> append_alone(batch& to, const commit_request& request);
  expected<slice> fold_slice();
  expected<void> write_slice(slice& what);
  expected<std::uint64_t> stored_sequence(lmdb::transaction& txn, std::string_view key,
                                          internal::verify depth);
  expected<void> check_absent(lmdb::transaction& txn, std::string_view key);
  expected<stored_entity> read_entity(lmdb::transaction& txn, std::string_view key,
                                      const internal::tail_entry* tail);
  expected<internal::record> read_change(std::uint64_t at, std::string_view bytes);

  /// Commits, or throws after it is decided what a failure means: `failure` is set unless nothing
  /// was written.
  void finish(lmdb::transaction& txn);

  expected<void> write_mark(bool clean);

  /// CRC32C of a record, key and value; 0 when it is not kept.
  std::uint32_t digest_of(std::uint64_t at);

  std::optional<internal::mark_file> mark_;
  std::chrono::steady_clock::time_point marked_{};
};

}  // namespace troupe
