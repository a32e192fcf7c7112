#include "model_world.hpp"

#include <troupe/state/codec.hpp>
#include <troupe/state/json.hpp>

#include "fold.hpp"
#include "model_compare.hpp"

#include <algorithm>
#include <numeric>

namespace troupe::testing {

namespace {

constexpr std::size_t uncompressed = ~std::size_t{0};  // byte equality does not need zstd

emphasis any_emphasis(dice& luck) {
  switch (luck.below(4)) {
    case 0: return {10, 20, 20, 10};
    case 1: return {5, 20, 50, 5};
    case 2: return {5, 25, 10, 40};
    default: return {10, 10, 5, 5};
  }
}

std::vector<std::string> paths_in(const std::string& details) {
  std::vector<std::string> out;
  const auto list = value_from_json(details, {.depth = 128});  // deeper than what is in it
  if (!list)
    return {"no JSON"};
  for (auto c = list->view().children(); c.next();) {
    const auto path = c.item().find("path");
    out.emplace_back(path ? path->as_string().value_or("no text") : "no path");
  }
  return out;
}

template <class Op>
const Op* one_of(const command& what) {
  for (const auto& op : what.operations) {
    if (const auto* found = std::get_if<Op>(&op))
      return found;
  }
  return nullptr;
}

}  // namespace

world::world(entity_kind kind, dice luck) : luck_{luck}, maker_{luck_, any_emphasis(luck_)} {
  if (luck_.percent(50))
    inherited_ = maker_.any_policy();
  if (inherited_.loop_limit == 0u)
    inherited_.loop_limit.reset();
  for (const char* id : {"p", "bob", "a/b"}) {
    twins_.push_back({.ref = {"default", kind, id}, .states = {{0, entity_state{}}}});
    twins_.back().all_expected[0] = twins_.back().kept_expected[0] =
        std::make_shared<model::entity>();
    twins_.back().since[0] = {};
  }
}

std::vector<named_entity> world::names() const {
  std::vector<named_entity> out;
  for (const auto& one : twins_)
    out.push_back({one.ref, &one.states});
  return out;
}

std::string world::step() {
  luck_.turn();
  now_.ms += static_cast<std::int64_t>(luck_.percent(10) ? luck_.below(40) : luck_.below(3));
  auto& on = twins_[luck_.percent(60) ? 0 : luck_.below(twins_.size())];
  const auto all = names();
  const auto what = maker_.next({on.ref, &on.states}, all);
  story_.push_back(describe(what));
  auto fault = execute(on, what);
  if (fault.empty() && luck_.percent(10))  // also where nothing changed: time goes on
    fault = disagreement(on.expected, on.now(), on.ref, now_, inherited_);
  if (fault.empty() && luck_.percent(4))
    fault = prune(on);
  if (luck_.percent(3))
    witnesses_.push_back({on.now(), encode(on.now(), uncompressed)});
  return fault;
}

model::context world::model_context(const twin& on, const command& what) const {
  model::context out{.now = now_, .inherited = inherited_, .kept = &on.kept_expected};
  const auto look = [&](const entity_ref& ref,
                        const std::shared_ptr<const entity_state>& state) -> const model::entity* {
    for (const auto& one : twins_) {
      if (state && one.ref == ref)
        return one.all_expected.at(state->revision).get();
    }
    return nullptr;
  };
  if (const auto* fork = one_of<fork_from>(what))
    out.base = look(fork->parent, fork->base);
  if (const auto* merge = one_of<merge_fork>(what)) {
    out.base = look(merge->fork, merge->base);
    out.theirs = look(merge->fork, merge->theirs);
  }
  return out;
}

std::string world::execute(twin& on, const command& what) {
  const auto reply = model::carry_out(on.expected, what, model_context(on, what));
  const auto made =
      decide(on.now(), what,
             {.now = now_, .inherited = inherited_, .versions = &on.kept, .schemas = nullptr});
  if (!made) {
    const auto code = made.error().code;
    if (code != reply.refused)
      return "refused with " + std::string{to_string(code)} + " (" + made.error().message
             + "), expected "
             + (reply.refused ? std::string{to_string(*reply.refused)} : "to be accepted");
    if (code == errc::merge_conflict && paths_in(made.error().details) != reply.conflicts)
      return "other conflicts: " + made.error().details;
    if (code == errc::revision_conflict && made.error().current_revision != on.now().revision)
      return "a revision conflict does not tell the revision";
    return {};
  }
  if (reply.refused)
    return "accepted, expected " + std::string{to_string(*reply.refused)};
  if (const auto& a = made->answer; !(a == reply.answer))
    return "the outcome: expected revision " + std::to_string(reply.answer.revision)
           + (reply.answer.changed ? ", changed" : ", unchanged") + ", items "
           + std::to_string(reply.answer.first_seq) + " to " + std::to_string(reply.answer.last_seq)
           + ", removed " + std::to_string(reply.answer.removed) + "; found revision "
           + std::to_string(a.revision) + (a.changed ? ", changed" : ", unchanged") + ", items "
           + std::to_string(a.first_seq) + " to " + std::to_string(a.last_seq) + ", removed "
           + std::to_string(a.removed);
  if (auto fault = check_decision(on, what, *made); !fault.empty())
    return fault;
  if (!made->answer.changed)
    return {};
  accept(on, what, *made);
  for (const auto& other : twins_) {
    if (merge_base(on.now(), other.ref, other.now())
        != model::merge_base(on.expected, other.ref, other.expected))
      return "the next merge of " + to_string(other.ref) + " starts from another revision";
  }
  return disagreement(on.expected, on.now(), on.ref, now_, inherited_);
}

std::string world::check_decision(const twin& on, const command& what, const decision& made) const {
  const auto* fork = one_of<fork_from>(what);
  const bool forked = fork && !on.now().live();
  const auto& before = forked && made.answer.changed ? *fork->base : on.now();
  if (!(evolve(before, made.what) == made.next))
    return "the next state is not what the change makes of the state";
  if (!(outcome_of(made.what) == made.answer))
    return "the answer is not what the change says";
  if (made.what.asked_by != what.once || made.what.at != now_)
    return "the change does not say who asked or when";
  if (made.answer.changed == made.what.events.empty())
    return "a change without events, or events without a change";
  if (!made.answer.changed && !(made.next == on.now()))
    return "nothing changed and yet the state is another";
  const auto counted = std::max(on.now().revision, before.revision);  // a fork counts on
  if (made.what.revision != counted + (made.answer.changed ? 1 : 0))
    return "a change counts one revision";
  return {};
}

void world::accept(twin& on, const command& what, const decision& made) {
  record one{.change = encode(made.what, uncompressed), .parent = {}};
  if (std::holds_alternative<entity_forked>(made.what.events.front()))
    one.parent = encode(*one_of<fork_from>(what)->base, uncompressed);
  on.journal.push_back(std::move(one));
  const auto revision = made.next.revision;
  on.states[revision] = made.next;
  on.kept.push(made.next, now_);
  on.since[revision] = now_;
  on.all_expected[revision] = on.kept_expected[revision] =
      std::make_shared<model::entity>(on.expected);
}

std::string world::prune(twin& on) {
  std::vector<std::uint64_t> bases;
  for (const auto& other : twins_) {
    if (other.expected.live() && other.expected.forked_from
        && other.expected.forked_from->parent == on.ref)
      bases.push_back(other.expected.forked_from->at);
  }
  const auto keep = retention_of(on.now(), inherited_);
  const auto limits = model::rules_of(on.expected, inherited_);
  if (keep.last != limits.keep_revisions.value_or(100)
      || keep.max_age_ms != limits.keep_revisions_ms)
    return "the retention is not that of the policy";
  on.kept.prune(keep, now_, bases);
  std::map<std::uint64_t, timestamp> since;
  for (const auto& [revision, state] : on.kept_expected)
    since[revision] = on.since[revision];
  const auto wanted = model::promised(since, on.expected, keep, now_, bases);
  std::erase_if(on.kept_expected, [&](const auto& x) { return !wanted.contains(x.first); });
  const auto left = on.kept.revisions();
  story_.push_back("prune " + to_string(on.ref));
  if (!std::equal(left.begin(), left.end(), wanted.begin(), wanted.end()))
    return "other revisions are left than those promised";
  for (const auto& [revision, state] : on.states) {
    const auto* found = on.kept.at(revision);
    if ((found != nullptr) != wanted.contains(revision) || (found && !(*found == state)))
      return "revision " + std::to_string(revision) + " is not what it was";
  }
  return {};
}

// At the end of a sequence
// ------------------------------------------------------------------------------------------------

std::string world::end() {
  for (const auto& one : twins_) {
    if (auto fault = check_replay(one); !fault.empty())
      return fault;
    auto a = one.states.begin(), b = one.states.begin();
    std::advance(a, luck_.below(one.states.size()));
    std::advance(b, luck_.below(one.states.size()));
    for (const auto* other : {&b->second, &twins_[luck_.below(3)].now()}) {
      if (auto fault = fault_of_diff(a->second, *other); !fault.empty())
        return fault;
    }
  }
  for (const auto& [copy, bytes] : witnesses_) {
    if (encode(copy, uncompressed) != bytes)
      return "an older copy has changed";
  }
  return check_sets();
}

std::string world::check_replay(const twin& on) {
  const auto live = encode(on.now());
  entity_state state;
  std::string snapshot;
  std::vector<std::string> pending;
  const auto fold = [&] {
    auto folded = fold_whole(snapshot, pending);
    snapshot = folded ? *std::move(folded) : folded.error().message;
    pending.clear();
    return folded.has_value();
  };
  for (const auto& one : on.journal) {
    const auto what = decode_change(one.change);
    if (!what || encode(*what, uncompressed) != one.change)
      return "a change is read back as another";
    if (one.parent) {
      const auto parent = decode_entity(*one.parent);
      if (!parent || !fold())
        return "a snapshot cannot be read";
      state = *parent;
      snapshot = *one.parent;
    }
    state = evolve(std::move(state), *what);
    pending.push_back(one.change);
    if (luck_.percent(15) && !fold())
      return "changes cannot be folded: " + snapshot;
  }
  if (encode(state) != live)
    return "a replay gives other bytes";
  if (!fold() || snapshot != live)
    return "folding gives other bytes";
  const auto read = decode_entity(live);
  if (!read || !(*read == on.now()) || encode(*read) != live)
    return "a snapshot is read back as another state";
  return {};
}

std::string world::check_sets() {
  const auto all = names();
  std::vector<command> commands;
  std::vector<const entity_state*> states;
  std::vector<decide_context> contexts;
  const entity_state absent;
  const auto add = [&](command what, const entity_state& state, const kept_revisions* versions) {
    commands.push_back(std::move(what));
    states.push_back(&state);
    contexts.push_back({now_, inherited_, versions, nullptr});
  };
  for (const auto& one : twins_) {
    if (luck_.percent(70))
      add(maker_.next({one.ref, &one.states}, all), one.now(), &one.kept);
  }
  while (commands.size() < 8 && luck_.percent(80))
    add({.entity = {"default", static_cast<entity_kind>(commands.size() % 5 + 1),
                    "new" + std::to_string(luck_.below(10'000))},
         .operations = {create{}, luck_.percent(10) ? operation{undo{}} : drop_expired{}}},
        absent, nullptr);
  if (luck_.percent(5) && !commands.empty())
    for (const auto count : {8u, 9u}) {
      while (commands.size() < count)
        add(commands.front(), *states.front(), nullptr);
    }
  std::vector<std::size_t> order(commands.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return commands[a].entity < commands[b].entity; });
  std::optional<errc> refused;
  std::vector<std::optional<decision>> single(commands.size());
  if (commands.empty())
    refused = errc::malformed;
  else if (commands.size() > 8)
    refused = errc::too_many_elements;
  for (std::size_t i = 1; i < order.size() && !refused; ++i) {
    if (commands[order[i - 1]].entity == commands[order[i]].entity)
      refused = errc::invalid_value;
  }
  std::string culprit;
  for (std::size_t i = 0; i < order.size() && !refused; ++i) {
    auto one = decide(*states[order[i]], commands[order[i]], contexts[order[i]]);
    if (one)
      single[order[i]] = *std::move(one);
    else
      refused = one.error().code, culprit = "/changes/" + std::to_string(order[i]);
  }
  const auto together = decide_all(states, commands, contexts);
  if (refused)
    return !together && together.error().code == *refused
                   && together.error().path.starts_with(culprit)
               ? ""
               : "a set of changes is not refused as its first refusal is";
  if (!together || together->size() != commands.size())
    return "a set of changes is refused and none of its commands is";
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (!((*together)[i].next == single[i]->next) || !((*together)[i].answer == single[i]->answer))
      return "a command in a set means something else than alone";
  }
  return {};
}

}  // namespace troupe::testing
