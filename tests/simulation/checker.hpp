#pragma once

#include <troupe/messages/messages.hpp>
#include <troupe/state/cleanup.hpp>

#include "../support/model.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace troupe::simulation {

namespace model = testing::model;
using state_ptr = std::shared_ptr<const entity_state>;

/// A moment of the simulation: a step of the scheduler, and the virtual clock.
struct moment {
  std::uint64_t step = 0;
  timestamp clock{};
};

/// One request on its way, with what was so when it was sent.
struct sent_command {
  std::uint64_t id = 0;
  moment at{};
  std::uint64_t head = 0, floor = 0, faults = 0;  ///< of its entity then
};
struct sent_read {
  entity_ref entity{};
  bool latest = false;
  moment at{};
  std::uint64_t floor = 0, faults = 0;
};
struct sent_set {
  std::uint64_t id = 0;
  std::vector<sent_command> members{};
};

/// A command that a client asked for, once or again and again under its key.
struct asked {
  std::uint64_t id = 0;
  command what{};
  std::uint64_t asked_times = 0;
  std::uint64_t open = 0;          ///< of these, how many may still make their change
  std::uint64_t parent_floor = 0;  ///< of a fork: what was shown of its parent when it was asked
  bool acknowledged = false;
  bool told_as_new = false;   ///< acknowledged, and not as a repeat
  std::uint64_t landed = 0;   ///< the revision it made; 0: none yet
  outcome made{};             ///< what it made, once landed
  timestamp landed_at{};      ///< by the clock
  std::uint64_t set = 0;      ///< that it is a part of; 0: none
  sent_command first_sent{};  ///< of a part of a set
};

/// A change set, whose commands are asked for together.
struct asked_set {
  std::uint64_t id = 0;
  change_set what{};
  std::vector<std::uint64_t> members{};  ///< ids of its commands, in their order
  bool landed = false;
};

/// What the promises allow. It sees what clients see, and each change the moment the disk has it;
/// it holds what every entity was at each revision twice: replayed from the disk's changes, and by
/// the naive model from the commands. The first thing that is not allowed is told in words and
/// stays.
///
/// One checker for a simulation, whatever crashes; that of the events stands beside it and is told
/// of the same moments.
class checker {
public:
  /// What is wrong; empty as long as nothing is.
  [[nodiscard]] const std::string& violation() const { return violation_; }
  void violated(const std::string& what);

  moment now{};  ///< moved by the simulation

  // What clients do and see --------------------------------------------------------------------

  /// A new command: it is found again on disk by its key, or by what it writes under "op".
  asked& begin(command what);
  asked& find(std::uint64_t id) { return asked_.at(id - 1); }
  [[nodiscard]] std::uint64_t begun() const { return asked_.size(); }
  [[nodiscard]] sent_command send(asked& what);
  void answered(const sent_command& what, const expected<command_result>& answer);

  /// An acknowledged key is used for another request.
  void answered_otherwise(const sent_command& what, const expected<command_result>& answer);

  /// Landed so long ago that its key is forgotten: asked again, it is another command.
  [[nodiscard]] bool key_is_forgotten(const asked& what) const;

  /// A change set: each of its commands is found on disk as any other.
  asked_set& begin(change_set what);
  asked_set& find_set(std::uint64_t id) { return sets_.at(id - 1); }
  [[nodiscard]] std::uint64_t sets_landed() const;
  [[nodiscard]] sent_set send(asked_set& what);
  void answered(const sent_set& what, const expected<change_set_result>& answer);

  [[nodiscard]] sent_read send_read(const entity_ref& entity, bool latest);
  void answered(const sent_read& what, const expected<state_snapshot>& answer);

  // What the disk does -------------------------------------------------------------------------

  /// In one step: a command, or a set.
  void landed(std::span<const commit_request> together);
  void landed(const commit_request& request);
  /// A change that does not follow what is stored was sent.
  void did_not_follow(const commit_request& request, std::uint64_t stored);
  /// From here on an entity's answers may say that something went wrong, and what was answered
  /// before it was on disk may be lost.
  void fault(const entity_ref& entity);
  void fault_of_all();
  void stopped() { stopped_ = true; }
  void full(bool is) { full_ = full_ || is; }

  // What happens to actors ---------------------------------------------------------------------

  void node_crashed();
  void scope_crashed(const entity_ref& entity);
  /// Nothing goes wrong from here on: all requests must succeed.
  void healed() { healed_ = true; }
  /// From here on until the node ends, requests may be answered `draining`.
  void drained() { draining_ = true; }
  /// Everything was written: what was answered before it was on disk is there now.
  void all_written();

  // Cleaning up: checker_time.cpp ----------------------------------------------------------------

  /// What may be deleted though no client asks for it.
  std::optional<cleanup> cleaned{};
  /// It was cleaned up again and again while nothing else happened.
  void nothing_old_is_left();

  [[nodiscard]] const std::map<std::uint64_t, state_ptr>& history(const entity_ref& entity) {
    return of(entity).states;
  }
  [[nodiscard]] std::uint64_t head(const entity_ref& entity) { return of(entity).head; }
  /// What an entity was at the newest revision up to this one, by the naive model.
  [[nodiscard]] const model::entity& model_at(const entity_ref& entity, std::uint64_t revision) {
    return *std::prev(of(entity).expected.upper_bound(revision))->second;
  }

  std::function<void(const std::string&)> told;  ///< the trace, where it is wanted
  std::uint64_t cleanings = 0;                   ///< entities that the cleaner deleted
  std::uint64_t quarantined = 0, unknown = 0, repeats = 0, mismatches = 0;  ///< answers
  std::uint64_t hash = 14695981039346656037u;  ///< of all that was seen
  void mix(std::uint64_t number);
  void mix(std::string_view text);

private:
  /// What was shown before it was on disk.
  struct early {
    std::uint64_t id = 0;  // 0: a read of what is pending
    std::uint64_t faults = 0;
    state_ptr state{};
  };
  struct followed {
    std::map<std::uint64_t, state_ptr> states{{0, std::make_shared<const entity_state>()}};
    model::past expected{{0, std::make_shared<const model::entity>()}};  // all there ever was
    model::past kept = expected;                                         // what undo may go to
    std::uint64_t head = 0;   // the newest revision on disk
    std::uint64_t floor = 0;  // the newest that was shown as committed
    std::multimap<std::uint64_t, early> shown{};
    std::uint64_t faults = 0;
    std::optional<std::uint64_t> faulty{};               // the step of the newest
    std::uint64_t newest_asked = 0;                      // of those that landed and were asked once
    std::size_t crashes = 0;                             // in this life
    std::uint64_t forked_step = 0;                       // when it began as a fork
    std::map<std::uint64_t, std::uint64_t> landed_at{};  // revisions, in the order of all
  };

  followed& of(const entity_ref& entity) { return entities_[entity]; }
  [[nodiscard]] asked* author(const change& what, const entity_ref& entity);
  [[nodiscard]] bool follow(followed& in, const commit_request& request, const change& what,
                            asked& by);
  void settle_shown(followed& in, const entity_ref& ref, const asked& by);
  [[nodiscard]] model::context context_of(followed& in, command& what, timestamp at,
                                          const change* made);
  void accepted(const sent_command& what, asked& by, const command_result& answer);
  void accepted_change(const sent_command& what, asked& by, const command_result& answer);
  void refused(const sent_command& what, asked& by, const error& why);
  [[nodiscard]] bool left_nothing(asked& by, const error& why);
  [[nodiscard]] bool explains(const sent_command& what, asked& by, const error& why);
  [[nodiscard]] bool excused(followed& in, const command* what, const moment& since,
                             const error& why) const;
  [[nodiscard]] bool is_right(const sent_command& what, asked& by, errc code);

  // Cleaning up: checker_time.cpp
  void landed_by_the_cleaner(followed& in, const commit_request& request, const change& what);
  [[nodiscard]] bool is_forked(const entity_ref& parent, std::uint64_t before_step) const;

  // Change sets: checker_sets.cpp
  void refused(const sent_set& what, const error& why);
  void see_one_moment(const sent_set& what, const change_set_result& answer);
  [[nodiscard]] bool changes_nothing(asked& by);

  std::string violation_;
  std::deque<asked> asked_;
  std::deque<asked_set> sets_;
  std::map<std::pair<std::string, entity_ref>, std::uint64_t> keyed_;  // ids, by key and entity
  std::uint64_t landings_ = 0;
  std::map<entity_ref, followed> entities_;
  std::optional<std::uint64_t> faulty_;  // the step of the newest fault of all
  bool stopped_ = false, full_ = false, healed_ = false, draining_ = false;
};

inline constexpr std::uint64_t echo_steps =
    600;  // something is felt: an actor ends, a walk goes on

[[nodiscard]] bool is_callers_fault(errc code);

}  // namespace troupe::simulation
