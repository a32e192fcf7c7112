#pragma once

#include <troupe/persistence/memory_store.hpp>

#include "checker.hpp"
#include "event_checker.hpp"
#include "plan.hpp"

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace troupe::simulation {

/// What is there after a crash: what was committed, and nothing else. One for a simulation.
using disk = memory_store;

/// What one node knows of its disk. The node's store holds a share of it, the simulation the other.
struct node_disk {
  bool gone = false;   ///< the node crashed: nothing is written any more
  bool full = false;   ///< what adds is refused
  bool sound = false;  ///< nothing goes wrong any more
};

/// The store of one node, over the disk of the simulation. Transactions fail, are lost or land with
/// an unknown outcome, or stop the store, as the seed says; loads fail, and what they find is
/// folded up to some revision, as if snapshots had been written.
class faulty_store final : public store {
public:
  faulty_store(disk& below, checker& told, event_checker& events, dice& luck, const plan& how,
               std::shared_ptr<node_disk> node)
      : disk_{below},
        checker_{told},
        events_{events},
        luck_{luck},
        plan_{how},
        node_{std::move(node)} {}

  std::vector<expected<commit_receipt>> commit(std::span<const commit_request> requests) override;
  expected<stored_entity> load(const entity_ref& entity) override;
  expected<stored_entity> load_at(const entity_ref& entity, std::uint64_t revision) override;
  expected<bool> materialise() override { return disk_.materialise(); }
  expected<void> materialise(const entity_ref& entity) override {
    return disk_.materialise(entity);
  }
  expected<bool> compact(std::uint64_t keep_from,
                         std::optional<std::uint64_t> kept_bytes) override {
    return disk_.compact(keep_from, kept_bytes);
  }
  expected<listing> list(const list_request& request) override { return disk_.list(request); }
  expected<void> for_each_entity(
      const std::function<bool(const entity_ref&, std::uint64_t)>& next) override {
    return disk_.for_each_entity(next);
  }
  expected<void> for_each_record(std::uint64_t from, std::uint64_t to,
                                 const std::function<bool(const journal_record&)>& next) override;
  expected<void> for_each_change(const entity_ref& entity, std::uint64_t after,
                                 const std::function<bool(const journal_record&)>& next) override;
  [[nodiscard]] store_stats stats() const override { return disk_.stats(); }
  expected<store_stats> full_stats() override { return disk_.full_stats(); }
  [[nodiscard]] const journal_options& options() const noexcept override { return disk_.options(); }
  [[nodiscard]] bool short_of_room() const noexcept override { return node_->full; }
  [[nodiscard]] const error* failed() const noexcept override {
    return failed_ ? &*failed_ : nullptr;
  }

private:
  enum class fate { written, refused, unknown, stopped };

  [[nodiscard]] fate next_fate();
  [[nodiscard]] std::vector<expected<commit_receipt>> none(std::size_t requests, errc code) const;
  std::vector<expected<commit_receipt>> write(std::span<const commit_request> set);
  [[nodiscard]] std::vector<expected<commit_receipt>> planted_commit(
      std::span<const commit_request> requests);
  [[nodiscard]] expected<stored_entity> folded(stored_entity stored);

  [[nodiscard]] expected<void> may_read();

  disk& disk_;
  checker& checker_;
  event_checker& events_;
  dice& luck_;
  const plan& plan_;
  std::shared_ptr<node_disk> node_;
  std::optional<error> failed_;
  std::vector<commit_request> unwritten_;  // planted: answered and not yet written
};

}  // namespace troupe::simulation
