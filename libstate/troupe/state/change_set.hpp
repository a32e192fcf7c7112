#pragma once

#include <troupe/state/decide.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

/// Several entities changed in one step: all of it or nothing. `runtime::execute_all` carries it
/// out; docs/adr/0012-change-sets.md says how.
namespace troupe {

/// One to eight entities of one namespace, each named once. What is not changed may be named, too:
/// a command without operations reads its entity at the moment of the set, and with
/// `expected_revision` it refuses the set when somebody else changed that entity. A set is durable,
/// whatever the levels of its commands say.
struct change_set {
  std::vector<command> commands{};
  /// For the set as a whole (the commands have none): every entity that it changes keeps it, so a
  /// repeat is known as long as one of them remembers.
  std::optional<idempotency> once{};
};

/// In the order of the commands. Of a repeat, an entity that the first one did not change answers
/// with what it is now.
struct change_set_result {
  std::vector<command_result> answers{};
  bool repeated = false;
};

/// The places of the commands in the order of their entities, which is the one that every set
/// reserves in. Errors: `malformed` (none), `too_many_elements`, `invalid_value` (an entity twice).
expected<std::vector<std::size_t>> set_order(std::span<const command> commands);

/// `set_order` of a set that can be carried out. Errors: also `invalid_value` (a second namespace,
/// a command with a key of its own), `bad_id`.
expected<std::vector<std::size_t>> checked_order(const change_set& what);

/// Decides one command of a set, which may have no operations.
expected<decision> decide_one(const entity_state& state, const command& what,
                              const decide_context& context);

/// What one command's error is for its set: with the entity, and its place in `error::path`.
[[nodiscard]] error refusal_of(std::size_t place, const entity_ref& entity, error why);

}  // namespace troupe
