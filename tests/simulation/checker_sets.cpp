#include <troupe/state/codec.hpp>

#include "checker.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace troupe::simulation {

namespace {

std::string name_of(const asked_set& what) {
  return "set " + std::to_string(what.id);
}

bool needs_another(const command& what) {
  return std::any_of(what.operations.begin(), what.operations.end(), [](const auto& op) {
    return std::holds_alternative<fork_from>(op) || std::holds_alternative<merge_fork>(op);
  });
}

/// The place of the command that was refused; absent: the set as a whole.
std::optional<std::size_t> place_of(const error& why) {
  constexpr std::string_view before = "/changes/";
  if (!why.path.starts_with(before))
    return {};
  return std::stoull(why.path.substr(before.size()));
}

}  // namespace

asked_set& checker::begin(change_set what) {
  asked_set out{.id = sets_.size() + 1};
  for (const auto& one : what.commands) {
    auto member = one;
    member.once = what.once;
    member.level = durability::durable;  // whatever it says
    auto& by = begin(std::move(member));
    by.set = out.id;
    out.members.push_back(by.id);
  }
  out.what = std::move(what);
  sets_.push_back(std::move(out));
  return sets_.back();
}

std::uint64_t checker::sets_landed() const {
  return static_cast<std::uint64_t>(std::ranges::count_if(sets_, &asked_set::landed));
}

sent_set checker::send(asked_set& what) {
  sent_set out{.id = what.id};
  for (const auto id : what.members) {
    auto& by = find(id);
    out.members.push_back(send(by));
    if (by.asked_times == 1)
      by.first_sent = out.members.back();
  }
  return out;
}

void checker::answered(const sent_set& what, const expected<change_set_result>& answer) {
  const auto& set = sets_.at(what.id - 1);
  if (told)
    told("answer of " + name_of(set) + ": "
         + (answer ? std::string{answer->repeated ? "repeated" : "made"}
                   : std::string{to_string(answer.error().code)} + " " + answer.error().path));
  if (!answer)
    return refused(what, answer.error());
  if (answer->answers.size() != set.members.size())
    return violated(name_of(set) + " has not one answer for each command");
  for (std::size_t i = 0; i < set.members.size(); ++i)
    answered(what.members[i], answer->answers[i]);
  if (violation_.empty() && !answer->repeated)
    see_one_moment(what, *answer);
}

/// All that a set answers was so at one moment: of each entity its revision had landed, and none
/// had that followed it.
void checker::see_one_moment(const sent_set& what, const change_set_result& answer) {
  std::uint64_t from = 0, until = std::numeric_limits<std::uint64_t>::max();
  for (std::size_t i = 0; i < what.members.size(); ++i) {
    auto& in = of(find(what.members[i].id).what.entity);
    const auto at = in.landed_at.upper_bound(answer.answers[i].revision);
    if (at != in.landed_at.end())
      until = std::min(until, at->second);
    if (at != in.landed_at.begin())
      from = std::max(from, std::prev(at)->second);
  }
  if (from >= until)
    violated(name_of(sets_.at(what.id - 1)) + " answers what was never so at one moment");
}

/// Wholly refused, for what one of its entities explains.
void checker::refused(const sent_set& what, const error& why) {
  const auto& set = sets_.at(what.id - 1);
  const auto place = place_of(why);
  bool explained = false;
  mix(static_cast<std::uint64_t>(why.code));
  unknown += why.code == errc::outcome_unknown ? 1 : 0;
  quarantined += why.code == errc::quarantined ? 1 : 0;
  for (std::size_t i = 0; i < set.members.size(); ++i) {
    auto& by = find(set.members[i]);
    if (!left_nothing(by, why))
      return;
    if (!place || *place == i || !is_callers_fault(why.code))
      explained = explained || explains(what.members[i], by, why);
  }
  if (!explained)
    violated(name_of(set) + " was answered " + std::string{to_string(why.code)} + " (" + why.message
             + ") at '" + why.path + "', which nothing since it was sent explains");
}

/// What the disk made in one step is one command, or all of one set that changes anything.
void checker::landed(std::span<const commit_request> together) {
  std::uint64_t set = 0;
  for (const auto& request : together) {
    landed(request);
    if (!violation_.empty())
      return;
    const auto what = decode_change(request.payload);
    const auto* by = author(*what, request.entity);
    const auto of_set = by == nullptr ? 0 : by->set;  // the cleaner makes none
    if (together.size() > 1 && (of_set == 0 || (set != 0 && set != of_set)))
      return violated("what was made together is not of one set");
    set = of_set;
  }
  if (set == 0)
    return;
  auto& whole = sets_.at(set - 1);
  if (std::exchange(whole.landed, true))
    return violated(name_of(whole) + " landed in parts");
  for (const auto id : whole.members)
    if (auto& by = find(id); by.landed == 0 && !changes_nothing(by))
      return violated(name_of(whole) + " landed without its command " + std::to_string(id) + " to "
                      + to_string(by.what.entity));
}

/// A part of a set that landed without it: it is so already, or its entity crashed once it had
/// decided and went on without the set.
bool checker::changes_nothing(asked& by) {
  auto& in = of(by.what.entity);
  if (in.faults != by.first_sent.faults && in.head != by.first_sent.head)
    return true;
  auto state = *in.expected.at(in.head);
  if (by.what.operations.empty())
    return !by.what.expected_revision
           || (state.live() && *by.what.expected_revision == state.revision);
  if (needs_another(by.what))
    return true;
  const auto with = context_of(in, by.what, now.clock, nullptr);
  const auto reply = model::carry_out(state, by.what, with);
  return !reply.refused && !reply.answer.changed;
}

}  // namespace troupe::simulation
