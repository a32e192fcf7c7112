#include "model_compare.hpp"

#include <troupe/state/digest.hpp>
#include <troupe/state/json.hpp>

#include <algorithm>
#include <sstream>

namespace troupe::testing {

namespace {

struct comparison {
  std::string found{};

  template <class A, class B>
  void equal(const std::string& what, const A& expected, const B& actual) {
    if (!found.empty() || expected == actual)
      return;
    std::ostringstream text;
    text << what;
    if constexpr (std::is_integral_v<A>)
      text << ": expected " << expected << ", found " << actual;
    else if constexpr (std::is_convertible_v<A, value_view>)
      text << ": expected " << to_json(expected) << ", found " << to_json(actual);
    found = text.str();
  }
};

template <class Map, class F>
auto listed(const Map& map, F&& make) {
  std::vector<decltype(make(*map.begin()))> out;
  for (const auto& one : map)
    out.push_back(make(one));
  return out;
}

value as_value(const std::map<std::string, value>& from) {
  return map_of({from.begin(), from.end()});
}

/// In the order of positions; of equal ones in the order of ids.
template <class Placed>
auto in_order(const std::map<std::string, Placed>& from) {
  auto placed = listed(from, [](const auto& x) { return x.second; });
  std::stable_sort(placed.begin(), placed.end(),
                   [](const auto& a, const auto& b) { return a.position < b.position; });
  return listed(placed, [](const auto& x) { return x.what; });
}

void compare_description(comparison& c, const model::entity& m, const entity_state& s) {
  const auto info = info_of(s);
  c.equal("info: user", m.user, info.user);
  c.equal("user_of", m.user, std::string{user_of(s)});
  c.equal("info: workflow", m.workflow, info.workflow);
  c.equal("info: team", m.team, info.team);
  c.equal("info: placement", m.placement, info.placement);
  c.equal("info: ttl", m.ttl_ms, info.ttl_ms);
  c.equal("info: schema", m.schema, info.schema);
  c.equal("schema_of", m.schema, schema_of(s));
  c.equal("info: policy", m.limits, info.limits);
  c.equal("policy_of", m.limits, policy_of(s));
  c.equal("info: lineage", m.forked_from, info.forked_from);
  c.equal("lineage_of", m.forked_from, lineage_of(s));
  c.equal("info: metadata", as_value(m.metadata), info.metadata);
  c.equal("info: tags", std::vector<std::string>{m.tags.begin(), m.tags.end()}, info.tags);
  c.equal("info: shares",
          listed(m.shares,
                 [](auto& x) {
                   return share{x.first, x.second};
                 }),
          info.shares);
}

/// What is not set takes no room.
void compare_stored(comparison& c, const model::entity& m, const entity_state& s) {
  const auto set = [](const std::string& text) { return text.empty() ? 0u : 1u; };
  const std::size_t info = set(m.workflow) + set(m.team) + set(m.placement)
                           + (m.ttl_ms > 0 ? 1u : 0u) + (m.limits == policy{} ? 0u : 1u);
  c.equal("facts stored", info, count_entries(s, section::info, {}));
  c.equal("keys stored", m.state.size(), count_entries(s, section::state, {}));
  c.equal("cursors stored", m.cursors.size(), count_entries(s, section::cursors, {}));
  c.equal("merges stored", m.merges.size(), count_entries(s, section::merges, {}));
}

void compare_state(comparison& c, const model::entity& m, const entity_state& s, timestamp now) {
  std::map<std::string, value> visible;
  for (const auto& [key, held] : m.state) {
    const auto* stored = find(s, section::state, key, now);
    c.equal("key " + key + " is there", held.live(now), stored != nullptr);
    if (!held.live(now) || !stored)
      continue;
    visible[key] = held.data;
    c.equal("value of key " + key, held.data, stored->data);
    c.equal("revision of key " + key, held.revision, stored->revision);
    c.equal("expiry of key " + key, held.expires.ms, stored->expires.ms);
  }
  c.equal("state", as_value(visible), section_as_map(s, section::state, now));
  c.equal("count of keys", visible.size(), count_entries(s, section::state, now));
}

void compare_session(comparison& c, const model::entity& m, const entity_state& s,
                     const policy& inherited) {
  c.equal("todos", in_order(m.todos), todos_of(s));
  auto usage = m.tokens.value_or(usage_report{});
  usage.tool_calls = m.tool_calls;
  usage.budget = model::rules_of(m, inherited).token_budget;
  c.equal("usage", usage, usage_of(s, inherited));
  const auto calls = calls_of(s);
  c.equal("count of calls", m.calls.size(), calls.size());
  loop_verdict newest;
  for (std::size_t i = 0; i < std::min(calls.size(), m.calls.size()); ++i) {
    const auto& one = m.calls[i];
    const loop_verdict verdict{one.tool, one.count, one.limit, one.count >= one.limit};
    c.equal("number of a call", one.number, calls[i].number);
    c.equal("verdict of a call", verdict, calls[i].verdict);
    c.equal("arguments of a call", to_hex(digest_of(one.arguments)), calls[i].arguments_sha256);
    newest = one.count > 0 ? verdict : newest;
  }
  newest.limit = model::rules_of(m, inherited).loop_limit.value_or(5);
  newest.looping = newest.count >= newest.limit;
  c.equal("loop", newest, loop_of(s, inherited));
  c.equal("notebook",
          notebook{m.notebook_id.value_or(""), m.cell_count.value_or(0), as_value(m.variables)},
          notebook_of(s));
}

void collect_inputs(const model::entity& m, const std::string& id, std::set<std::string>& seen) {
  const auto at = m.nodes.find(id);
  if (at == m.nodes.end())
    return;
  for (const auto& before : at->second.what.after) {
    if (seen.insert(before).second)
      collect_inputs(m, before, seen);
  }
}

bool is_through(const model::entity& m, const std::string& id) {
  const auto at = m.nodes.find(id);
  return at != m.nodes.end()
         && (at->second.what.status == node_status::done
             || at->second.what.status == node_status::skipped);
}

node_status status_of(const std::vector<node>& nodes) {
  const auto count = [&](node_status status) {
    return std::count_if(nodes.begin(), nodes.end(),
                         [&](const node& n) { return n.status == status; });
  };
  const auto through = count(node_status::done) + count(node_status::skipped);
  if (count(node_status::running) > 0)
    return node_status::running;
  if (count(node_status::failed) > 0)
    return node_status::failed;
  if (through > 0 && through == static_cast<std::ptrdiff_t>(nodes.size()))
    return node_status::done;
  const bool begun = through > 0 || std::any_of(nodes.begin(), nodes.end(), [](const node& n) {
                       return n.attempts > 0;
                     });
  return begun ? node_status::running : node_status::pending;
}

void compare_workflow(comparison& c, const model::entity& m, const entity_state& s) {
  const auto nodes = in_order(m.nodes);
  c.equal("nodes", nodes, nodes_of(s));
  c.equal("cancelled", m.cancelled, is_cancelled(s));
  c.equal("no such node", std::optional<node>{}, find_node(s, "nobody"));
  std::vector<std::string> ready;
  for (const auto& one : nodes) {
    c.equal("node " + one.id, std::optional{one}, find_node(s, one.id));
    if (!m.cancelled && one.status == node_status::pending
        && std::all_of(one.after.begin(), one.after.end(),
                       [&](const auto& id) { return is_through(m, id); }))
      ready.push_back(one.id);
    std::set<std::string> before;
    collect_inputs(m, one.id, before);
    before.erase(one.id);
    std::map<std::string, value> inputs;
    for (const auto& id : before) {
      const auto at = m.nodes.find(id);
      if (at != m.nodes.end() && at->second.what.result)
        inputs[id] = *at->second.what.result;
    }
    c.equal("inputs of " + one.id, as_value(inputs), inputs_of(s, one.id));
  }
  c.equal("ready nodes", ready, ready_nodes(s));
  c.equal("status of the workflow", true, status_of(nodes) == status_of_workflow(s));
}

void compare_team(comparison& c, const model::entity& m, const entity_state& s) {
  const auto cursor = [&](const std::string& name) {
    const auto at = m.cursors.find(name);
    return at == m.cursors.end() ? 0 : at->second;
  };
  c.equal("members",
          listed(m.members,
                 [&](auto& x) {
                   return member{x.first, x.second, cursor(x.first)};
                 }),
          members_of(s));
  if (m.kind != entity_kind::team)
    return;
  for (const std::string name : {"ann", "bob", "nobody"}) {
    for (const auto after : {std::optional<std::uint64_t>{}, std::optional<std::uint64_t>{1}}) {
      std::vector<message> wanted;
      for (const auto& one : m.items) {
        const auto from = *one.fields.view().find("from")->as_string();
        const auto to = one.fields.view().find("to");
        if (one.seq > after.value_or(cursor(name)) && (to ? to->as_string() == name : from != name)
            && wanted.size() < 3)
          wanted.push_back({one.seq, one.at, std::string{from},
                            to ? std::optional{std::string{*to->as_string()}} : std::nullopt,
                            value{*one.fields.view().find("body")}});
      }
      c.equal("messages for " + name, wanted, messages_for(s, name, after, 3));
    }
  }
}

void compare_checkpoints(comparison& c, const model::entity& m, const entity_state& s) {
  auto all = listed(m.checkpoints, [](auto& x) { return x.second; });
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.revision > b.revision; });
  c.equal("checkpoints", all, checkpoints_of(s));
  for (const auto& one : all)
    c.equal("checkpoint " + one.id, std::optional{one}, find_checkpoint(s, one.id));
  c.equal("no such checkpoint", std::optional<checkpoint>{}, find_checkpoint(s, "nobody"));
}

void recount(comparison& c, const entity_state& s) {
  std::uint64_t entries = 0, own = 0, items = 0;
  for_each_stored_entry(s, [&](const std::string& key, const entry& held) {
    (rules_of(section_of(key)).forks ? entries : own) +=
        key_of(key).size() + held.data.bytes().size();
    c.equal("a section that this kind has", true, has_section(s.kind, section_of(key)));
  });
  for (const auto one : s.items)
    items += one.fields.bytes().size();
  c.equal("bytes of entries", entries, s.entry_bytes);
  c.equal("bytes of its own entries", own, s.own_bytes);
  c.equal("bytes of items", items, s.items.bytes());
  c.equal("bytes", entries + own + items, s.bytes());
}

}  // namespace

std::string disagreement(const model::entity& m, const entity_state& s, const entity_ref& ref,
                         timestamp now, const policy& inherited) {
  comparison c;
  c.equal("status", true, m.status == s.status);
  c.equal("kind", true, !m.live() || m.kind == s.kind);
  c.equal("revision", m.revision, s.revision);
  c.equal("first revision", m.first_revision, s.first_revision);
  c.equal("content revision", m.content_revision, s.content_revision);
  c.equal("created", m.created.ms, s.created.ms);
  c.equal("last activity", m.last_activity.ms, s.last_activity.ms);
  c.equal("last seq", m.last_seq, s.last_seq);
  std::vector<std::uint64_t> redo;
  for (auto at = s.redo.view().children(); at.next();)
    redo.push_back(at.item().as_uint64().value_or(0));
  c.equal("redo", m.redo, redo);
  std::vector<model::item> items;
  for (const auto one : s.items)
    items.push_back({one.seq, one.at, value{one.fields}});
  c.equal("items", m.items, items);
  compare_description(c, m, s);
  c.equal("policy over what is inherited", model::rules_of(m, inherited),
          overlay(policy_of(s), inherited));
  compare_stored(c, m, s);
  compare_state(c, m, s, now);
  compare_session(c, m, s, inherited);
  compare_workflow(c, m, s);
  compare_team(c, m, s);
  compare_checkpoints(c, m, s);
  for (const auto& [fork, revision] : m.merges)
    c.equal("merged revision", revision, merge_base(s, fork, entity_state{}));
  for (const char* user : {"", "ann", "bob", "cay"}) {
    for (const auto wanted : {access::read, access::write})
      c.equal(std::string{"may "} + user, model::may(m, ref, {user, false}, wanted),
              may(s, ref, {user, false}, wanted));
  }
  recount(c, s);
  return c.found;
}

std::string fault_of_diff(const entity_state& a, const entity_state& b) {
  const auto flat = [](const entity_state& s) {
    std::map<std::string, value> out;
    for_each_stored_entry(s, [&](const std::string& key, const entry& held) {
      std::string path = '/' + std::string{rules_of(section_of(key)).name};
      append_json_pointer(path, key_of(key));
      out[path] = held.data;
    });
    for (const auto one : s.items)
      out["/items/" + std::to_string(one.seq)] = value{one.fields};
    return out;
  };
  auto state = flat(a);
  for (const auto& one : diff(a, b)) {
    const auto at = state.find(one.path);
    const auto there = at == state.end() ? std::optional<value>{} : std::optional{at->second};
    if (there != one.before)
      return "before " + one.path;
    if (one.after)
      state[one.path] = *one.after;
    else
      state.erase(one.path);
  }
  comparison c;
  c.equal("a diff applied", as_value(flat(b)), as_value(state));
  c.equal("a diff with itself", std::size_t{0}, diff(a, a).size());
  return c.found;
}

}  // namespace troupe::testing
