#pragma once

#include <troupe/messages/messages.hpp>
#include <troupe/state/decide.hpp>

#include <map>
#include <memory>
#include <optional>
#include <utility>

/// What a command needs beside the state it applies to: earlier revisions, and for forks and merges
/// another entity's. `scope` asks the store for it.
namespace troupe::internal {

/// The earlier states that were fetched for one command, and which one was asked for in vain.
class past final : public kept_revisions {
public:
  /// Those that need no fetching. They must live until the last `at` behind this.
  void know(const entity_state& durable, const entity_state& latest) {
    durable_ = &durable;
    latest_ = &latest;
  }

  [[nodiscard]] const entity_state* at(std::uint64_t revision) const override;

  void add(std::uint64_t revision, std::shared_ptr<const entity_state> state);
  /// Asked for and neither there nor known to be gone.
  [[nodiscard]] std::optional<std::uint64_t> missed() const { return missed_; }

private:
  const entity_state* durable_ = nullptr;
  const entity_state* latest_ = nullptr;
  std::map<std::uint64_t, std::shared_ptr<const entity_state>> found_;  // null: it is gone
  mutable std::optional<std::uint64_t> missed_;
};

/// A state to ask the store for.
struct lack {
  enum class of { own_past, parent, parent_past, fork, fork_past };
  of what;
  entity_ref entity;
  std::optional<std::uint64_t> revision{};  ///< absent: the newest
};

/// A fork that is to take the place of nothing, or of a deleted entity.
[[nodiscard]] bool begins_fork(const command& request, const entity_state& state);

/// The first state that a fork or a merge lacks; `state` is the entity it is asked of.
[[nodiscard]] std::optional<lack> first_lack(const command& request, const entity_state& state);

/// Puts what the store found where it belongs. Errors: the store's; `not_found` for a parent that
/// the principal may not read now, whatever it was at an earlier revision.
expected<void> supply(command& request, past& earlier, const lack& what,
                      expected<std::shared_ptr<const entity_state>> state);

/// A fork's base and a merge's pin.
void add_what_the_store_needs(commit_request& change, const command& request);

}  // namespace troupe::internal
