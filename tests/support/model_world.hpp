#pragma once

#include <troupe/state/versions.hpp>

#include "model.hpp"
#include "model_commands.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// A few entities of one kind, each kept twice: as the product has it and as the naive model has
/// it. Every command goes to both; the first disagreement is told in words and ends the sequence.
namespace troupe::testing {

class world {
public:
  world(entity_kind kind, std::uint64_t seed) : world{kind, dice{seed}} {}
  world(entity_kind kind, dice luck);

  /// One random command to one random entity. What disagreed, or nothing.
  [[nodiscard]] std::string step();

  /// What holds of a history as a whole: replay from the beginning, folding in cuts, snapshots, old
  /// copies, differences, sets of changes.
  [[nodiscard]] std::string end();

  /// Of a world that bytes drive: they are spent.
  [[nodiscard]] bool luck_is_out() const { return luck_.spent(); }

  /// The commands so far, oldest first.
  [[nodiscard]] const std::vector<std::string>& story() const { return story_; }

private:
  struct record {
    std::string change;                 // as the journal has it
    std::optional<std::string> parent;  // the snapshot that a fork's first change applies to
  };
  struct twin {
    entity_ref ref;
    std::map<std::uint64_t, entity_state> states;  // all, also those that are not kept any more
    timeline kept{entity_state{}};
    model::entity expected{};
    model::past all_expected{}, kept_expected{};
    std::map<std::uint64_t, timestamp> since{};
    std::vector<record> journal{};

    [[nodiscard]] const entity_state& now() const { return states.rbegin()->second; }
  };
  struct witness {
    entity_state copy;
    std::string bytes;
  };

  [[nodiscard]] std::string execute(twin& on, const command& what);
  [[nodiscard]] model::context model_context(const twin& on, const command& what) const;
  [[nodiscard]] std::string check_decision(const twin& on, const command& what,
                                           const decision& made) const;
  void accept(twin& on, const command& what, const decision& made);
  [[nodiscard]] std::string prune(twin& on);
  [[nodiscard]] std::string check_replay(const twin& on);
  [[nodiscard]] std::string check_sets();
  [[nodiscard]] std::vector<named_entity> names() const;

  dice luck_;
  command_maker maker_;
  policy inherited_{};
  timestamp now_{1'000'000};
  std::deque<twin> twins_{};
  std::vector<witness> witnesses_{};
  std::vector<std::string> story_{};
};

}  // namespace troupe::testing
