#include "checker.hpp"

#include <troupe/state/codec.hpp>
#include <troupe/state/versions.hpp>

#include "../support/model_compare.hpp"

#include <algorithm>
#include <utility>

namespace troupe::simulation {

namespace {

constexpr std::size_t crashes_allowed = 5;  // in a minute; then: quarantined

template <class Op>
Op* one_of(command& what) {
  for (auto& op : what.operations)
    if (auto* found = std::get_if<Op>(&op))
      return found;
  return nullptr;
}

template <class Event>
const Event* one_of(const change& what) {
  for (const auto& x : what.events)
    if (const auto* found = std::get_if<Event>(&x))
      return found;
  return nullptr;
}

}  // namespace

bool is_callers_fault(errc code) {
  return static_cast<int>(code) < 100;
}

void checker::mix(std::uint64_t number) {
  for (int i = 0; i < 8; ++i, number >>= 8)
    hash = (hash ^ (number & 0xff)) * 1099511628211u;
}

void checker::mix(std::string_view text) {
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
}

void checker::violated(const std::string& what) {
  if (told)
    told("VIOLATION: " + what);
  if (violation_.empty())
    violation_ = what;
}

// What clients do and see
// ------------------------------------------------------------------------------------------------

asked& checker::begin(command what) {
  asked_.push_back({.id = asked_.size() + 1, .what = std::move(what)});
  if (const auto& one = asked_.back(); one.what.once)
    keyed_.insert_or_assign(std::pair{one.what.once->key, one.what.entity}, one.id);
  return asked_.back();
}

sent_command checker::send(asked& what) {
  if (const auto* fork = one_of<fork_from>(what.what); fork && what.asked_times == 0)
    what.parent_floor = of(fork->parent).floor;
  ++what.asked_times;
  ++what.open;
  auto& in = of(what.what.entity);
  return {what.id, now, in.head, in.floor, in.faults};
}

void checker::answered(const sent_command& what, const expected<command_result>& answer) {
  auto& by = find(what.id);
  repeats += answer && answer->repeated ? 1 : 0;
  unknown += !answer && answer.error().code == errc::outcome_unknown ? 1 : 0;
  quarantined += !answer && answer.error().code == errc::quarantined ? 1 : 0;
  mix(what.id);
  mix(answer ? answer->revision : 1'000'000 + static_cast<std::uint64_t>(answer.error().code));
  if (told)
    told("answer " + std::to_string(what.id) + ' ' + to_string(by.what.entity) + ' '
         + (answer ? "revision " + std::to_string(answer->revision)
                         + (answer->changed ? "" : " unchanged") + (answer->durable ? "" : " early")
                         + (answer->repeated ? " repeated" : "")
                   : std::string{to_string(answer.error().code)}));
  if (answer)
    accepted(what, by, *answer);
  else
    refused(what, by, answer.error());
}

void checker::answered_otherwise(const sent_command& what, const expected<command_result>& answer) {
  const auto& by = find(what.id);
  const auto who = "the key of command " + std::to_string(by.id) + ", used for another request,";
  if (answer)
    return violated(who + " is answered");
  mix(static_cast<std::uint64_t>(answer.error().code));
  mismatches += answer.error().code == errc::idempotency_mismatch ? 1 : 0;
  if (answer.error().code != errc::idempotency_mismatch
      && !excused(of(by.what.entity), nullptr, what.at, answer.error()))
    violated(who + " is answered " + std::string{to_string(answer.error().code)} + " ("
             + answer.error().message + ')');
}

void checker::accepted(const sent_command& what, asked& by, const command_result& answer) {
  auto& in = of(by.what.entity);
  const auto who = "command " + std::to_string(by.id) + " to " + to_string(by.what.entity);
  if (answer.repeated && (by.asked_times == 1 || !by.what.once))
    return violated(who + " was asked once and answered as a repeat");
  if (by.what.level == durability::durable && !answer.durable)
    return violated(who + " is durable and its answer says that it is not");
  if (answer.changed)
    return accepted_change(what, by, answer);
  --by.open;
  if (by.landed != 0 && by.asked_times == 1)
    return violated(who + " made revision " + std::to_string(by.landed)
                    + " and answers that nothing changed");
  if (!answer.durable || by.what.level == durability::memory)
    return;
  if (answer.revision > in.head)
    return violated(who + " was told of revision " + std::to_string(answer.revision)
                    + ", which is not on disk");
  if (answer.revision < what.floor)
    return violated(who + " was told of revision " + std::to_string(answer.revision) + " after "
                    + std::to_string(what.floor) + " had been shown");
  in.floor = std::max(in.floor, answer.revision);
}

void checker::accepted_change(const sent_command& what, asked& by, const command_result& answer) {
  auto& in = of(by.what.entity);
  const auto who = "command " + std::to_string(by.id) + " to " + to_string(by.what.entity);
  const auto said = std::to_string(answer.revision);
  const bool for_sure = answer.durable || what.faults == in.faults;  // else it may be lost again
  if (by.landed != 0 && !for_sure)
    return;
  if (by.landed != 0) {
    --by.open;
    if (by.landed != answer.revision || !(by.made == static_cast<const outcome&>(answer)))
      return violated(who + " made revision " + std::to_string(by.landed) + " and answers " + said
                      + " or another outcome");
    // The answers of sets come from actors of their own, and that of a repeat may be the first.
    if ((by.set == 0 ? by.acknowledged : by.told_as_new) && !answer.repeated)
      return violated(who + " was answered before and this is not told as a repeat");
    if (!answer.repeated && answer.state && !(*answer.state == *in.states.at(answer.revision)))
      return violated(who + " answers with another state than its revision " + said + " has");
    by.acknowledged = true;
    by.told_as_new = by.told_as_new || !answer.repeated;
    in.floor = answer.durable ? std::max(in.floor, answer.revision) : in.floor;
    return;
  }
  if (answer.durable)
    return violated(who + " was acknowledged with revision " + said + ", which is not on disk");
  if (answer.revision <= in.head && what.faults == in.faults)
    return violated(who + " was answered early with revision " + said + ", which is another's");
  for (auto [at, end] = in.shown.equal_range(answer.revision); at != end; ++at)
    if (at->second.id != 0 && at->second.id != by.id && at->second.faults == in.faults
        && what.faults == in.faults)
      return violated(who + " was answered early with revision " + said + " as command "
                      + std::to_string(at->second.id) + " was");
  in.shown.emplace(answer.revision,
                   early{by.id, what.faults, answer.repeated ? nullptr : answer.state});
}

void checker::refused(const sent_command& what, asked& by, const error& why) {
  if (left_nothing(by, why) && !explains(what, by, why))
    violated("command " + std::to_string(by.id) + " to " + to_string(by.what.entity)
             + " was answered " + std::string{to_string(why.code)} + " (" + why.message
             + "), which nothing since it was sent explains");
}

bool checker::left_nothing(asked& by, const error& why) {
  const auto who = "command " + std::to_string(by.id) + " to " + to_string(by.what.entity);
  const auto said = std::string{to_string(why.code)} + " (" + why.message + ")";
  if (why.code != errc::outcome_unknown) {
    --by.open;
    if (by.landed != 0 && by.asked_times == 1)
      violated(who + " made revision " + std::to_string(by.landed) + " and was answered " + said);
  }
  if (is_callers_fault(why.code) && why.code != errc::in_flight && by.acknowledged)
    violated(who + " was acknowledged and then refused with " + said);
  return violation_.empty();
}

/// A state that it may have met refuses it so, or something went wrong that makes it a right
/// answer.
bool checker::explains(const sent_command& what, asked& by, const error& why) {
  if (!is_callers_fault(why.code))
    return excused(of(by.what.entity), &by.what, what.at, why);
  if (why.code == errc::in_flight)
    return by.open != 0 || by.asked_times != 1;
  return is_right(what, by, why.code);
}

/// One of the states it may have met refuses it so.
bool checker::is_right(const sent_command& what, asked& by, errc code) {
  auto& in = of(by.what.entity);
  auto request = by.what;
  if (one_of<fork_from>(request) || one_of<merge_fork>(request))
    return true;  // what it was decided upon is another entity's, at a moment nobody knows
  if (by.what.level != durability::durable && !in.shown.empty())
    return true;
  for (auto at = in.expected.lower_bound(what.head); at != in.expected.end(); ++at) {
    if (request.operations.empty()) {  // a set's guard
      if (code == errc::revision_conflict && request.expected_revision
          && !(at->second->live() && at->first == *request.expected_revision))
        return true;
      continue;
    }
    for (const auto clock : {what.at.clock, now.clock}) {
      auto state = *at->second;
      auto with = context_of(in, request, clock, nullptr);
      if (model::carry_out(state, request, with).refused == code)
        return true;
    }
  }
  return false;
}

/// Whether something went wrong that makes the answer a right one.
bool checker::excused(followed& in, const command* what, const moment& since,
                      const error& why) const {
  if (why.code
      == errc::quarantined)  // it may be told late of the last crash, and long of the first
    return !healed_ && in.crashes > crashes_allowed;
  if (why.code == errc::store_full && (!full_ || healed_))
    return false;
  if (why.code == errc::draining)
    return draining_;
  if (static_cast<int>(why.code) > static_cast<int>(errc::outcome_unknown))
    return false;
  if (healed_)
    return false;
  const auto felt = [&](const std::optional<std::uint64_t>& fault) {
    return fault && *fault + echo_steps >= since.step;
  };
  const bool of_others =
      what != nullptr
      && std::any_of(what->operations.begin(), what->operations.end(), [](const auto& op) {
           return std::holds_alternative<fork_from>(op) || std::holds_alternative<merge_fork>(op);
         });
  return stopped_ || felt(in.faulty) || (of_others && felt(faulty_));
}

sent_read checker::send_read(const entity_ref& entity, bool latest) {
  return {entity, latest, now, of(entity).floor, of(entity).faults};
}

void checker::answered(const sent_read& what, const expected<state_snapshot>& answer) {
  auto& in = of(what.entity);
  const auto who =
      std::string{what.latest ? "a read of the latest of " : "a read of "} + to_string(what.entity);
  mix(answer ? answer->state->revision : 1'000'000);
  if (told)
    told(who + ": "
         + (answer ? "revision " + std::to_string(answer->state->revision)
                   : std::string{to_string(answer.error().code)}));
  if (!answer) {
    if (!excused(in, nullptr, what.at, answer.error()))
      violated(who + " was answered " + std::string{to_string(answer.error().code)} + " ("
               + answer.error().message + ") though nothing went wrong");
    return;
  }
  const auto& found = answer->state;
  const auto said = std::to_string(found->revision);
  if (found->revision < what.floor)
    return violated(who + " shows revision " + said + " after " + std::to_string(what.floor)
                    + " had been shown");
  if (found->revision > in.head) {
    if (!what.latest)
      return violated(who + " shows revision " + said + ", which is not on disk");
    in.shown.emplace(found->revision, early{0, what.faults, found});
    return;
  }
  if (what.latest && what.faults != in.faults)
    return;  // it was on its way, and lost before the answer arrived
  const auto on_disk = in.states.find(found->revision);
  if (on_disk == in.states.end() || !(*on_disk->second == *found))
    return violated(who + " shows another state than revision " + said + " has");
  if (!what.latest)
    in.floor = std::max(in.floor, found->revision);
}

// What the disk does
// ------------------------------------------------------------------------------------------------

void checker::landed(const commit_request& request) {
  const auto what = decode_change(request.payload);
  const auto where =
      "revision " + std::to_string(request.sequence) + " of " + to_string(request.entity);
  mix(where);
  mix(request.payload);
  if (!what)
    return violated(where + " cannot be read: " + what.error().message);
  auto* by = author(*what, request.entity);
  if (told)
    told("landed " + where + (by ? " by command " + std::to_string(by->id) : ""));
  auto& in = of(request.entity);
  if (by == nullptr && cleaned && !what->asked_by && what->events.size() == 1
      && std::holds_alternative<entity_deleted>(what->events.front()))
    return landed_by_the_cleaner(in, request, *what);
  if (by == nullptr || by->what.entity != request.entity)
    return violated(where + " is no command's that was sent to it");
  if (what->revision != request.sequence
      || (request.base ? request.sequence <= in.head : request.sequence != in.head + 1))
    return violated(where + " holds revision " + std::to_string(what->revision) + " and follows "
                    + std::to_string(in.head));
  const auto who = where + " by command " + std::to_string(by->id);
  if (by->landed != 0)
    return violated(who + ", which made revision " + std::to_string(by->landed) + " before");
  if (by->open == 0)
    return violated(who + ", which was refused, or was sent before a crash");
  if (by->asked_times == 1 && by->set == 0) {  // a set waits for all its entities
    if (by->id < in.newest_asked)
      return violated(who + " behind a command that was sent later");
    in.newest_asked = by->id;
  }
  if (!follow(in, request, *what, *by))
    return;
  in.head = by->landed = request.sequence;
  in.landed_at.emplace(request.sequence, ++landings_);
  by->made = outcome_of(*what);
  by->landed_at = what->at;
  settle_shown(in, request.entity, *by);
}

asked* checker::author(const change& what, const entity_ref& entity) {
  std::uint64_t id = 0;
  if (what.asked_by)
    if (const auto at = keyed_.find({what.asked_by->key, entity}); at != keyed_.end())
      id = at->second;
  for (const auto& x : what.events)
    if (const auto* set = std::get_if<entry_set>(&x);
        !what.asked_by && set != nullptr && set->in == section::state && set->key == "op")
      id = set->data.view().as_uint64().value_or(0);
  return id == 0 || id > asked_.size() ? nullptr : &find(id);
}

/// The states of the entities that a fork or a merge is decided with.
model::context checker::context_of(followed& in, command& what, timestamp at, const change* made) {
  model::context out{.now = at, .inherited = {}, .kept = &in.kept};
  if (made == nullptr)
    return out;
  const auto* forked = one_of<entity_forked>(*made);
  if (auto* fork = one_of<fork_from>(what); fork && forked) {
    auto& parent = of(forked->from->parent);
    fork->base = parent.states.at(forked->from->at);
    out.base = parent.expected.at(forked->from->at).get();
  }
  const auto* merged = one_of<fork_merged>(*made);
  if (auto* merge = one_of<merge_fork>(what); merge && merged) {
    auto& fork = of(merged->fork);
    out.theirs = fork.expected.at(merged->revision).get();
    const auto from = model::merge_base(*in.expected.at(in.head), merged->fork, *out.theirs);
    out.base = fork.expected.at(from).get();
    merge->theirs = fork.states.at(merged->revision);
    merge->base = fork.states.at(from);
  }
  return out;
}

/// The change is what the command means, wholly, for the state it follows.
bool checker::follow(followed& in, const commit_request& request, const change& what, asked& by) {
  const auto who = "revision " + std::to_string(request.sequence) + " of "
                   + to_string(request.entity) + " by command " + std::to_string(by.id);
  const auto* forked = one_of<entity_forked>(what);
  if (forked && (of(forked->from->parent).states.count(forked->from->at) == 0)) {
    violated(who + " forks a revision that is not on disk");
    return false;
  }
  auto asked_for = by.what;
  if (const auto* fork = one_of<fork_from>(asked_for);
      fork && forked && fork->at == 0 && forked->from->at < by.parent_floor) {
    violated(who + " forks revision " + std::to_string(forked->from->at) + " after "
             + std::to_string(by.parent_floor) + " had been shown");
    return false;
  }
  const auto with = context_of(in, asked_for, what.at, &what);
  const auto& before =
      forked ? of(forked->from->parent).states.at(forked->from->at) : in.states.at(in.head);
  auto state = std::make_shared<const entity_state>(evolve(*before, what));
  auto expected = std::make_shared<model::entity>(*in.expected.at(in.head));
  const auto reply = model::carry_out(*expected, asked_for, with);
  if (reply.refused) {
    violated(who + " had to be refused with " + std::string{to_string(*reply.refused)});
    return false;
  }
  if (!(reply.answer == outcome_of(what))) {
    violated(who + " has another outcome than its command");
    return false;
  }
  if (const auto other = testing::disagreement(*expected, *state, request.entity, what.at, {});
      !other.empty()) {
    violated(who + " is not what its command means: " + other);
    return false;
  }
  if (forked) {
    in.kept.clear();
    in.forked_step = now.step;
  }
  in.states.emplace(request.sequence, std::move(state));
  in.expected.emplace(request.sequence, expected);
  in.kept.emplace(request.sequence, expected);
  return true;
}

/// What was shown of this revision before it was on disk has to be what is there now, unless
/// something went wrong in between.
void checker::settle_shown(followed& in, const entity_ref& ref, const asked& by) {
  for (auto at = in.shown.begin(); at != in.shown.end() && at->first <= in.head;
       at = in.shown.erase(at)) {
    const auto& [revision, one] = *at;
    const auto said = "revision " + std::to_string(revision) + " of " + to_string(ref);
    if (one.faults != in.faults)
      continue;
    if (one.id != 0 && find(one.id).landed != revision)
      violated(said + " was answered to command " + std::to_string(one.id)
               + " and is another's though nothing went wrong");
    else if (one.state && in.states.count(revision) != 0 && revision == by.landed
             && !(*one.state == *in.states.at(revision)))
      violated(said + " was shown with another state before it was on disk");
  }
}

void checker::did_not_follow(const commit_request& request, std::uint64_t stored) {
  auto& in = of(request.entity);
  const auto what =
      "revision " + std::to_string(request.sequence) + " of " + to_string(request.entity);
  mix(what);
  if (told)
    told(what + " does not follow " + std::to_string(stored));
  // What an actor proposed to a set before it ended in doubt may come behind its successor's
  // change.
  const auto change = decode_change(request.payload);
  const auto* by = change ? author(*change, request.entity) : nullptr;
  const bool of_set = by != nullptr && by->set != 0;
  if (!request.base && request.sequence <= stored && !of_set)
    return violated(what + " was written twice: there are two writers");
  if (in.faults == 0)
    return violated(what + " does not follow " + std::to_string(stored)
                    + " though nothing went wrong");
  fault(request.entity);
}

void checker::fault(const entity_ref& entity) {
  auto& in = of(entity);
  ++in.faults;
  in.faulty = faulty_ = now.step;
}

void checker::fault_of_all() {
  for (auto& [ref, in] : entities_)
    fault(ref);
}

// What happens to actors
// ------------------------------------------------------------------------------------------------

void checker::node_crashed() {
  fault_of_all();
  for (auto& one : asked_)
    one.open = 0;
  for (auto& [ref, in] : entities_) {
    in.crashes = 0;  // the next life does not know of them
    in.faulty.reset();
    in.newest_asked = 0;
  }
  faulty_.reset();
  stopped_ = draining_ = false;
}

void checker::scope_crashed(const entity_ref& entity) {
  fault(entity);
  ++of(entity).crashes;
}

void checker::all_written() {
  for (auto& [ref, in] : entities_)
    for (const auto& [revision, one] : in.shown)
      if (one.id != 0 && one.faults == in.faults && find(one.id).landed == 0)
        violated("command " + std::to_string(one.id) + " to " + to_string(ref)
                 + " was answered with revision " + std::to_string(revision)
                 + " and lost though nothing went wrong");
}

}  // namespace troupe::simulation
