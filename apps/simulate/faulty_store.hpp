#pragma once

#include <troupe/messages/store_messages.hpp>
#include <troupe/persistence/maintenance.hpp>
#include <troupe/persistence/store.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace troupe::simulate {

/// A store that does what the one below it does; those that differ in one thing derive from it.
class forwarding_store : public store {
public:
  explicit forwarding_store(std::unique_ptr<store> below) : below_{std::move(below)} {}

  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests) override {
    return below_->commit(requests);
  }
  expected<stored_entity> load(const entity_ref& entity) override { return below_->load(entity); }
  expected<stored_entity> load_at(const entity_ref& entity, std::uint64_t revision) override {
    return below_->load_at(entity, revision);
  }
  expected<bool> materialise() override { return below_->materialise(); }
  expected<void> materialise(const entity_ref& entity) override {
    return below_->materialise(entity);
  }
  expected<std::unique_ptr<fold_job>> begin_fold(const state_lookup& live) override {
    return below_->begin_fold(live);
  }
  expected<bool> end_fold(fold_job& job) override { return below_->end_fold(job); }
  expected<bool> compact(std::uint64_t keep_from,
                         std::optional<std::uint64_t> kept_bytes) override {
    return below_->compact(keep_from, kept_bytes);
  }
  expected<listing> list(const list_request& request) override { return below_->list(request); }
  expected<void> for_each_entity(
      const std::function<bool(const entity_ref&, std::uint64_t)>& next) override {
    return below_->for_each_entity(next);
  }
  expected<void> for_each_record(std::uint64_t from, std::uint64_t to,
                                 const std::function<bool(const journal_record&)>& next) override {
    return below_->for_each_record(from, to, next);
  }
  expected<void> for_each_change(const entity_ref& entity, std::uint64_t after,
                                 const std::function<bool(const journal_record&)>& next) override {
    return below_->for_each_change(entity, after, next);
  }
  expected<void> adopt(std::span<const adopted_entity> entities) override {
    return below_->adopt(entities);
  }
  expected<erasure> erase(const entity_ref& entity) override { return below_->erase(entity); }
  expected<backup_report> backup(const std::filesystem::path& to,
                                 const backup_options& options) const override {
    return below_->backup(to, options);
  }
  [[nodiscard]] store_stats stats() const override { return below_->stats(); }
  expected<store_stats> full_stats() override { return below_->full_stats(); }
  [[nodiscard]] const journal_options& options() const noexcept override {
    return below_->options();
  }
  [[nodiscard]] bool short_of_room() const noexcept override { return below_->short_of_room(); }
  [[nodiscard]] const error* failed() const noexcept override { return below_->failed(); }

private:
  std::unique_ptr<store> below_;
};

/// What is to go wrong with commits, and what did. Set on any thread, looked at on the store's.
struct commit_faults {
  std::atomic<std::uint32_t> to_refuse{0};  ///< transactions, the next ones: nothing is written
  std::atomic<std::int64_t> delay_ms{0};    ///< each waits so long before it begins
  std::atomic<std::uint64_t> refused{0}, delayed{0};  ///< transactions so far
};

/// Its transactions fail or take their time, as `how` says.
class faulty_store : public forwarding_store {
public:
  faulty_store(std::unique_ptr<store> below, std::shared_ptr<commit_faults> how)
      : forwarding_store{std::move(below)},
        how_{std::move(how)} {}

  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests) override;

private:
  std::shared_ptr<commit_faults> how_;
};

}  // namespace troupe::simulate
