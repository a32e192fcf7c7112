#pragma once

#include <troupe/persistence/store.hpp>

#include <memory>

namespace troupe {

/// A store that keeps everything as it came and nothing beyond its own life: the reference that
/// `journal_store` is compared with, and what tests and simulations run on. Nothing is ever folded
/// away, so every revision of an entity stays, and `materialise` only moves the watermark.
class memory_store final : public store {
public:
  explicit memory_store(fold_function fold, const journal_options& options = {});
  memory_store(memory_store&&) noexcept;
  memory_store& operator=(memory_store&&) noexcept;
  ~memory_store() override;

  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests) override;
  expected<stored_entity> load(const entity_ref& entity) override;
  expected<stored_entity> load_at(const entity_ref& entity, std::uint64_t revision) override;
  expected<bool> materialise() override;
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
  [[nodiscard]] store_stats stats() const override;
  expected<store_stats> full_stats() override;
  [[nodiscard]] const journal_options& options() const noexcept override;
  [[nodiscard]] bool short_of_room() const noexcept override;
  [[nodiscard]] const error* failed() const noexcept override;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
