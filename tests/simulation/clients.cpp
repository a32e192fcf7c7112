#include "clients.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace troupe::simulation {

namespace {

entity_ref ref(entity_kind kind, const char* id) {
  return {.kind = kind, .id = id};
}

const std::vector<entity_ref>& all_entities() {
  static const std::vector<entity_ref> all{session_ref("s0"),
                                           session_ref("fork0"),
                                           session_ref("s1"),
                                           ref(entity_kind::global, "global"),
                                           ref(entity_kind::workflow, "w"),
                                           session_ref("fork1"),
                                           ref(entity_kind::team, "t"),
                                           ref(entity_kind::user, "ann"),
                                           session_ref("s2")};
  return all;
}

bool is_fork(const entity_ref& entity) {
  return entity.id.starts_with("fork");
}

/// What is a command of its own, or leaves nothing to write a mark in.
bool needs_key(const operation& op) {
  return std::holds_alternative<undo>(op) || std::holds_alternative<redo>(op)
         || std::holds_alternative<restore>(op) || std::holds_alternative<merge_fork>(op)
         || std::holds_alternative<erase>(op);
}

/// Chooses operations for one entity, given its newest state on disk.
struct chooser {
  dice& luck;
  const entity_ref& target;
  const entity_state& state;
  std::vector<entity_ref> others;
  bool live;  // as the client takes it
  const plan& how;

  value item() {
    return value::map({{"role", luck.percent(20) ? "user" : "assistant"},
                       {"content", value{static_cast<std::int64_t>(luck.below(1'000'000))}}});
  }
  append_items some_items() {
    append_items out;
    for (auto n = 1 + luck.below(3); n > 0; --n)
      out.items.push_back(item());
    return out;
  }
  std::string key() { return luck.one_of<std::string>({"a", "b", "c"}); }
  std::optional<std::uint64_t> ttl() {
    if (how.expiring == 0 || !luck.percent(how.expiring))
      return {};
    return luck.one_of<std::uint64_t>({50, 2'000, 10'000});
  }
  /// Some belong to a workflow, a team or a user, also to one that is not there.
  bool belongs() { return how.children != 0 && luck.percent(how.children); }
  entity_info info() {
    entity_info out{.ttl_ms = ttl().value_or(0)};
    if (belongs())
      out.workflow = luck.one_of<std::string>({"w", "other"});
    if (belongs())
      out.team = "t";
    if (belongs())
      out.user = "ann";
    return out;
  }
  update_info some_info() {
    update_info out{.metadata_patch = value::map({{key(), small()}}), .ttl_ms = ttl()};
    if (belongs())
      out.workflow = luck.one_of<std::string>({"w", "other", ""});
    if (belongs())
      out.team = luck.one_of<std::string>({"t", ""});
    return out;
  }
  value small() { return value{static_cast<std::int64_t>(luck.below(1'000))}; }

  operation of_state() {
    switch (luck.below(6)) {
      case 0: return patch_state{{add_to{"n", value{1}}}};
      case 1:
        return patch_state{{append_to{"list", {small()}},
                            set_key{.key = key(), .data = small(), .ttl_ms = ttl()}}};
      case 2: return patch_state{{delete_key{.key = key()}}};
      case 3: return merge_state{value::map({{key(), small()}})};
      case 4: return some_info();
      default:
        if (how.expiring != 0 && luck.percent(10))
          return drop_expired{};
        return patch_state{
            {set_key{.key = key(), .data = small(), .ttl_ms = ttl()}, add_to{"n", value{1}}}};
    }
  }

  operation of_versions() {
    const auto pin = luck.one_of<std::string>({"pin1", "pin2"});
    switch (luck.below(6)) {
      case 0: return create_checkpoint{.id = pin};
      case 1: return restore{pin};
      case 2: return redo{1};
      case 3: return restore{state.revision - std::min(state.revision, luck.below(6))};
      default: return undo{1 + luck.below(2)};
    }
  }

  operation of_kind() {
    switch (target.kind) {
      case entity_kind::session:
        switch (luck.below(8)) {
          case 0: return pop_items{.count = 1};
          case 1: return record_usage{luck.below(10), luck.below(10)};
          case 2: return record_call{.tool = "find", .arguments = small(), .read_only = false};
          default: return some_items();
        }
      case entity_kind::workflow:
        if (luck.percent(30))
          return define_nodes{{{"n1", {}}, {"n2", {"n1"}}}};
        return update_node{.id = luck.percent(60) ? "n1" : "n2",
                           .status = static_cast<node_status>(luck.below(5))};
      case entity_kind::team:
        if (luck.percent(40))
          return add_member{luck.percent(50) ? "ann" : "bob", "role"};
        return send_message{.from = "ann", .body = small()};
      default: return of_state();
    }
  }

  operation beginning() {
    std::vector<entity_ref> parents;
    for (const auto& one : others)
      if (one.kind == target.kind && !is_fork(one))
        parents.push_back(one);
    if (is_fork(target) && !parents.empty() && luck.percent(80))
      return fork_from{.parent = parents[luck.below(parents.size())]};
    return create{.info = info(), .only_if_absent = luck.percent(30)};
  }

  operation merge() {
    for (const auto& one : others)
      if (is_fork(one) && luck.percent(60))
        return merge_fork{.fork = one, .strategy = merge_strategy::theirs};
    return of_kind();
  }

  std::vector<operation> operations() {
    if (!live && luck.percent(90)) {
      std::vector<operation> out{beginning()};
      if (luck.percent(30))
        out.emplace_back(of_kind());
      return out;
    }
    const auto roll = luck.below(100);
    if (roll < 12)
      return {of_versions()};
    if (roll < 15 && target.kind == entity_kind::session)
      return {merge()};
    const bool forks = is_fork(target);  // their ids are used again
    if (roll < (forks ? 22 : 18))
      return {erase{}};
    if (roll < (forks ? 36 : 23))
      return {beginning()};
    if (roll < (forks ? 38 : 28)
        && target.kind == entity_kind::session)  // wholly refused by its second half
      return {some_items(), pop_items{.count = 1, .expected_last_seq = 999'999}};
    std::vector<operation> out;
    for (auto n = 1 + (luck.percent(30) ? luck.below(3) : 0); n > 0; --n)
      out.push_back(luck.percent(50) ? of_kind() : of_state());
    return out;
  }
};

}  // namespace

std::vector<entity_ref> entities_of(const plan& how) {
  return {all_entities().begin(),
          all_entities().begin() + static_cast<std::ptrdiff_t>(how.entities)};
}

namespace {

/// Without what it is found by.
command choose(dice& luck, const plan& how, checker& seen, const entity_ref& target, bool freed) {
  const auto head = seen.head(target);
  const auto& state = *seen.history(target).at(head);
  chooser choice{luck, target, state, entities_of(how), !freed && state.live(), how};
  command out{.entity = target, .operations = choice.operations()};
  if (luck.percent(12))
    out.expected_revision = head - std::min(head, luck.percent(70) ? 0 : luck.below(3));
  const auto level = luck.below(100);
  out.level = level < how.memory                 ? durability::memory
              : level < how.memory + how.relaxed ? durability::relaxed
                                                 : durability::durable;
  if (auto* fork = std::get_if<fork_from>(&out.operations.front()); fork && luck.percent(30)) {
    const auto newest = seen.head(fork->parent);
    fork->at = newest - std::min(newest, luck.below(3));
  }
  return out;
}

bool needs_key(const command& what) {
  return std::any_of(what.operations.begin(), what.operations.end(),
                     [](const operation& op) { return needs_key(op); });
}

operation mark(std::uint64_t number) {
  return patch_state{{set_key{.key = "op", .data = value{number}}}};
}

}  // namespace

command any_command(dice& luck, const plan& how, checker& seen, const entity_ref* freed) {
  const auto all = entities_of(how);
  const auto& target =
      freed != nullptr ? *freed : all[luck.percent(40) ? 0 : luck.below(all.size())];
  auto out = choose(luck, how, seen, target, freed != nullptr);
  const auto number = seen.begun() + 1;
  if (luck.percent(how.keyed) || needs_key(out))
    out.once = idempotency{"", std::to_string(number), "body"};
  else
    out.operations.emplace_back(mark(number));
  return out;
}

change_set any_set(dice& luck, const plan& how, checker& seen) {
  auto all = entities_of(how);
  const auto most = std::min<std::size_t>(all.size(), luck.percent(10) ? max_changes_in_set : 4);
  const bool only_reads = luck.percent(15);
  change_set out;
  for (auto left = 1 + luck.below(most); left > 0; --left) {
    const auto at = all.begin() + static_cast<std::ptrdiff_t>(luck.below(all.size()));
    if (only_reads || luck.percent(15)) {
      command guard{.entity = *at};
      const auto head = seen.head(*at);
      if (luck.percent(40) && seen.history(*at).at(head)->live())
        guard.expected_revision = head - std::min<std::uint64_t>(head, luck.percent(80) ? 0 : 1);
      out.commands.push_back(std::move(guard));
    } else {
      out.commands.push_back(choose(luck, how, seen, *at, false));
    }
    all.erase(at);
  }
  const bool keyed = luck.percent(how.keyed)
                     || std::any_of(out.commands.begin(), out.commands.end(),
                                    [](const command& one) { return needs_key(one); });
  const auto number = seen.begun() + 1;
  if (keyed)
    out.once = idempotency{"", "set" + std::to_string(number), "body"};
  for (std::size_t i = 0; i < out.commands.size() && !keyed; ++i)
    if (!out.commands[i].operations.empty())
      out.commands[i].operations.emplace_back(mark(number + i));
  return out;
}

}  // namespace troupe::simulation
