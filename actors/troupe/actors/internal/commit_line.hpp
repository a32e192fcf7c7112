#pragma once

/// One entity between decision and disk. Not installed.

#include <troupe/actors/internal/output_gate.hpp>
#include <troupe/actors/internal/pending_changes.hpp>
#include <troupe/actors/scope.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace troupe::internal {

/// The newest state, which runs ahead of the disk, the durable one behind it, the changes on their
/// way between them, and the answers that wait for these. Belongs to the entity's actor.
///
/// Commits are pipelined. A failed one takes back all that was decided upon it: the store refuses
/// what is on its way already, since it does not follow, and answers to it are of an older
/// generation. The actor's behaviour is one, and hears from itself what came of them.
class commit_line {
public:
  commit_line(scope_actor::pointer self, std::shared_ptr<live_entity> entity,
              std::shared_ptr<scope_surroundings> around)
      : self_{self},
        entity_{std::move(entity)},
        around_{std::move(around)} {}
  commit_line(const commit_line&) = delete;
  commit_line& operator=(const commit_line&) = delete;

  [[nodiscard]] scope_actor::pointer self() const noexcept { return self_; }
  [[nodiscard]] const entity_ref& entity() const noexcept { return entity_->name(); }
  [[nodiscard]] const std::shared_ptr<live_entity>& shared_entity() const noexcept {
    return entity_;
  }
  [[nodiscard]] scope_surroundings& around() const noexcept { return *around_; }

  /// What is published. Null until the entity is loaded, and when nothing is trusted any more.
  [[nodiscard]] const state_ptr& durable() const noexcept { return entity_->published(); }
  /// With changes that are on their way.
  [[nodiscard]] const state_ptr& latest() const noexcept {
    return flow_ ? flow_->latest : durable();
  }

  /// What was loaded, or what a set made. REQUIRES: nothing is on its way.
  void become(state_ptr state);

  // Answers ---------------------------------------------------------------------------------------

  /// What an answer needs that must not show less than is on its way to the disk now.
  [[nodiscard]] std::uint64_t all_sent() const { return flow_ ? flow_->pending.sent() : 0; }
  void leave_in_turn(reply&& what);
  [[nodiscard]] std::size_t answers() const { return flow_ ? flow_->replies.size() : 0; }
  /// Whether the command that made this revision is not answered yet.
  [[nodiscard]] bool holds_answer(std::uint64_t revision) const {
    return flow_ && flow_->replies.holds(revision);
  }
  /// Nobody may trust what was published, and nobody is answered otherwise any more.
  void give_up(const error& why);

  // Changes ---------------------------------------------------------------------------------------

  /// What the store is asked to write of a decision on the newest state.
  [[nodiscard]] commit_request to_be_stored(const decision& decided, const command& request) const;

  /// Becomes what was decided, and sends it as the level asks. The answer, which nobody has yet.
  [[nodiscard]] reply write(decision&& decided, const command& request);

  /// Changes of level `memory`, in front of one that is to be durable.
  void send_unwritten();
  [[nodiscard]] bool none_sent() const { return !flow_ || flow_->pending.none_sent(); }
  [[nodiscard]] bool all_durable_up_to(std::uint64_t revision) const {
    return !flow_ || flow_->pending.none_unwritten() || revision <= durable()->revision;
  }

  [[nodiscard]] bool at_rest() const {
    return !flow_ || (flow_->replies.empty() && flow_->pending.none());
  }
  /// Lets go of what an entity at rest does without. REQUIRES: it is at rest.
  void rest() { flow_.reset(); }

protected:
  /// However it ends, reads go to its successor from here on.
  ~commit_line() { entity_->end(); }

  // The actor, when something came back from the store
  // ----------------------------------------------------------------------------------------------

  virtual void on_durable() = 0;  ///< one commit more; the answers that waited for it have left
  virtual void on_lost() = 0;     ///< the newest state is the durable one again
  virtual void on_doubt(const error& why) = 0;  ///< nobody knows what is on disk

private:
  struct flow {
    flow(std::atomic<std::uint64_t>& relaxed_bytes, state_ptr newest)
        : pending{relaxed_bytes},
          latest{std::move(newest)} {}
    pending_changes pending;
    state_ptr latest;
    output_gate replies{};
  };
  flow& in_flow() {
    if (!flow_)
      flow_ = std::make_unique<flow>(around_->relaxed_bytes, durable());
    return *flow_;
  }

  void send(commit_request&& change, state_ptr after, timestamp now, bool relaxed);
  void on_committed(std::uint32_t generation);
  void on_commit_failed(std::uint32_t generation, const error& why);
  void deliver_ready();

  scope_actor::pointer self_;
  std::shared_ptr<live_entity> entity_;
  std::shared_ptr<scope_surroundings> around_;
  std::unique_ptr<flow> flow_;    // null at rest
  std::uint32_t generation_ = 0;  // grows with every reset
};

}  // namespace troupe::internal
