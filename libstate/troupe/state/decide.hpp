#pragma once

#include <troupe/state/commands.hpp>

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

/// The rules: what a command means for a state. Pure: time, ids, other states come in as arguments.
namespace troupe {

/// Earlier states of one entity, as far as they are kept; see versions.hpp.
class kept_revisions {
public:
  virtual ~kept_revisions() = default;
  /// The state right behind a revision; null when it is not kept.
  [[nodiscard]] virtual const entity_state* at(std::uint64_t revision) const = 0;
};

class schema_registry;

struct decide_context {
  timestamp now{};
  policy inherited{};                        ///< what the scopes above say
  const kept_revisions* versions = nullptr;  ///< for undo, redo and restore
  const schema_registry* schemas = nullptr;  ///< for entities that follow one
};

/// A tool call's verdict.
struct loop_verdict {
  std::string tool{};
  std::uint64_t count = 0;  ///< equal calls in a row, this one included; 0 when it is read-only
  std::uint64_t limit = 0;
  bool looping = false;
  friend bool operator==(const loop_verdict&, const loop_verdict&) = default;
};

struct usage_counters {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  [[nodiscard]] std::uint64_t total() const noexcept;  ///< saturates
  friend bool operator==(const usage_counters&, const usage_counters&) = default;
};
struct usage_report {
  usage_counters last{};
  usage_counters total{};
  std::uint64_t tool_calls = 0;
  std::optional<std::uint64_t> budget{};
  [[nodiscard]] bool over_budget() const noexcept { return budget && total.total() > *budget; }
  friend bool operator==(const usage_report&, const usage_report&) = default;
};

/// What the caller of a command learns. It is a function of the change (and of the entity's
/// revision when there was none), so that a repeat can be answered from the journal.
struct outcome {
  std::uint64_t revision = 0;  ///< after the command
  bool changed = false;        ///< false: everything was already so, and no revision was spent
  bool created = false;
  std::uint64_t first_seq = 0;  ///< of the appended items, else 0
  std::uint64_t last_seq = 0;
  std::uint64_t removed = 0;            ///< items
  std::optional<loop_verdict> loop{};   ///< of the last recorded call
  std::optional<usage_report> usage{};  ///< tokens only, after the last recorded usage

  friend bool operator==(const outcome&, const outcome&) = default;
};

[[nodiscard]] outcome outcome_of(const change& what);

/// An outcome together with the state that it is the outcome of; shared and immutable.
struct command_result : outcome {
  std::shared_ptr<const entity_state> state{};  ///< right behind this command
  bool durable = true;                          ///< and on disk
  bool repeated = false;                        ///< the answer to an earlier one of the same key
};

struct decision {
  change what{};        ///< without events when nothing is to change
  entity_state next{};  ///< `evolve(state, what)`; of a fork, `evolve(*base, what)`
  outcome answer{};     ///< `outcome_of(what)`
};

/// Decides a command, without changing anything. Errors: `not_found` (no live entity, or not for
/// this principal), `forbidden`, `wrong_scope`, `revision_conflict` (with the current revision),
/// those of its operations; of any: `wrong_type`, `invalid_value`, `reserved_field`, `too_large`,
/// `too_deep`, `too_many_elements`, `quota_exceeded`, `malformed`, `bad_id`, each with a path into
/// the operation where there is one.
expected<decision> decide(const entity_state& state, const command& what,
                          const decide_context& context);

/// May the principal read or write the entity? A team is also open to its members; a user's scope
/// to that user alone, whatever its shares say.
[[nodiscard]] bool may(const entity_state& state, const entity_ref& ref, const principal& who,
                       access wanted);

inline constexpr std::size_t max_changes_in_set = 8;  // then: too_many_elements

/// One atomic step over several entities (at most eight, each named once): all are decided in the
/// order of their refs, each against `states[i]` of `commands[i]`; the first refusal refuses all,
/// with the entity in `error::path`. The answers stand in the order of the commands.
expected<std::vector<decision>> decide_all(std::span<const entity_state* const> states,
                                           std::span<const command> commands,
                                           std::span<const decide_context> contexts);

}  // namespace troupe
