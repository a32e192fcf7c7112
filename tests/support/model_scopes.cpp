#include "model.hpp"

#include <algorithm>
#include <limits>

/// What sessions, workflows and teams add.
namespace troupe::testing::model {

namespace {

std::uint64_t saturating(std::uint64_t a, std::uint64_t b) {
  constexpr auto last = std::numeric_limits<std::uint64_t>::max();
  return a > last - b ? last : a + b;
}

refusal todo_fault(const todo& one) {
  if (const auto bad = name_fault(one.id))
    return bad;
  return text_fault(one.content);
}

}  // namespace

// Session
// ------------------------------------------------------------------------------------------------

void doer::append(std::vector<value> added) {
  if (answer.first_seq == 0)
    answer.first_seq = e.last_seq + 1;
  for (auto& one : added)
    e.items.push_back({++e.last_seq, with.now, std::move(one)});
  answer.last_seq = e.last_seq;
  touch_content();
}

refusal doer::operator()(const append_items& op) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  if (op.items.empty())
    return errc::malformed;
  if (op.items.size() > 1'000)
    return errc::too_many_elements;
  for (const auto& one : op.items) {
    if (one.type() != value_type::map)
      return errc::wrong_type;
    if (const auto bad = value_fault(one))
      return bad;
    if (one.view().find("seq") || one.view().find("at"))
      return errc::reserved_field;
  }
  for (const auto& one : op.items) {
    const auto role = one.view().find("role");
    if (role && role->as_string() == "user" && !e.calls.empty()) {
      e.calls.clear();
      touch();
    }
  }
  append(op.items);
  return {};
}

refusal doer::operator()(const pop_items& op) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  if (op.expected_last_seq && *op.expected_last_seq != (e.items.empty() ? 0 : e.items.back().seq))
    return errc::tail_mismatch;
  for (std::uint64_t i = 0; i < op.count && !e.items.empty(); ++i) {
    e.items.pop_back();
    ++answer.removed;
    touch_content();
  }
  return {};
}

refusal doer::operator()(const clear_items&) {
  return (*this)(pop_items{.count = e.items.size(), .expected_last_seq = {}});
}

refusal doer::operator()(const drop_oldest_items& op) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  if (e.items.size() <= op.keep || e.items.size() <= op.beyond)
    return {};
  while (e.items.size() > op.keep) {
    e.items.erase(e.items.begin());
    ++answer.removed;
  }
  touch_content();
  return {};
}

refusal doer::operator()(const record_usage& op) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  auto report = e.tokens.value_or(usage_report{});
  report.last = {op.prompt_tokens, op.completion_tokens};
  report.total.prompt_tokens = saturating(report.total.prompt_tokens, op.prompt_tokens);
  report.total.completion_tokens = saturating(report.total.completion_tokens, op.completion_tokens);
  e.tokens = report;
  answer.usage = report;
  touch();
  return {};
}

refusal doer::operator()(const reset_usage&) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  assign(e.tokens, {}, &doer::touch);
  return {};
}

refusal doer::operator()(const put_todos& op) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  if (op.todos.size() > 1'000)
    return errc::too_many_elements;
  std::map<std::string, placed_todo> wanted;
  for (const auto& one : op.todos) {
    if (const auto bad = todo_fault(one))
      return bad;
    if (!wanted.emplace(one.id, placed_todo{wanted.size(), one}).second)
      return errc::invalid_value;
  }
  assign(e.todos, wanted, &doer::touch_content);
  return {};
}

refusal doer::operator()(const patch_todos& op) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  std::uint64_t end = 0;
  for (const auto& [id, one] : e.todos)
    end = std::max(end, one.position + 1);
  for (const auto& one : op.changed) {
    if (const auto bad = todo_fault(one))
      return bad;
    const auto old = e.todos.find(one.id);
    put(e.todos, one.id, {old == e.todos.end() ? end++ : old->second.position, one},
        &doer::touch_content);
  }
  for (const auto& id : op.removed)
    remove(e.todos, id, &doer::touch_content);
  return e.todos.size() > 1'000 ? refusal{errc::too_many_elements} : refusal{};
}

refusal doer::operator()(const record_call& op) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  if (const auto bad = name_fault(op.tool))
    return bad;
  if (const auto bad = value_fault(op.arguments))
    return bad;
  const auto rules = rules_of(e, with.inherited);
  call one{++e.tool_calls, op.tool, op.arguments, op.read_only ? 0u : 1u,
           rules.loop_limit.value_or(5)};
  const auto before =
      std::find_if(e.calls.rbegin(), e.calls.rend(), [](const call& c) { return c.count > 0; });
  if (!op.read_only && before != e.calls.rend() && before->tool == op.tool
      && naive_equal(before->arguments, op.arguments))
    one.count = before->count + 1;
  if (e.calls.size() >= 64) {  // the run goes on from the last one that counts: it stays
    const bool oldest_counts_last =
        before != e.calls.rend() && before->number == e.calls.front().number;
    e.calls.erase(e.calls.begin() + (oldest_counts_last ? 1 : 0));
  }
  e.calls.push_back(one);
  answer.loop = loop_verdict{one.tool, one.count, one.limit, one.count >= one.limit};
  touch();
  const auto every = rules.checkpoint_every.value_or(0);
  if (every == 0 || e.tool_calls % every != 0)
    return {};
  const auto digits = std::to_string(revision);
  const auto id = "auto-" + std::string(20 - digits.size(), '0') + digits;
  e.checkpoints[id] = {.id = id, .revision = revision, .at = with.now, .automatic = true};
  std::multimap<std::uint64_t, std::string> automatic;  // by the revision they pin
  for (const auto& [name, pinned] : e.checkpoints) {
    if (pinned.automatic)
      automatic.emplace(pinned.revision, name);
  }
  while (automatic.size() > rules.keep_checkpoints.value_or(50)) {
    e.checkpoints.erase(automatic.begin()->second);
    automatic.erase(automatic.begin());
  }
  return {};
}

refusal doer::operator()(const reset_calls&) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  if (!e.calls.empty()) {
    e.calls.clear();
    touch();
  }
  return {};
}

refusal doer::operator()(const update_notebook& op) {
  if (e.kind != entity_kind::session)
    return errc::wrong_scope;
  if (op.id) {
    if (const auto bad = name_fault(*op.id))
      return bad;
    assign(e.notebook_id, op.id, &doer::touch_content);
  }
  if (op.cell_count)
    assign(e.cell_count, op.cell_count, &doer::touch_content);
  if (op.variables.type() != value_type::map)
    return errc::wrong_type;
  if (const auto bad = value_fault(op.variables))
    return bad;
  auto wanted = op.replace_variables ? std::map<std::string, value>{} : e.variables;
  for (const auto& [name, type] : members_of(op.variables)) {
    if (const auto bad = key_fault(name))
      return bad;
    if (type.is_null())
      wanted.erase(name);
    else
      wanted[name] = type;
  }
  assign(e.variables, wanted, &doer::touch_content);
  return {};
}

// Workflow
// ------------------------------------------------------------------------------------------------

namespace {

/// Whether one can come back to a node by following dependencies.
bool leads_back(const std::vector<node_definition>& nodes, const std::string& from,
                const std::string& to, std::size_t steps_left) {
  for (const auto& one : nodes) {
    if (one.id != from)
      continue;
    for (const auto& before : one.after) {
      if (before == to || (steps_left > 0 && leads_back(nodes, before, to, steps_left - 1)))
        return true;
    }
  }
  return false;
}

}  // namespace

refusal graph_fault(const std::vector<node_definition>& nodes) {
  for (const auto& one : nodes) {
    for (const auto& before : one.after) {
      if (std::none_of(nodes.begin(), nodes.end(), [&](const auto& n) { return n.id == before; }))
        return errc::invalid_value;
    }
    if (leads_back(nodes, one.id, one.id, nodes.size()))
      return errc::invalid_value;
  }
  return {};
}

refusal doer::operator()(const define_nodes& op) {
  if (e.kind != entity_kind::workflow)
    return errc::wrong_scope;
  if (op.nodes.size() > 1'000)
    return errc::too_many_elements;
  std::map<std::string, placed_node> wanted;
  for (const auto& one : op.nodes) {
    if (const auto bad = name_fault(one.id))
      return bad;
    const auto old = e.nodes.find(one.id);
    placed_node placed{wanted.size(), old == e.nodes.end() ? node{.id = one.id} : old->second.what};
    placed.what.after = one.after;
    if (!wanted.emplace(one.id, placed).second)
      return errc::invalid_value;
  }
  if (const auto bad = graph_fault(op.nodes))
    return bad;
  assign(e.nodes, wanted, &doer::touch_content);
  return {};
}

refusal doer::operator()(const update_node& op) {
  if (e.kind != entity_kind::workflow)
    return errc::wrong_scope;
  const auto at = e.nodes.find(op.id);
  if (at == e.nodes.end())
    return errc::not_found;
  using enum node_status;
  if (op.result) {
    if (op.status != done && op.status != failed)
      return errc::invalid_value;
    if (const auto bad = value_fault(*op.result))
      return bad;
  }
  static const std::set<std::pair<node_status, node_status>> moves{
      {pending, running}, {failed, running},  {running, done},
      {running, failed},  {pending, skipped}, {failed, skipped},
      {running, pending}, {failed, pending},  {skipped, pending}};
  auto& one = at->second.what;
  if (!moves.contains({one.status, op.status}))
    return errc::invalid_transition;
  if (op.status == running) {
    if (e.cancelled)
      return errc::cancelled;
    for (const auto& id : one.after) {
      const auto before = e.nodes.find(id);
      if (before == e.nodes.end()
          || (before->second.what.status != done && before->second.what.status != skipped))
        return errc::dependency_pending;
    }
    ++one.attempts;
  }
  one.status = op.status;
  one.result = op.result;
  touch_content();
  return {};
}

refusal doer::operator()(const cancel_workflow&) {
  if (e.kind != entity_kind::workflow)
    return errc::wrong_scope;
  assign(e.cancelled, true, &doer::touch_content);
  return {};
}

refusal doer::operator()(const resume_workflow&) {
  if (e.kind != entity_kind::workflow)
    return errc::wrong_scope;
  assign(e.cancelled, false, &doer::touch_content);
  return {};
}

// Team
// ------------------------------------------------------------------------------------------------

refusal doer::operator()(const add_member& op) {
  if (e.kind != entity_kind::team)
    return errc::wrong_scope;
  if (const auto bad = name_fault(op.name))
    return bad;
  if (const auto bad = text_fault(op.role))
    return bad;
  put(e.members, op.name, op.role, &doer::touch_content);
  return e.members.size() > 1'000 ? refusal{errc::too_many_elements} : refusal{};
}

refusal doer::operator()(const remove_member& op) {
  if (e.kind != entity_kind::team)
    return errc::wrong_scope;
  remove(e.members, op.name, &doer::touch_content);
  return {};
}

refusal doer::operator()(const send_message& op) {
  if (e.kind != entity_kind::team)
    return errc::wrong_scope;
  if (!e.members.contains(op.from) || (op.to && !e.members.contains(*op.to)))
    return errc::not_found;
  members fields{{"from", value{op.from}}};
  if (op.to)
    fields.emplace_back("to", value{*op.to});
  fields.emplace_back("body", op.body);
  const auto message = map_of(fields);
  if (const auto bad = value_fault(message))
    return bad;
  append({message});
  return {};
}

refusal doer::operator()(const acknowledge& op) {
  if (e.kind != entity_kind::team)
    return errc::wrong_scope;
  if (!e.members.contains(op.member))
    return errc::not_found;
  if (op.seq > e.last_seq)
    return errc::invalid_value;
  const auto old = e.cursors.find(op.member);
  if (op.seq > (old == e.cursors.end() ? 0 : old->second))
    put(e.cursors, op.member, op.seq, &doer::touch);
  return {};
}

refusal doer::operator()(const drop_delivered&) {
  if (e.kind != entity_kind::team)
    return errc::wrong_scope;
  const auto everybody_has = [&](const item& message) {
    return std::all_of(e.members.begin(), e.members.end(), [&](const auto& member) {
      const auto cursor = e.cursors.find(member.first);
      return cursor != e.cursors.end() && message.seq <= cursor->second;
    });
  };
  const auto gone = std::erase_if(e.items, everybody_has);
  if (gone > 0) {
    answer.removed += gone;
    touch_content();
  }
  return {};
}

}  // namespace troupe::testing::model
