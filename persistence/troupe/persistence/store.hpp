#pragma once

#include <troupe/state/folding.hpp>
#include <troupe/state/ids.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

// From <troupe/messages/messages.hpp>, <troupe/messages/store_messages.hpp> and
// <troupe/persistence/maintenance.hpp>, which callers include themselves: this header knows no
// actor.
struct adopted_entity;
struct backup_options;
struct backup_report;
struct commit_receipt;
struct commit_request;
struct erasure;
struct list_request;
struct listing;
struct store_stats;
struct stored_entity;

struct journal_options {
  std::uint64_t map_bytes =
      64ULL << 30;  ///< address space; halved while it does not fit; then: store_full
  std::uint64_t tail_bytes = 64ULL
                             << 20;  ///< journal without snapshots; then: the owner materialises
  std::uint64_t slice_bytes =
      1ULL << 20;  ///< read and written by one `materialise` or fold job; then: it stops there
  /// Spent by one of them on reading and folding, which bounds what its transaction writes and so
  /// how long commits wait for it; then: it stops there. 0: `slice_bytes` alone, so that the same
  /// changes are always folded together.
  std::chrono::milliseconds slice_time{0};
  std::uint64_t quota_bytes = 0;  ///< of the store; then: store_full. 0: the disk and the map
  std::uint64_t reserve_bytes =
      16ULL << 20;  ///< of quota and disk, at most an eighth; then: only changes that free
  std::uint64_t covered_bytes =
      256ULL << 20;  ///< journal kept though snapshots cover it; then: `compact` frees the oldest
  std::size_t clean_entries =
      64 << 10;  ///< entities without tail that are remembered; then: the oldest go
  std::size_t log_bytes =
      2ULL << 20;  ///< of changes that the log alone has; then, and for a batch that is larger than
                   ///< a quarter of it: into the data file. 0: there is no log
  std::chrono::milliseconds mark_interval{10'000};  ///< between two notes of how far it has come
  bool allow_remote_fs = false;  ///< open it on a network file system, whatever a sync means there
  bool check_in_child = true;    ///< replay in a child process first after an unclean stop
};

/// What an entity's changes make of the parts they follow; see `fold_entity`. Pure and total for
/// what was stored; an error leaves the entity's tail as it is. Called on the owner's thread and,
/// by fold jobs, on others beside it.
using fold_function =
    std::function<expected<folded_entity>(entity_kind kind, const stored_parts& stored)>;

/// `fold_entity`, for what the runtime stores.
[[nodiscard]] inline fold_function fold_entities() {
  return [](entity_kind, const stored_parts& stored) { return fold_entity(stored); };
}

/// The newest state of an entity that was stored with all before it, where somebody has it in
/// memory; else null. Any that was stored does: one that is not the newest costs nothing but time.
using state_lookup = std::function<std::shared_ptr<const entity_state>(const entity_ref& entity)>;

/// One change as the journal holds it. The payload is valid during the call that hands it out.
struct journal_record {
  std::uint64_t position = 0;
  std::uint64_t sequence = 0;
  std::uint64_t epoch = 0;
  std::uint16_t shard = 0;
  entity_ref entity;
  std::string_view payload;
  std::uint32_t part = 0, parts = 1;  ///< of the set that was made together: 0, 1 ... of so many
};

/// What of `materialise` writes nothing: reading and folding. See `store::begin_fold`.
class fold_job {
public:
  virtual ~fold_job() = default;
  /// Once, on any thread, beside the store's owner. What goes wrong is told by `end_fold`.
  virtual void run() noexcept = 0;
};

/// The changes of all entities in commit order, and what they add up to. When `commit` returned a
/// receipt, the change is as safe as the store makes it: `journal_store` survives `kill -9` and
/// power loss, `memory_store` nothing. Payloads are opaque bytes.
///
/// Owner: one thread at a time. Errors of every call: `damaged` (names the record), `store_failed`.
/// After an I/O error `failed()` is set and every call answers `store_failed`: close the store and
/// let the next start read the truth.
///
/// When quota or disk is used up but for the reserve, changes that add are refused with
/// `store_full`; those that free, `materialise`, `compact` and reads go on, and what they free is
/// room again.
class store {
public:
  virtual ~store() = default;

  /// Makes changes durable in one transaction with one sync: answers one result for each request,
  /// in their order. Requests that are joined by `commit_request::together` are made all or none,
  /// in one record. A request is refused alone (or its set) with `store_failed` when its sequence
  /// does not follow the stored one (so what was pipelined behind a failed write fails too) and
  /// with `bad_id` or `too_large`; the others are not affected. Errors of all others together:
  /// `store_full`, `store_failed` (nothing was written), `outcome_unknown`.
  virtual std::vector<expected<commit_receipt>> commit(
      std::span<const commit_request> requests) = 0;

  /// All that is stored of one entity; never written is an empty result.
  virtual expected<stored_entity> load(const entity_ref& entity) = 0;

  /// What the state of one entity right behind `revision` is built from. Errors: as `load`;
  /// `revision_gone` (not kept, or not there yet).
  virtual expected<stored_entity> load_at(const entity_ref& entity, std::uint64_t revision) = 0;

  /// Folds the oldest part of the tail into snapshots and moves the watermark behind it, in one
  /// transaction of about `slice_bytes`. Answers whether more is left.
  /// Errors: as `load`, those of the fold; `store_full`. Nothing changed then.
  virtual expected<bool> materialise() = 0;

  /// `materialise` in parts, for an owner that goes on meanwhile: what is to be folded next, or
  /// null when there is nothing. It is run once, anywhere, then given to `end_fold` or just
  /// destroyed, in any case before the store is. While one is out, another one or `materialise`
  /// makes it worth nothing. An entity whose changes all fold `by_state` and that `live` has at its
  /// newest is folded from there, by `fold_state`: neither its changes nor its chunks are read.
  /// Errors: as `load`.
  virtual expected<std::unique_ptr<fold_job>> begin_fold(const state_lookup& live = {});
  /// Writes what the job has made, in one transaction of about `slice_bytes`. What was committed
  /// meanwhile, also to entities that it has folded, stays in the tail. A job whose ground was
  /// rewritten meanwhile (by `erase`, by a fork that takes the place of an entity with a tail) is
  /// dropped, and the next one folds anew. Answers whether more is left. Errors: as `materialise`.
  /// REQUIRES: the job is of this store and was run.
  virtual expected<bool> end_fold(fold_job& job);

  /// Folds one entity's tail, wherever it stands in the journal. Errors: as `materialise`.
  virtual expected<void> materialise(const entity_ref& entity) = 0;

  /// Frees the oldest records that snapshots cover, beyond `covered_bytes` of them (all of them
  /// when `short_of_room`) and before `keep_from`, in one transaction of about `slice_bytes`; what
  /// an entity still promises moves to its own place. Answers whether more is to be freed. The file
  /// does not shrink: what comes next takes the room. `kept_bytes` is in place of `covered_bytes`.
  /// Errors: as `load`, `store_full`. Nothing changed then.
  virtual expected<bool> compact(
      std::uint64_t keep_from = std::numeric_limits<std::uint64_t>::max(),
      std::optional<std::uint64_t> kept_bytes = std::nullopt) = 0;

  /// One page of the entities of a namespace, by kind and id, with their headers. Wakes nobody.
  /// Errors: as `load`.
  virtual expected<listing> list(const list_request& request) = 0;

  /// Calls for every stored entity once, ordered by namespace hash, kind and id, until `next`
  /// answers false. Payloads are verified by `load`.
  virtual expected<void> for_each_entity(
      const std::function<bool(const entity_ref& entity, std::uint64_t sequence)>& next) = 0;

  /// Calls for the verified records at positions `from` to `to` (both included) in commit order,
  /// until `next`, which asks no store, answers false. Those before `stats().first` are gone.
  virtual expected<void> for_each_record(
      std::uint64_t from, std::uint64_t to,
      const std::function<bool(const journal_record& record)>& next) = 0;

  /// Calls for the changes of one entity behind revision `after`, oldest first, until `next`
  /// answers false; each is told as 0 of 1. Never written: none. Errors: as `load`; `revision_gone`
  /// with the newest revision (some of them are not kept, or the entity has not come so far).
  virtual expected<void> for_each_change(
      const entity_ref& entity, std::uint64_t after,
      const std::function<bool(const journal_record& record)>& next) = 0;

  /// Writes entities that were never stored, each as a snapshot at its revision, all in one
  /// transaction. Errors: `already_exists` (names the first that was), `bad_id`, `too_large`,
  /// `store_full`, as `load`. Nothing changed then. A store that cannot: `not_supported`.
  virtual expected<void> adopt(std::span<const adopted_entity> entities);

  /// Of an entity that was deleted: makes its changes in the journal say nothing but that, and
  /// takes away what was answered to idempotency keys, in one transaction. Its snapshots and its
  /// history went when the deletion was folded, which is done first. What a fork holds stays the
  /// fork's; pages of the file that become free are overwritten when they are used again. Errors:
  /// `not_found` (never written), `already_exists` (it lives), as `load`. Nothing changed then. A
  /// store that cannot: `not_supported`.
  virtual expected<erasure> erase(const entity_ref& entity);

  /// Copies the store as of now to the new directory `to` (mode 0700), walks the copy and syncs it;
  /// it appears complete or not at all. **Any thread** may call it while the owner goes on, as long
  /// as the store is neither moved nor closed; one at a time. Until it ends, what is freed is not
  /// used again, so the file grows by as much as is written. Errors: `busy` (another one runs),
  /// `already_exists`, `damaged` (the copy does not read back), `store_full`, `store_failed`. A
  /// store that cannot: `not_supported`.
  virtual expected<backup_report> backup(const std::filesystem::path& to,
                                         const backup_options& options) const;

  /// Cheap; `entities` and `bytes` are left out.
  [[nodiscard]] virtual store_stats stats() const = 0;
  /// With all that there is to tell.
  virtual expected<store_stats> full_stats() = 0;
  [[nodiscard]] virtual const journal_options& options() const noexcept = 0;

  /// Little is left but the reserve: what can be folded and freed should be.
  [[nodiscard]] virtual bool short_of_room() const noexcept = 0;

  /// The I/O error after which nothing is answered any more; null while there was none.
  [[nodiscard]] virtual const error* failed() const noexcept = 0;

protected:
  store() = default;
  store(const store&) = default;
  store(store&&) = default;
  store& operator=(const store&) = default;
  store& operator=(store&&) = default;
};

}  // namespace troupe
