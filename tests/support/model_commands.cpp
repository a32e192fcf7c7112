#include "model_commands.hpp"

#include <troupe/state/json.hpp>
#include <troupe/state/versions.hpp>

#include "naive.hpp"

#include <limits>

namespace troupe::testing {

// Small things
// ------------------------------------------------------------------------------------------------

namespace {

const std::string not_text = "\xff", long_id(257, 'k');

value nested(std::size_t levels) {
  value_writer out;
  for (std::size_t i = 0; i < levels; ++i)
    out.begin_array(1);
  return out.null().finish();
}

/// What no reader could give back, or no entity keeps, or only just.
const value& bad_value(dice& luck) {
  static const value all[] = {nested(65),
                              nested(64),
                              nested(63),
                              value{not_text},
                              value{std::numeric_limits<double>::infinity()},
                              value{std::string(256 * 1024, 'x')}};
  return all[luck.below(std::size(all))];
}

}  // namespace

std::string command_maker::key() {
  if (luck_.percent(2))
    return luck_.one_of({long_id, not_text, std::string(256, 'k')});
  return luck_.one_of<std::string>({"a", "b", "c", "d", "", "x/y~z"});
}

std::string command_maker::id() {
  if (luck_.percent(2))
    return luck_.one_of<std::string>({"", long_id, not_text, "tab\t"});
  return luck_.one_of<std::string>({"n1", "n2", "n3", "n4", "a/b"});
}

std::string command_maker::user() {
  if (luck_.percent(1))
    return id();
  return luck_.one_of<std::string>({"ann", "bob", "cay"});
}

std::string command_maker::text() {
  if (luck_.percent(1))
    return luck_.one_of({not_text, std::string(64 * 1024 + 1, 't')});
  return luck_.one_of<std::string>({"", "one", "two"});
}

value command_maker::any(int depth) {
  if (luck_.percent(1))
    return bad_value(luck_);
  if (depth > 0 && luck_.percent(25))
    return small_map();
  if (depth > 0 && luck_.percent(25))
    return array_of(values());
  switch (luck_.below(9)) {
    case 0: return {};
    case 1: return value{luck_.percent(50)};
    case 2: return value{0.5};
    case 3: return value{std::numeric_limits<std::int64_t>::min()};
    case 4: return value{std::numeric_limits<std::uint64_t>::max()};
    case 5: return value{1.7e308};
    case 6: return value{luck_.one_of({"one", "two", "a text that does not stand inside"})};
    default: return value{static_cast<std::int64_t>(luck_.below(7)) - 3};
  }
}

value command_maker::small_map() {
  members out;
  for (const char* name : {"a", "b", "c"}) {
    if (luck_.percent(40))
      out.insert(luck_.percent(50) ? out.begin() : out.end(), {name, any(1)});
  }
  return map_of(out);
}

std::vector<value> command_maker::values() {
  std::vector<value> out;
  for (auto n = luck_.below(4); n > 0; --n)
    out.push_back(any(1));
  return out;
}

std::vector<std::string> command_maker::tags() {
  if (luck_.percent(1))
    return std::vector<std::string>(65, "t");
  std::vector<std::string> out;
  for (auto n = luck_.below(3); n > 0; --n)
    out.push_back(id());
  return out;
}

std::vector<share> command_maker::shares() {
  if (luck_.percent(1))
    return std::vector<share>(65, share{"ann"});
  if (luck_.percent(10))
    return {{"ann", access::read}, {"ann", access::write}};
  std::vector<share> out;
  for (auto n = luck_.below(3); n > 0; --n)
    out.push_back({user(), luck_.one_of({access::read, access::write})});
  return out;
}

std::optional<std::uint64_t> command_maker::ttl() {
  return maybe(luck_.one_of<std::uint64_t>({0, 1, 5, 20, 60, ~0ull}), 40);
}

/// One that there was, or one near.
std::uint64_t command_maker::revision() {
  if (luck_.percent(10))
    return luck_.below(1000);
  return now_->revision - std::min(now_->revision, luck_.below(12));
}

policy command_maker::any_policy() {
  const auto number = [&](std::initializer_list<std::uint64_t> of) {
    return maybe(luck_.one_of(of), 30);
  };
  return {.loop_limit = luck_.percent(3) ? 0 : number({1, 2, 3}),
          .token_budget = number({0, 100}),
          .checkpoint_every = number({0, 1, 2, 3}),
          .keep_checkpoints = number({0, 1, 2}),
          .keep_revisions = luck_.percent(3) ? 0 : number({1, 4, 10}),
          .keep_revisions_ms = number({0, 30, 200, ~0ull})};
}

entity_info command_maker::any_info() {
  entity_info out{.user = luck_.percent(60) ? user() : std::string{},
                  .workflow = luck_.percent(10) ? id() : std::string{},
                  .team = luck_.percent(10) ? id() : std::string{},
                  .placement = luck_.percent(20) ? id() : std::string{},
                  .ttl_ms = ttl().value_or(0)};
  if (luck_.percent(10))
    out.schema = schema_id{id(), static_cast<std::uint32_t>(luck_.below(2) + 1)};
  if (luck_.percent(40))
    out.limits = any_policy();
  if (luck_.percent(30))
    out.metadata = luck_.percent(5) ? any() : small_map();
  if (luck_.percent(30))
    out.tags = tags();
  if (luck_.percent(40))
    out.shares = shares();
  return out;
}

// Operations
// ------------------------------------------------------------------------------------------------

operation command_maker::of_description() {
  switch (luck_.below(9)) {
    case 0: return create{any_info(), luck_.percent(50)};
    case 1: return luck_.percent(40) ? operation{erase{}} : operation{migrate_state{}};
    case 2:
    case 3: return drop_expired{};
    default: break;
  }
  update_info out;
  out.metadata_patch = maybe(luck_.percent(5) ? any() : small_map(), 40);
  out.tags = maybe(tags(), 20);
  out.shares = maybe(shares(), 25);
  out.workflow = maybe(luck_.percent(50) ? id() : std::string{}, 10);
  out.team = maybe(luck_.percent(50) ? id() : std::string{}, 10);
  out.ttl_ms = maybe(ttl().value_or(0), 10);
  out.limits = maybe(luck_.percent(70) ? any_policy() : policy{}, 25);
  return out;
}

state_op command_maker::any_state_op() {
  const auto name = key();
  const auto* held = find(*now_, section::state, name, {});
  const auto wanted = maybe(held && luck_.percent(60) ? held->revision : luck_.below(4), 25);
  const auto type = held ? held->data.type() : value_type::null;
  if (held && luck_.percent(30)) {
    if (type == value_type::integer)
      return add_to{name, value{luck_.below(3)}};
    if (type == value_type::array)
      return union_with{name, values()};
    return set_key{name, value{luck_.below(3)}, ttl(), wanted};
  }
  switch (luck_.below(8)) {
    case 0: return delete_key{name, wanted};
    case 1:
    case 2: return add_to{name, luck_.percent(80) ? value{luck_.below(3)} : any()};
    case 3: return union_with{name, values()};
    case 4: return append_to{name, values()};
    case 5:
      return compare_and_set{
          name, luck_.percent(70) && held ? std::optional{held->data} : maybe(any()), any()};
    default: return set_key{name, any(), ttl(), wanted};
  }
}

operation command_maker::of_state() {
  switch (luck_.below(12)) {
    case 0:
    case 1: return merge_state{luck_.percent(5) ? any() : small_map()};
    case 2: return clear_state{};
    case 3: return drop_expired{};
    default: break;
  }
  patch_state out;
  for (auto n = luck_.percent(3) ? 0 : luck_.below(3) + 1; n > 0; --n)
    out.ops.push_back(any_state_op());
  return out;
}

operation command_maker::of_versions() {
  const auto steps = luck_.percent(3) ? 0 : luck_.below(4) + 1;
  const auto pin = luck_.percent(5) ? "auto-7" : id();
  switch (luck_.below(10)) {
    case 0:
    case 1: return create_checkpoint{pin, text(), tags(), luck_.percent(3) ? any() : small_map()};
    case 2: return delete_checkpoint{pin};
    case 3:
    case 4:
    case 5: return undo{steps};
    case 6:
    case 7:
      if (now_->redo.is_null() && luck_.percent(85))
        return undo{1};
      return redo{std::min(steps, now_->redo.view().size() + luck_.below(2))};
    case 8: return restore{revision()};
    default: {
      const auto pins = checkpoints_of(*now_);
      return restore{pins.empty() ? pin : pins[luck_.below(pins.size())].id};
    }
  }
}

namespace {

const entity_state& newest(const named_entity& e) {
  return e.states->rbegin()->second;
}

std::shared_ptr<const entity_state> state_of(const named_entity& e, std::uint64_t at) {
  const auto found = e.states->find(at);
  return found == e.states->end() ? nullptr : std::make_shared<const entity_state>(found->second);
}

}  // namespace

operation command_maker::fork_of_another() {
  const auto* parent = &(*all_)[luck_.below(all_->size())];
  if (!newest(*parent).live() && luck_.percent(80))
    parent = &all_->front();
  const auto last = newest(*parent).revision;
  return fork_from{
      parent->ref,
      state_of(*parent, last - std::min(last, luck_.one_of<std::uint64_t>({0, 0, 1, 2, 7})))};
}

/// Mostly of one that is a fork.
operation command_maker::merge_of_another() {
  const auto* fork = &(*all_)[luck_.below(all_->size())];
  for (const auto& one : *all_) {
    const auto from = lineage_of(newest(one));
    if (from && from->parent == target_->ref && luck_.percent(70))
      fork = &one;
  }
  merge_fork out{.fork = fork->ref,
                 .base = state_of(*fork, merge_base(*now_, fork->ref, newest(*fork))),
                 .theirs = state_of(*fork, newest(*fork).revision),
                 .strategy = luck_.one_of(
                     {merge_strategy::refuse, merge_strategy::ours, merge_strategy::theirs})};
  if (luck_.percent(1))
    out.base = nullptr;
  return out;
}

operation command_maker::of_forks() {
  return !now_->live() || luck_.percent(3) ? fork_of_another() : merge_of_another();
}

operation command_maker::any_operation() {
  auto point = luck_.below(100);
  const auto falls_in = [&](std::uint64_t share) {
    const bool in = point < share;
    point -= in ? 0 : share;
    return in;
  };
  if (falls_in(about_.description))
    return of_description();
  if (falls_in(about_.state))
    return of_state();
  if (falls_in(about_.versions))
    return of_versions();
  if (falls_in(about_.forks))
    return of_forks();
  switch (luck_.percent(4) ? static_cast<entity_kind>(luck_.below(5) + 1) : target_->ref.kind) {
    case entity_kind::session: return of_session();
    case entity_kind::workflow: return of_workflow();
    case entity_kind::team: return of_team();
    default: return of_state();
  }
}

command command_maker::next(const named_entity& target, const std::vector<named_entity>& all) {
  target_ = &target;
  all_ = &all;
  now_ = &target.states->rbegin()->second;
  command out{.entity = target.ref};
  if (luck_.percent(15))
    out.by = {luck_.one_of<std::string>({"ann", "bob", "cay", ""}), false};
  if (luck_.percent(5))
    out.expected_revision = luck_.percent(50) ? now_->revision : revision();
  if (luck_.percent(20))
    out.once = idempotency{user(), key(), "hash"};
  if (luck_.below(500) == 0) {
    out.operations.assign(luck_.percent(50) ? 0 : 1'001, drop_expired{});
    return out;
  }
  if (!now_->live() && luck_.percent(95)) {
    const bool fork = target_ != &all.front() && newest(all.front()).live() && luck_.percent(75);
    out.operations.push_back(fork ? fork_of_another() : create{any_info(), luck_.percent(50)});
  }
  if (target.ref.kind == entity_kind::session && luck_.below(150) == 0) {
    out.operations.assign(luck_.below(70), record_call{"read", value{1}, luck_.percent(80)});
    out.operations.push_back(record_call{"run", value{1}, luck_.percent(50)});
  }
  if (out.operations.empty())
    out.operations.push_back(last_ && luck_.percent(8) ? *last_ : any_operation());
  const auto& first = out.operations.front();
  const bool alone = std::holds_alternative<undo>(first) || std::holds_alternative<redo>(first)
                     || std::holds_alternative<restore>(first)
                     || std::holds_alternative<merge_fork>(first);
  while (luck_.percent(alone ? 3 : 25))
    out.operations.push_back(any_operation());
  last_ = out.operations.back();
  return out;
}

std::string describe(const command& what) {
  static const char* const names[] = {
      "create",        "erase",        "update_info",     "patch_state",       "merge_state",
      "clear_state",   "drop_expired", "migrate_state",   "create_checkpoint", "delete_checkpoint",
      "undo",          "redo",         "restore",         "fork_from",         "merge_fork",
      "append_items",  "pop_items",    "clear_items",     "record_usage",      "reset_usage",
      "put_todos",     "patch_todos",  "record_call",     "reset_calls",       "update_notebook",
      "define_nodes",  "update_node",  "cancel_workflow", "resume_workflow",   "add_member",
      "remove_member", "send_message", "acknowledge",     "drop_delivered",    "drop_oldest_items"};
  static_assert(std::size(names) == std::variant_size_v<operation>);
  auto out = to_string(what.entity) + (what.by.trusted ? "" : " by '" + what.by.user + "'") + ":";
  for (const auto& op : what.operations) {
    if (out.size() > 400)
      return out + " ...";
    out += std::string{" "} + names[op.index()];
    if (const auto* patch = std::get_if<patch_state>(&op)) {
      for (const auto& one : patch->ops)
        std::visit(
            [&](const auto& x) {
              out += '[' + std::to_string(one.index()) + ' '
                     + (is_utf8(x.key) ? x.key.substr(0, 9) : "?") + ']';
            },
            one);
    } else if (const auto* back = std::get_if<restore>(&op)) {
      if (const auto* at = std::get_if<std::uint64_t>(&back->to))
        out += ' ' + std::to_string(*at);
      else
        out += ' ' + std::get<std::string>(back->to);
    } else if (const auto* steps = std::get_if<undo>(&op)) {
      out += ' ' + std::to_string(steps->steps);
    } else if (const auto* again = std::get_if<redo>(&op)) {
      out += ' ' + std::to_string(again->steps);
    }
  }
  return out;
}

}  // namespace troupe::testing
