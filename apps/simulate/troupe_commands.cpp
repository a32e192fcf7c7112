#include "simulate/troupe_commands.hpp"

#include <troupe/state/versions.hpp>
#include <troupe/state/workflow.hpp>

#include <array>
#include <string>
#include <utility>

namespace troupe::simulate {

namespace {

constexpr std::array kinds{entity_kind::session, entity_kind::user, entity_kind::team,
                           entity_kind::workflow};

std::string user_id(std::uint64_t number) {
  return name_of({subject_kind::user, number});
}

append_items items_of(const intent& what, const workload& of) {
  append_items out;
  out.items.reserve(what.count);
  for (std::uint32_t i = 0; i < what.count; ++i)
    out.items.push_back(item_of(what, i, of));
  return out;
}

void add_workflow_step(const intent& what, std::vector<operation>& to) {
  const auto at = (what.first - 1) % steps_in_round;
  if (what.first == 1)
    to.emplace_back(create{});
  if (at == 0) {
    define_nodes graph;
    for (std::uint32_t i = 0; i < workflow_nodes; ++i) {
      graph.nodes.push_back({node_of_step(what.first + 1 + 2 * i), {}});
      if (i > 0)
        graph.nodes.back().after.push_back(graph.nodes[i - 1].id);
    }
    to.emplace_back(std::move(graph));
    return;
  }
  update_node step{.id = node_of_step(what.first), .status = node_status::running};
  if (at % 2 == 0) {
    step.status = node_status::done;
    step.result = value{text_of(what.whom, what.first, what.bytes)};
  }
  to.emplace_back(std::move(step));
}

}  // namespace

entity_ref entity_of(const subject& whom) {
  return {"default", kinds.at(static_cast<std::size_t>(whom.kind)), name_of(whom)};
}

value item_of(const intent& what, std::uint32_t index, const workload& of) {
  constexpr std::array roles{"user", "assistant", "tool"};
  const auto& plan = what.items.at(what.what == action::seed ? 0 : index);
  const bool tool = plan.by == author::tool;
  value_writer out;
  out.begin_map(tool ? 3 : 2)
      .string("role")
      .string(what.what == action::seed && index % 2 == 1
                  ? "assistant"
                  : roles.at(static_cast<std::size_t>(plan.by)))
      .string("content")
      .string(text_of(what.whom, what.first + index, plan.bytes));
  if (tool)
    out.string("name").string(of.tools.at(plan.tool).name);
  return value::from_canonical(out.bytes());
}

command command_of(const intent& what, const workload& of) {
  command out{.entity = entity_of(what.whom), .level = of.level};
  auto& to = out.operations;
  switch (what.what) {
    case action::seed:
      to.emplace_back(create{.info = {.user = user_id(what.other)}});
      if (what.count > 0)
        to.emplace_back(items_of(what, of));
      break;
    case action::create: to.emplace_back(create{.info = {.user = user_id(what.other)}}); break;
    case action::append: to.emplace_back(items_of(what, of)); break;
    case action::note:
      if (what.whom.kind != subject_kind::session && what.first == 1)
        to.emplace_back(create{});
      to.emplace_back(patch_state{{set_key{.key = "last", .data = value{what.first}},
                                   add_to{.key = "count", .by = value{1}}}});
      break;
    case action::record_usage: to.emplace_back(record_usage{what.count, what.count / 4}); break;
    case action::checkpoint:
      to.emplace_back(create_checkpoint{.id = "c" + std::to_string(what.first)});
      break;
    case action::fork:
      to.emplace_back(
          fork_from{.parent = entity_of({subject_kind::session, what.other}), .base = {}, .at = 0});
      break;
    case action::team_message:
      if (what.first == 1) {
        to.emplace_back(create{});
        to.emplace_back(add_member{.name = "planner"});
        to.emplace_back(add_member{.name = "worker"});
      }
      to.emplace_back(send_message{.from = "planner",
                                   .body = value{text_of(what.whom, what.first, what.bytes)}});
      break;
    case action::workflow_step: add_workflow_step(what, to); break;
    default: break;
  }
  return out;
}

std::string_view text_in(value_view item) {
  for (const auto* key : {"content", "body"})
    if (const auto found = item.find(key))
      return found->as_string().value_or(std::string_view{});
  return {};
}

contents contents_of(const entity_state& state) {
  contents out;
  out.exists = state.live();
  out.revision = state.revision;
  if (!out.exists)
    return out;
  for (const auto& item : state.items)
    out.items.emplace_back(text_in(item.fields));
  const auto number = [&](const char* key) -> std::optional<std::uint64_t> {
    const auto* found = find(state, section::state, key, timestamp{});
    return found == nullptr ? std::nullopt : found->data.view().as_uint64();
  };
  out.last = number("last");
  out.count = number("count");
  if (state.kind == entity_kind::session)
    out.checkpoints = checkpoints_of(state).size();
  for (const auto& one : nodes_of(state)) {
    const auto result = one.result ? one.result->view().as_string() : std::nullopt;
    out.nodes.push_back(
        {one.id, std::string{to_string(one.status)}, std::string{result.value_or("")}});
  }
  return out;
}

}  // namespace troupe::simulate
