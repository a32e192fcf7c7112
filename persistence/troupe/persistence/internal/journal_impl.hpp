#pragma once

#include <troupe/messages/store_messages.hpp>
#include <troupe/persistence/internal/chunk_store.hpp>
#include <troupe/persistence/internal/commit_mark.hpp>
#include <troupe/persistence/internal/data_directory.hpp>
#include <troupe/persistence/internal/entity_reading.hpp>
#include <troupe/persistence/internal/entity_record.hpp>
#include <troupe/persistence/internal/fold_slice.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/record.hpp>
#include <troupe/persistence/internal/tail_index.hpp>
#include <troupe/persistence/internal/write_ahead_log.hpp>
#include <troupe/persistence/journal_store.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
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
/// Invariants between calls: `position` is the newest position on disk; the newest of all are in
/// the log alone (`wal.records()`), every transaction that writes takes them into the journal;
/// `watermark` <= `settled()`; records are kept from `first` <= `watermark` + 1 on, without gap;
/// those behind the watermark whose sequence their entity's snapshot does not cover are the ones on
/// the way, each naming the one before it, from the newest to the first that `index` says of the
/// entity.
class journal_store::impl {
public:
  impl(internal::data_directory at, lmdb::environment opened, internal::write_ahead_log written,
       const journal_options& how, fold_function by)
      : directory{std::move(at)},
        env{std::move(opened)},
        wal{std::move(written)},
        options{how},
        fold{std::move(by)},
        index{how.clean_entries} {}
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;
  ~impl() { close(); }

  expected<void> replay();

  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests);
  expected<stored_entity> load(const entity_ref& entity);
  expected<stored_entity> load_at(const entity_ref& entity, std::uint64_t revision);
  expected<std::unique_ptr<fold_job>> begin_fold(const state_lookup& live);
  expected<bool> end_fold(fold_job& job);
  expected<bool> materialise();
  expected<void> materialise(const entity_ref& entity);
  expected<bool> compact(std::uint64_t keep_from, std::optional<std::uint64_t> kept_bytes);
  expected<listing> list(const list_request& request);
  expected<void> adopt(std::span<const adopted_entity> entities);
  expected<erasure> erase(const entity_ref& entity);
  expected<void> for_each_entity(const std::function<bool(const entity_ref&, std::uint64_t)>& next);
  expected<void> for_each_record(std::uint64_t from, std::uint64_t to,
                                 const std::function<bool(const journal_record&)>& next);
  expected<void> for_each_change(const entity_ref& entity, std::uint64_t after,
                                 const std::function<bool(const journal_record&)>& next);

  /// How far the store has come, kept in the mark's file (journal_mark.cpp): what it says of this
  /// store, from the start on, and when it is time.
  expected<void> begin_mark(internal::mark_file file,
                            const std::optional<internal::commit_mark>& before);
  void mark_in_time();

  /// The newest position that LMDB has.
  [[nodiscard]] std::uint64_t settled() const noexcept { return position - wal.records().size(); }
  /// LMDB has all that is on disk.
  void settle();
  /// The same where something of the entity is in the log alone.
  void settle(std::string_view key);
  /// Settled and marked as closed, if nothing failed.
  void close() noexcept;

  /// Remembers that nothing may be answered any more.
  error stop(errc code, std::string message);

  internal::data_directory directory;  // first in, last out: it holds the lock
  lmdb::environment env;
  internal::write_ahead_log wal;
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
  std::uint64_t journalled = 0;  // bytes of records, since the watermark of the start
  std::uint64_t epoch = 0;
  std::uint64_t logs = 0;       // newest number of a log of chunks
  std::uint64_t commits = 0;    // since the start
  std::uint64_t committed = 0;  // changes, since the start
  std::uint64_t folded = 0;     // entities, since the start
  std::uint64_t folded_live = 0;
  std::optional<error> failure;
  start_report started;
  std::atomic<bool> backing_up = false;

private:
  struct batch;
  std::vector<expected<commit_receipt>> attempt(std::span<const commit_request> requests,
                                                lmdb::purpose what_for);

  /// What is known of an entity beside its body.
  struct known_entity {
    std::uint64_t revision = 0;  ///< of the body; 0: there is none
    internal::entity_head head;
    std::string header;
  };

  // journal_commit.cpp
  [[nodiscard]] bool is_stored(const std::string& name_space);
  [[nodiscard]] bool goes_to_log(std::span<const commit_request> requests, std::uint64_t bytes);
  expected<void> append(batch& to, std::span<const commit_request> group,
                        std::vector<expected<commit_receipt>>& results);
  expected<void> append_alone(batch& to, std::span<const commit_request> group,
                              std::vector<expected<commit_receipt>>& results);
  expected<void> begin_fork(batch& to, std::string_view key, const internal::namespace_hash& hash,
                            const commit_request& request);

  // journal_read.cpp
  expected<std::vector<internal::logged_record>> read_back(std::string_view log);
  expected<void> check_absent(lmdb::transaction& txn, std::string_view key);
  expected<internal::newest_change> newest_of(lmdb::transaction& txn, std::string_view key,
                                              internal::verify depth);
  expected<known_entity> read_known(lmdb::transaction& txn, std::string_view key,
                                    internal::verify depth);
  expected<std::vector<std::string>> read_answers(lmdb::transaction& txn, std::string_view key);

  // journal_versions.cpp
  expected<stored_entity> read_at(lmdb::transaction& txn, std::string_view key,
                                  std::uint64_t revision);
  /// Its older bodies and kept changes go: they are of an earlier life.
  void drop_past(lmdb::transaction& txn, std::string_view key);
  expected<std::vector<std::uint64_t>> versions_of(lmdb::transaction& txn, std::string_view key);

  // journal_changes.cpp
  /// Where a change is kept: in the journal, or (`moved`) by itself.
  struct kept_change {
    std::uint64_t position = 0;
    std::uint64_t sequence = 0;
    bool moved = false;
  };
  expected<std::vector<kept_change>> changes_behind(lmdb::transaction& txn, std::string_view key,
                                                    std::uint64_t after);

  // journal_list.cpp
  class entity_walk;
  expected<entity_header> header_of(lmdb::transaction& txn, entity_kind kind, std::string_view key,
                                    const internal::tail_entry* tail);

  // journal_compact.cpp
  expected<bool> promises(lmdb::transaction& txn, const std::string& key, std::uint64_t sequence);

  // journal_materialise.cpp
  expected<void> write_slice(internal::folded_slice& what);
  expected<void> write_folded(lmdb::transaction& txn, const internal::folded_tail& one);
  /// What a job may have read is rewritten: the one that is out, if any, is dropped when it comes
  /// back, and the next reads anew. Not for what `write_slice` sees by itself.
  void forget_fold() noexcept;
  /// The state behind the tail, where `live` has it and it tells all that is to be stored.
  std::shared_ptr<const entity_state> state_behind(const internal::tail_index::node& tail,
                                                   const state_lookup& live) const;
  /// `name` says whose they are.
  expected<void> write_answers(lmdb::transaction& txn, std::string_view key,
                               const internal::record& name,
                               const std::vector<folded_entity::answered>& answers);
  void forget_answers(lmdb::transaction& txn, timestamp now);

  // journal_erase.cpp
  expected<std::vector<std::uint64_t>> positions_of(lmdb::transaction& txn, std::string_view key,
                                                    std::uint64_t newest);
  expected<std::string> redacted_record(std::uint64_t at, std::string_view bytes,
                                        std::string_view key);
  expected<std::uint64_t> erase_answers(lmdb::transaction& txn, std::string_view key);

  // internal/journal_write.cpp: the two records of an entity; `what` names it and the revision
  static void write_body(lmdb::transaction& txn, lmdb::dbi to, std::string_view key,
                         internal::record what, std::string_view chunks, std::string_view body);
  void write_known(lmdb::transaction& txn, std::string_view key, internal::record what,
                   const internal::entity_head& head, std::string_view header) const;

  /// A transaction that takes along what is in the log alone. REQUIRES: room for `wal.bytes()` more
  /// was reserved.
  lmdb::transaction begin_write();
  /// Commits what `begin_write` began, or throws after it is decided what a failure means:
  /// `failure` is set unless nothing was written.
  void finish(lmdb::transaction& txn);

  expected<void> write_mark(bool clean);

  std::uint64_t folds_ = 0;    // jobs that were begun
  std::uint64_t folding_ = 0;  // the one of them whose result may be written; 0: none

  // Of an entity, a revision before which it promises nothing: `options.clean_entries` of them;
  // then: all are forgotten.
  std::unordered_map<std::string, std::uint64_t> promised_from_;

  /// CRC32C of a record, key and value; 0 when it is not kept.
  std::uint32_t digest_of(std::uint64_t at);

  std::optional<internal::mark_file> mark_;
  std::chrono::steady_clock::time_point marked_{};
};

}  // namespace troupe
