#include <troupe/state/internal/decider.hpp>
#include <troupe/state/internal/stored.hpp>
#include <troupe/state/team.hpp>
#include <troupe/state/workflow.hpp>

#include <algorithm>
#include <map>

/// Operations of workflows and teams.
namespace troupe::internal {

namespace {

constexpr std::size_t max_dependencies = 10'000;  // of all nodes together; too_many_elements

value node_value(std::uint64_t position, const node& one) {
  value_writer out;
  out.begin_map(one.result ? 5 : 4).string("position").unsigned_integer(position);
  out.string("after").raw(text_array(one.after));
  out.string("status").string(to_string(one.status));
  out.string("attempts").unsigned_integer(one.attempts);
  if (one.result)
    out.string("result").raw(*one.result);
  return out.finish();
}

bool may_move(node_status from, node_status to) {
  using enum node_status;
  switch (to) {
    case pending: return from == running || from == failed || from == skipped;
    case running: return from == pending || from == failed;
    case done:
    case failed: return from == running;
    case skipped: return from == pending || from == failed;
  }
  return false;
}

expected<void> may_start(const entity_state& state, const node& one) {
  if (is_cancelled(state))
    return fail(errc::cancelled, "the workflow is cancelled; resume it to start nodes");
  for (const auto& id : one.after) {
    const auto before = find_status(state, id);
    if (before != node_status::done && before != node_status::skipped)
      return fail(errc::dependency_pending,
                  "'" + one.id + "' waits for '" + id + "', which is "
                      + std::string{before ? to_string(*before) : "gone"});
  }
  return {};
}

}  // namespace

expected<void> check_graph(const std::vector<node_definition>& nodes) {
  constexpr auto max_nodes = rules_of(section::nodes).most;
  if (nodes.size() > max_nodes)
    return refuse_beyond(errc::too_many_elements, "a workflow has at most 1,000 nodes", max_nodes,
                         "/nodes");
  std::map<std::string_view, std::size_t> number;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto path = "/nodes/" + std::to_string(i) + "/id";
    if (auto ok = check_name(nodes[i].id, path); !ok)
      return ok;
    if (!number.emplace(nodes[i].id, i).second)
      return fail(errc::invalid_value, "each id stands once", path);
  }
  std::vector<std::vector<std::size_t>> followers(nodes.size());
  std::vector<std::size_t> waits_for(nodes.size());
  std::size_t dependencies = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t j = 0; j < nodes[i].after.size(); ++j) {
      const auto before = number.find(nodes[i].after[j]);
      if (before == number.end())
        return fail(errc::invalid_value, "there is no such node",
                    "/nodes/" + std::to_string(i) + "/after/" + std::to_string(j));
      followers[before->second].push_back(i);
      ++waits_for[i];
      if (++dependencies > max_dependencies)
        return refuse_beyond(errc::too_many_elements, "a workflow has at most 10,000 dependencies",
                             max_dependencies, "/nodes");
    }
  }
  std::vector<std::size_t> free;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (waits_for[i] == 0)
      free.push_back(i);
  }
  for (std::size_t done = 0; done < free.size(); ++done) {
    for (const auto next : followers[free[done]]) {
      if (--waits_for[next] == 0)
        free.push_back(next);
    }
  }
  if (free.size() == nodes.size())
    return {};
  const auto stuck = std::find_if(waits_for.begin(), waits_for.end(), [](auto n) { return n > 0; });
  return fail(errc::invalid_value, "nodes depend on each other in a circle",
              "/nodes/" + std::to_string(stuck - waits_for.begin()) + "/after");
}

expected<void> decider::operator()(const define_nodes& op) {
  if (auto ok = need(section::nodes); !ok)
    return ok;
  if (auto ok = check_graph(op.nodes); !ok)
    return ok;
  std::vector<std::pair<std::string, value>> entries;
  for (std::size_t i = 0; i < op.nodes.size(); ++i) {
    auto one = find_node(out.next, op.nodes[i].id).value_or(node{.id = op.nodes[i].id});
    one.after = op.nodes[i].after;
    if (auto ok = check_value(text_array(one.after), "/nodes/" + std::to_string(i) + "/after"); !ok)
      return ok;
    entries.emplace_back(one.id, node_value(i, one));
  }
  replace(section::nodes, entries);
  return {};
}

expected<void> decider::operator()(const update_node& op) {
  if (auto ok = need(section::nodes); !ok)
    return ok;
  const auto* stored = find(section::nodes, op.id);
  if (!stored)
    return fail(errc::not_found, "no such node", pointer({op.id}));
  auto one = *find_node(out.next, op.id);
  const bool finishes = op.status == node_status::done || op.status == node_status::failed;
  if (op.result && !finishes)
    return fail(errc::invalid_value, "a result comes with done or failed", "/result");
  if (op.result) {
    if (auto ok = check_value(*op.result, "/result"); !ok)
      return ok;
  }
  if (!may_move(one.status, op.status))
    return fail(errc::invalid_transition, "'" + op.id + "' is " + std::string{to_string(one.status)}
                                              + " and cannot become "
                                              + std::string{to_string(op.status)});
  if (op.status == node_status::running) {
    if (auto ok = may_start(out.next, one); !ok)
      return ok;
    ++one.attempts;
  }
  one.status = op.status;
  one.result = op.result;
  set(section::nodes, op.id, node_value(number_at(stored->data, "position"), one));
  return {};
}

expected<void> decider::operator()(const cancel_workflow&) {
  if (auto ok = need(section::run); !ok)
    return ok;
  set(section::run, "cancelled", value{true});
  return {};
}

expected<void> decider::operator()(const resume_workflow&) {
  if (auto ok = need(section::run); !ok)
    return ok;
  erase_key(section::run, "cancelled");
  return {};
}

expected<void> decider::operator()(const add_member& op) {
  if (auto ok = need(section::members); !ok)
    return ok;
  if (auto ok = check_name(op.name, "/name"); !ok)
    return ok;
  if (auto ok = check_text(op.role, "/role"); !ok)
    return ok;
  set(section::members, op.name, value::map({{"role", op.role}}));
  constexpr auto max_members = rules_of(section::members).most;
  if (count_entries(out.next, section::members, now()) > max_members)
    return refuse_beyond(errc::too_many_elements, "a team has at most 1,000 members", max_members);
  return {};
}

expected<void> decider::operator()(const remove_member& op) {
  if (auto ok = need(section::members); !ok)
    return ok;
  erase_key(section::members, op.name);
  return {};
}

expected<void> decider::operator()(const send_message& op) {
  if (auto ok = need(section::members); !ok)
    return ok;
  if (!find(section::members, op.from))
    return fail(errc::not_found, "no such member", "/from");
  if (op.to && !find(section::members, *op.to))
    return fail(errc::not_found, "no such member", "/to");
  if (auto ok = check_value(op.body, "/body"); !ok)
    return ok;
  value_writer item;
  item.begin_map(op.to ? 3 : 2).string("from").string(op.from);
  if (op.to)
    item.string("to").string(*op.to);
  item.string("body").raw(op.body);
  auto message = item.finish();
  // The message nests one level deeper than its body.
  if (auto ok = check_value(message, "/body"); !ok)
    return ok;
  emit(items_appended{out.next.last_seq + 1, {std::move(message)}});
  return {};
}

expected<void> decider::operator()(const acknowledge& op) {
  if (auto ok = need(section::cursors); !ok)
    return ok;
  if (!find(section::members, op.member))
    return fail(errc::not_found, "no such member", "/member");
  if (op.seq > out.next.last_seq)
    return fail(errc::invalid_value,
                "the newest message is number " + std::to_string(out.next.last_seq), "/seq");
  const auto* cursor = find(section::cursors, op.member);
  if (op.seq > (cursor ? cursor->data.view().as_uint64().value_or(0) : 0))
    set(section::cursors, op.member, value{op.seq});
  return {};
}

expected<void> decider::operator()(const drop_delivered&) {
  if (auto ok = need(section::cursors); !ok)
    return ok;
  auto delivered = out.next.last_seq;
  for (const auto& one : members_of(out.next))
    delivered = std::min(delivered, one.cursor);
  forget_items_before(out.next.items.first_after(delivered));
  return {};
}

}  // namespace troupe::internal
