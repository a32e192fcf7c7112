#include <troupe/state/workflow.hpp>

#include "api/route.hpp"

#include <utility>

template <>
struct troupe::names_of<troupe::node_status> {
  static constexpr std::pair<node_status, std::string_view> value[] = {
      {node_status::pending, "pending"},
      {node_status::running, "running"},
      {node_status::done, "done"},
      {node_status::failed, "failed"},
      {node_status::skipped, "skipped"}};
};
template <>
struct troupe::fields_of<troupe::node_definition> {
  static constexpr auto value =
      std::tuple{field{"id", &node_definition::id}, defaulted{"after", &node_definition::after}};
};
template <>
struct troupe::fields_of<troupe::node> {
  static constexpr auto value = std::tuple{
      field{"id", &node::id}, field{"after", &node::after}, field{"status", &node::status},
      field{"attempts", &node::attempts}, field{"result", &node::result}};
};

/// {S}/nodes: a workflow's graph and its execution.
namespace troupe::api {

namespace {

struct graph_body {
  std::vector<node_definition> nodes{};
  static constexpr auto fields = std::tuple{field{"nodes", &graph_body::nodes}};
};
struct nodes_body {
  std::uint64_t revision = 0;
  node_status status{};
  bool cancelled = false;
  std::vector<std::string> ready{};
  std::vector<node> nodes{};
  static constexpr auto fields =
      std::tuple{field{"revision", &nodes_body::revision}, field{"status", &nodes_body::status},
                 field{"cancelled", &nodes_body::cancelled}, field{"ready", &nodes_body::ready},
                 field{"nodes", &nodes_body::nodes}};
};
struct node_patch {
  node_status status{};
  std::optional<value> result{};
  static constexpr auto fields =
      std::tuple{field{"status", &node_patch::status}, field{"result", &node_patch::result}};
};

void get_nodes(const call_ptr& c) {
  read(c, [](const entity_state& state) {
    return to_answer(nodes_body{state.revision, status_of_workflow(state), is_cancelled(state),
                                ready_nodes(state), nodes_of(state)},
                     state.revision);
  });
}

void put_nodes(const call_ptr& c) {
  auto body = c->body_as<graph_body>();
  if (!body)
    return c->refuse(body.error());
  execute(c, {define_nodes{std::move(body->nodes)}}, revision_answer);
}

void patch_node(const call_ptr& c) {
  auto body = c->body_as<node_patch>();
  if (!body)
    return c->refuse(body.error());
  execute(c, {update_node{c->parameters[0], body->status, std::move(body->result)}},
          revision_answer);
}

constexpr route rows[] = {
    {"GET", "{S}/nodes", workflow_only, role::reader, get_nodes,
     "Every node with its status, attempts and result, and which may start now", "consistency",
     nullptr, schema_of<nodes_body>},
    {"PUT", "{S}/nodes", workflow_only, role::writer, put_nodes,
     "Define the graph; nodes that stay keep their execution", "", schema_of<graph_body>,
     schema_of<revision_body>},
    {"PATCH", "{S}/nodes/{node}", workflow_only, role::writer, patch_node,
     "Move a node; 409 while what it depends on is not done", "", schema_of<node_patch>,
     schema_of<revision_body>},
};

}  // namespace

std::span<const route> workflow_routes() {
  return rows;
}

}  // namespace troupe::api
