#include <troupe/state/internal/stored.hpp>
#include <troupe/state/workflow.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace troupe {

using internal::always, internal::number_at, internal::text_at;

namespace {

constexpr std::array<std::string_view, 5> names{"pending", "running", "done", "failed", "skipped"};

node read_node(std::string_view id, value_view stored) {
  node out{.id = std::string{id}};
  if (const auto after = stored.find("after")) {
    for (auto at = after->children(); at.next();)
      out.after.emplace_back(at.item().as_string().value_or(""));
  }
  if (const auto status = stored.find("status"))
    out.status = node_status_from(status->as_string().value_or("")).value_or(node_status::pending);
  if (const auto attempts = stored.find("attempts"))
    out.attempts = attempts->as_uint64().value_or(0);
  if (const auto result = stored.find("result"))
    out.result = value{*result};
  return out;
}

bool finished(node_status status) {
  return status == node_status::done || status == node_status::skipped;
}

}  // namespace

std::string_view to_string(node_status status) noexcept {
  return names[static_cast<std::size_t>(status)];
}

expected<node_status> node_status_from(std::string_view text) {
  const auto at = std::find(names.begin(), names.end(), text);
  if (at == names.end())
    return fail(errc::invalid_value, "this is one of pending, running, done, failed, skipped");
  return static_cast<node_status>(at - names.begin());
}

std::vector<node> nodes_of(const entity_state& state) {
  std::vector<std::pair<std::uint64_t, node>> found;
  for_each_entry(state, section::nodes, always, [&](std::string_view id, const entry& e) {
    found.emplace_back(number_at(e.data, "position"), read_node(id, e.data));
  });
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<node> out;
  for (auto& [position, one] : found)
    out.push_back(std::move(one));
  return out;
}

std::optional<node> find_node(const entity_state& state, std::string_view id) {
  const auto* found = find(state, section::nodes, id, always);
  return found ? std::optional{read_node(id, found->data)} : std::nullopt;
}

std::optional<node_status> find_status(const entity_state& state, std::string_view id) {
  const auto* found = find(state, section::nodes, id, always);
  if (!found)
    return std::nullopt;
  return node_status_from(text_at(found->data, "status")).value_or(node_status::pending);
}

bool is_cancelled(const entity_state& state) {
  return find(state, section::run, "cancelled", always) != nullptr;
}

std::vector<std::string> ready_nodes(const entity_state& state) {
  std::vector<std::string> out;
  if (is_cancelled(state))
    return out;
  const auto nodes = nodes_of(state);
  std::set<std::string_view> through;
  for (const auto& one : nodes) {
    if (finished(one.status))
      through.insert(one.id);
  }
  for (const auto& one : nodes) {
    if (one.status == node_status::pending
        && std::all_of(one.after.begin(), one.after.end(),
                       [&](const auto& id) { return through.contains(id); }))
      out.push_back(one.id);
  }
  return out;
}

value inputs_of(const entity_state& state, std::string_view id) {
  std::map<std::string, std::optional<value>> found;
  std::vector<std::string> open{std::string{id}};
  while (!open.empty()) {
    const auto one = find_node(state, open.back());
    open.pop_back();
    if (!one)
      continue;
    if (one->id != id)
      found[one->id] = one->result;
    for (const auto& before : one->after) {
      if (found.emplace(before, std::nullopt).second)
        open.push_back(before);
    }
  }
  value_writer out;
  out.begin_map(static_cast<std::size_t>(
      std::count_if(found.begin(), found.end(), [](const auto& x) { return x.second; })));
  for (const auto& [name, result] : found) {
    if (result)
      out.string(name).raw(*result);
  }
  return out.finish();
}

node_status status_of_workflow(const entity_state& state) {
  const auto nodes = nodes_of(state);
  const auto any = [&](auto&& test) { return std::any_of(nodes.begin(), nodes.end(), test); };
  if (any([](const node& n) { return n.status == node_status::running; }))
    return node_status::running;
  if (any([](const node& n) { return n.status == node_status::failed; }))
    return node_status::failed;
  if (!nodes.empty() && !any([](const node& n) { return !finished(n.status); }))
    return node_status::done;
  return any([](const node& n) { return n.attempts > 0 || finished(n.status); })
             ? node_status::running
             : node_status::pending;
}

}  // namespace troupe
