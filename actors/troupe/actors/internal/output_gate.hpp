#pragma once

/// The answers of one entity that wait for the disk. Not installed.

#include <troupe/actors/internal/asker.hpp>
#include <troupe/actors/internal/short_queue.hpp>
#include <troupe/messages/messages.hpp>

#include <cstdint>
#include <memory>
#include <utility>
#include <variant>

namespace troupe::internal {

using state_ptr = std::shared_ptr<const entity_state>;
using any_asker =
    std::variant<asker<command_result>, asker<state_snapshot>, asker<member_decision>>;

void refuse(any_asker& who, const error& why);

/// An answer that may leave once as many commits as it `needs` are durable.
struct reply {
  std::uint64_t needs = 0;
  expected<outcome> answer{};  ///< of a read nothing but the state
  state_ptr state{};           ///< of an answer that does not wait for its own commit
  bool durable = true;
  bool repeated = false;
  any_asker to{};
};

/// Nothing leaves an entity's actor, refusals and reads included, before every change it was
/// decided upon is durable, unless the caller asked for less; and nothing overtakes what was asked
/// before it.
class output_gate {
public:
  [[nodiscard]] bool empty() const noexcept { return replies_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return replies_.size(); }

  void add(reply&& what) { replies_.push(std::move(what)); }

  /// So many commits are durable, and `state` with them: answers everything in front of the next
  /// that is still on its way.
  void open(std::uint64_t durable, const state_ptr& state);

  /// Whether the command that made this revision waits here for its answer.
  [[nodiscard]] bool holds(std::uint64_t revision) const;

  /// What was asked is lost. With a state, reads are answered with it.
  void refuse_all(const error& why, const state_ptr& state = nullptr);

private:
  short_queue<reply> replies_;
};

}  // namespace troupe::internal
