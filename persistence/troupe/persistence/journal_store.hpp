#pragma once

#include <troupe/persistence/store.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace troupe {

// From <troupe/persistence/maintenance.hpp>, which callers include themselves.
struct shrink_report;

/// What a start found.
struct start_report {
  bool clean = true;  ///< the last owner closed the store; else: its process was killed, or worse
  /// The store is whole, and not what was acknowledged: an older copy, another history, a lost
  /// write. In words, for the operator.
  std::vector<std::string> warnings{};
};

/// Called now and then with how much is done, in bytes or entities; `total` is an estimate. False
/// gives up: the work fails with `store_failed` and nothing has changed.
using progress_function = std::function<bool(std::uint64_t done, std::uint64_t total)>;

/// The store on LMDB: one directory, one process. It may be handed to another thread between calls;
/// a second one on the directory, in this or another process, is refused by `open`.
class journal_store final : public store {
public:
  /// Opens the store in `directory`, or creates both (mode 0700), and replays the journal behind
  /// the snapshots. Errors: `busy` (in use by another process, which is named), `damaged` (also: no
  /// Troupe store, truncated), `newer_format`, `forbidden` (others can enter it),
  /// `remote_file_system`, `store_full`, `store_failed` (the message says why). No page of the file
  /// is given to LMDB before it was checked, and after an unclean stop a child process replays the
  /// journal first: a damaged file is an error with words here, not the end of the process.
  static expected<journal_store> open(const std::filesystem::path& directory,
                                      const journal_options& options, fold_function fold);

  journal_store(journal_store&&) noexcept;
  journal_store& operator=(journal_store&&) noexcept;
  ~journal_store() override;

  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests) override;
  expected<stored_entity> load(const entity_ref& entity) override;
  expected<stored_entity> load_at(const entity_ref& entity, std::uint64_t revision) override;
  expected<bool> materialise() override;
  expected<std::unique_ptr<fold_job>> begin_fold(const state_lookup& live = {}) override;
  expected<bool> end_fold(fold_job& job) override;
  expected<void> materialise(const entity_ref& entity) override;
  expected<bool> compact(std::uint64_t keep_from = std::numeric_limits<std::uint64_t>::max(),
                         std::optional<std::uint64_t> kept_bytes = std::nullopt) override;
  expected<listing> list(const list_request& request) override;
  expected<void> for_each_entity(
      const std::function<bool(const entity_ref& entity, std::uint64_t sequence)>& next) override;
  expected<void> for_each_record(
      std::uint64_t from, std::uint64_t to,
      const std::function<bool(const journal_record& record)>& next) override;
  expected<void> for_each_change(
      const entity_ref& entity, std::uint64_t after,
      const std::function<bool(const journal_record& record)>& next) override;
  expected<void> adopt(std::span<const adopted_entity> entities) override;
  expected<erasure> erase(const entity_ref& entity) override;
  expected<backup_report> backup(const std::filesystem::path& to,
                                 const backup_options& options) const override;
  [[nodiscard]] store_stats stats() const override;
  expected<store_stats> full_stats() override;
  [[nodiscard]] const journal_options& options() const noexcept override;
  [[nodiscard]] bool short_of_room() const noexcept override;
  [[nodiscard]] const error* failed() const noexcept override;

  [[nodiscard]] const start_report& started() const noexcept;

  /// Bytes in use, without those that were freed and wait to be taken again.
  [[nodiscard]] expected<std::uint64_t> live_bytes();

  /// Folds the whole tail, frees what `compact` may free, and replaces the data file by a copy
  /// without free pages that was walked. Closes the store in any case. Errors: as `backup`;
  /// nothing is lost then.
  expected<shrink_report> shrink(const progress_function& progress) &&;

  class impl;  ///< internal

private:
  explicit journal_store(std::unique_ptr<impl> self);

  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
