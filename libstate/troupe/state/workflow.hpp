#pragma once

#include <troupe/state/commands.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Reads of a workflow: its nodes, in which order they may run, what they found. Shared state of
/// the nodes is the entity's key-value state.
namespace troupe {

struct node {
  std::string id{};
  std::vector<std::string> after{};
  node_status status = node_status::pending;
  std::uint64_t attempts = 0;
  std::optional<value> result{};
  friend bool operator==(const node&, const node&) = default;
};

/// In the order of their definition.
[[nodiscard]] std::vector<node> nodes_of(const entity_state& state);
/// Nothing when there is no such node.
[[nodiscard]] std::optional<node> find_node(const entity_state& state, std::string_view id);
[[nodiscard]] std::optional<node_status> find_status(const entity_state& state,
                                                     std::string_view id);
[[nodiscard]] bool is_cancelled(const entity_state& state);

/// Ids of the pending nodes that may start now, in the order of their definition; none while
/// cancelled.
[[nodiscard]] std::vector<std::string> ready_nodes(const entity_state& state);

/// What a node may build on: the results of all nodes it depends on, directly or not, by id.
[[nodiscard]] value inputs_of(const entity_state& state, std::string_view id);

/// Where the workflow as a whole stands: `done` when every node is done or skipped, `failed` when
/// one failed and none runs, `running` once one started or was skipped, else `pending`; also
/// `pending` without nodes.
[[nodiscard]] node_status status_of_workflow(const entity_state& state);

[[nodiscard]] std::string_view to_string(node_status status) noexcept;
/// Errors: `invalid_value`, naming the words there are.
expected<node_status> node_status_from(std::string_view text);

}  // namespace troupe
