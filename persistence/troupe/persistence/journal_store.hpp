#pragma once

#include <troupe/persistence/store.hpp>

#include <filesystem>
#include <memory>

namespace troupe {

/// The store on LMDB: one directory, one process. It may be handed to another thread between calls;
/// a second one on the directory, in this or another process, is refused by `open`.
class journal_store final : public store {
public:
  /// Opens the store in `directory`, or creates both (mode 0700), and replays the journal behind
  /// the snapshots. Errors: `busy` (in use by another process, which is named), `damaged` (also: no
  /// Troupe store, truncated), `newer_format`, `store_full`, `store_failed` (the directory cannot
  /// be used; the message says why).
  static expected<journal_store> open(const std::filesystem::path& directory,
                                      const journal_options& options, fold_function fold);

  journal_store(journal_store&&) noexcept;
  journal_store& operator=(journal_store&&) noexcept;
  ~journal_store() override;

  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests) override;
  expected<stored_entity> load(const entity_ref& entity) override;
  expected<stored_entity> load_at(const entity_ref& entity, std::uint64_t revision) override;
  expected<bool> materialise() override;
  expected<void> materialise(const entity_ref& entity) override;
  expected<bool> compact(
      std::uint64_t keep_from = std::numeric_limits<std::uint64_t>::max()) override;
  expected<listing> list(const list_request& request) override;
  expected<void> for_each_entity(
      const std::function<bool(const entity_ref& entity, std::uint64_t sequence)>& next) override;
  expected<void> for_each_record(
      std::uint64_t from, std::uint64_t to,
      const std::function<bool(const journal_record& record)>& next) override;
  [[nodiscard]] store_stats stats() const override;
  [[nodiscard]] const journal_options& options() const noexcept override;
  [[nodiscard]] const error* failed() const noexcept override;

  class impl;  ///< internal

private:
  explicit journal_store(std::unique_ptr<impl> self);

  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
