#include <troupe/state/folding.hpp>

#include "../support/model_compare.hpp"
#include "checker.hpp"

#include <algorithm>
#include <utility>

/// What time does by itself: keys that are forgotten and entities that are cleaned up.
namespace troupe::simulation {

namespace {

/// How long it may be left alone; 0: for ever.
std::int64_t allowed_ms(const cleanup& how, const model::entity& what) {
  return what.ttl_ms != 0 ? static_cast<std::int64_t>(what.ttl_ms) : how.max_age.count();
}

bool is_of(const cleanup& how, const entity_ref& entity) {
  return std::ranges::find(how.kinds, entity.kind) != how.kinds.end();
}

}  // namespace

bool checker::key_is_forgotten(const asked& what) const {
  return what.landed != 0 && what.landed_at.ms + answers_kept_ms <= now.clock.ms;
}

/// By a fork that lives and began before a step.
bool checker::is_forked(const entity_ref& parent, std::uint64_t before_step) const {
  return std::ranges::any_of(entities_, [&](const auto& x) {
    const auto& its = *x.second.expected.at(x.second.head);
    return its.live() && its.forked_from && its.forked_from->parent == parent
           && x.second.forked_step < before_step;
  });
}

/// A deletion that nobody asked for: of what is old enough, and no live fork's parent. A fork that
/// began while the cleaner walked may have come too late to be seen.
void checker::landed_by_the_cleaner(followed& in, const commit_request& request,
                                    const change& what) {
  const auto who = "the cleaner deletes " + to_string(request.entity) + ", which ";
  if (what.revision != request.sequence || request.sequence != in.head + 1)
    return violated(who + "is not at the revision before " + std::to_string(request.sequence));
  const auto& before = *in.expected.at(in.head);
  const auto allowed = allowed_ms(*cleaned, before);
  const auto age = what.at.ms - before.last_activity.ms;
  if (!before.live() || !is_of(*cleaned, request.entity))
    return violated(who + "is not for it");
  if (allowed == 0 || age < allowed)
    return violated(who + "was changed " + std::to_string(age) + " ms before and may live for "
                    + std::to_string(allowed));
  if (is_forked(request.entity, now.step - std::min(now.step, echo_steps)))
    return violated(who + "is a live fork's parent");
  command asked_for{.entity = request.entity, .operations = {erase{}}};
  auto expected = std::make_shared<model::entity>(before);
  const auto reply =
      model::carry_out(*expected, asked_for, context_of(in, asked_for, what.at, nullptr));
  auto state = std::make_shared<const entity_state>(evolve(*in.states.at(in.head), what));
  if (reply.refused)
    return violated(who + "cannot be deleted");
  if (const auto other = testing::disagreement(*expected, *state, request.entity, what.at, {});
      !other.empty())
    return violated(who + "is something else then: " + other);
  in.head = request.sequence;
  in.states.emplace(in.head, std::move(state));
  in.expected.emplace(in.head, expected);
  in.kept.emplace(in.head, std::move(expected));
  in.landed_at.emplace(in.head, ++landings_);
  ++cleanings;
}

void checker::nothing_old_is_left() {
  for (const auto& [ref, in] : entities_) {
    const auto& is = *in.expected.at(in.head);
    const auto allowed = allowed_ms(*cleaned, is);
    if (is.live() && is_of(*cleaned, ref) && allowed != 0
        && now.clock.ms - is.last_activity.ms > 2 * allowed && !is_forked(ref, now.step + 1))
      violated(to_string(ref) + " was not cleaned up");
  }
}

}  // namespace troupe::simulation
