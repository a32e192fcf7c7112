#pragma once

#include <troupe/state/ids.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

// From <troupe/messages/messages.hpp>, which callers include themselves: this header knows no
// actor.
struct commit_receipt;
struct commit_request;
struct store_stats;
struct stored_entity;

struct journal_options {
  std::uint64_t map_bytes =
      64ULL << 30;  ///< address space; halved while it does not fit; then: store_full
  std::uint64_t tail_bytes = 64ULL
                             << 20;  ///< journal without snapshots; then: the owner materialises
  std::uint64_t slice_bytes =
      1ULL << 20;                 ///< read and written by one `materialise`; then: it stops there
  std::uint64_t quota_bytes = 0;  ///< of the store; then: store_full. 0: the disk and the map
  std::uint64_t reserve_bytes =
      16ULL << 20;  ///< of quota and disk, at most an eighth; then: only changes that free
  std::uint64_t covered_bytes =
      256ULL << 20;  ///< journal kept though snapshots cover it; then: `compact` frees the oldest
  std::size_t clean_entries =
      64 << 10;  ///< remembered sequences of entities without tail; then: the oldest go
  std::chrono::milliseconds mark_interval{10'000};  ///< between two notes of how far it has come
  bool allow_remote_fs = false;  ///< open it on a network file system, whatever a sync means there
  bool check_in_child = true;    ///< replay in a child process first after an unclean stop
};

/// What a start found.
struct start_report {
  bool clean = true;  ///< the last owner closed the store; else: its process was killed, or worse
  /// The store is whole, and not what was acknowledged: an older copy, another history, a lost
  /// write. In words, for the operator.
  std::vector<std::string> warnings{};
};

/// `encode(state)` after `changes` were applied to `snapshot` (empty: the entity had none). Pure
/// and total for what was stored; an error leaves the entity's tail as it is.
using fold_function = std::function<expected<std::string>(
    entity_kind kind, std::string_view snapshot, const std::vector<std::string>& changes)>;

/// One change as the journal holds it. The payload is valid during the call that hands it out.
struct journal_record {
  std::uint64_t position = 0;
  std::uint64_t sequence = 0;
  std::uint64_t epoch = 0;
  std::uint16_t shard = 0;
  entity_ref entity;
  std::string_view payload;
};

/// The changes of all entities in commit order, and snapshots that catch up with them. When
/// `commit` returned a receipt, the change survives `kill -9` and power loss. Payloads are opaque
/// bytes.
///
/// Owner: one thread at a time (it may be handed over between calls); a second store on the
/// directory, in this or another process, is refused by `open`. Errors of every call: `damaged`
/// (names the record), `store_failed`. After an I/O error `failed()` is set and every call answers
/// `store_failed`: close the store and let the next start read the truth from disk.
///
/// When quota or disk is used up but for the reserve, changes that add are refused with
/// `store_full`; those that free, `materialise`, `compact` and reads go on, and what they free is
/// room again.
class journal_store {
public:
  /// Opens the store in `directory`, or creates both (mode 0700), and replays the journal behind
  /// the snapshots. Errors: `busy` (in use by another process, which is named), `damaged` (also: no
  /// Troupe store, truncated), `newer_format`, `remote_file_system`, `store_full`, `store_failed`
  /// (the directory cannot be used; the message says why). No page of the file is given to LMDB
  /// before it was checked, and after an unclean stop a child process replays the journal first: a
  /// damaged file is an error with words here, not the end of the process.
  static expected<journal_store> open(const std::filesystem::path& directory,
                                      const journal_options& options, fold_function fold);

  journal_store(journal_store&&) noexcept;
  journal_store& operator=(journal_store&&) noexcept;
  ~journal_store();

  /// Makes changes durable in one transaction with one sync: answers one result for each request,
  /// in their order. A request is refused alone with `store_failed` when its sequence does not
  /// follow the stored one (so what was pipelined behind a failed write fails too) and with
  /// `bad_id` or `too_large`; the others are not affected. Errors of all others together:
  /// `store_full`, `store_failed` (nothing was written), `outcome_unknown`.
  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests);

  /// All that is stored of one entity; never written is an empty result.
  expected<stored_entity> load(const entity_ref& entity);

  /// Folds the oldest part of the tail into snapshots and moves the watermark behind it, in one
  /// transaction of about `slice_bytes`. Answers whether more is left.
  /// Errors: as `load`, those of the fold; `store_full`. Nothing changed then.
  expected<bool> materialise();

  /// Frees the oldest records that snapshots cover, beyond `covered_bytes` of them, in one
  /// transaction of about `slice_bytes`; all of them when `short_of_room`. Answers whether more is
  /// to be freed. The file does not shrink: what comes next takes the room. Errors: as `load`,
  /// `store_full`. Nothing changed then.
  expected<bool> compact();

  /// Calls for every stored entity once, ordered by namespace hash, kind and id, until `next`
  /// answers false. Reads headers only: payloads are verified by `load`.
  expected<void> for_each_entity(
      const std::function<bool(const entity_ref& entity, std::uint64_t sequence)>& next);

  /// Calls for the verified records at positions `from` to `to` (both included) in commit order,
  /// until `next` answers false. Those before `stats().first` are gone.
  expected<void> for_each_record(std::uint64_t from, std::uint64_t to,
                                 const std::function<bool(const journal_record& record)>& next);

  [[nodiscard]] store_stats stats() const;
  [[nodiscard]] const start_report& started() const noexcept;

  /// Little is left but the reserve: what can be folded and freed should be.
  [[nodiscard]] bool short_of_room() const noexcept;

  /// Bytes in use, without those that were freed and wait to be taken again.
  [[nodiscard]] expected<std::uint64_t> live_bytes();
  [[nodiscard]] const journal_options& options() const noexcept;

  /// The I/O error after which nothing is answered any more; null while there was none.
  [[nodiscard]] const error* failed() const noexcept;

  class impl;  ///< internal

private:
  explicit journal_store(std::unique_ptr<impl> self);

  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
