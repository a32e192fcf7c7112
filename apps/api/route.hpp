#pragma once

#include "api/call.hpp"
#include "api/schema.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The table of all routes: dispatch, `Allow`, `/openapi.json` and the contract tests are made of
/// it.
namespace troupe::api {

/// Which scopes a route of {S} has: bits `1 << entity_kind`.
inline constexpr std::uint8_t session_only = 1u << static_cast<unsigned>(entity_kind::session);
inline constexpr std::uint8_t workflow_only = 1u << static_cast<unsigned>(entity_kind::workflow);
inline constexpr std::uint8_t team_only = 1u << static_cast<unsigned>(entity_kind::team);
inline constexpr std::uint8_t every_scope = 0x3e;
inline constexpr std::uint8_t no_scope = 0;  ///< it is not of {S}

struct route {
  std::string_view method;
  /// "{S}/state/{key}" or "/v1/cache/{key}". {S} is /v1/sessions/{id}, /v1/workflows/{id},
  /// /v1/teams/{id}, /v1/users/{id} or /v1/global.
  std::string_view pattern;
  std::uint8_t scopes = every_scope;
  role needs = role::reader;
  void (*run)(const call_ptr&) = nullptr;
  std::string_view summary;
  std::string_view query{};           ///< its parameters, separated by spaces; others are refused
  schema_function body = nullptr;     ///< of the request
  schema_function shows = nullptr;    ///< of the answer; null: it has no JSON
  int status = 200;                   ///< of the answer when all is well
  std::string_view media{};           ///< of an answer that is no JSON, separated by spaces
  bool local = false;                 ///< asks for no token on the node's own machine
  bool for_operators = false;         ///< only on their listener, where they have one
  schema_function receipt = nullptr;  ///< of the 200 in place of `status` that the query asks for
  std::string_view takes{};           ///< types of a body that is no JSON, separated by spaces
};

/// The rows of one resource.
std::span<const route> dashboard_routes();
std::span<const route> operation_routes();
std::span<const route> admin_routes();
std::span<const route> agent_routes();
std::span<const route> set_routes();
std::span<const route> event_routes();
std::span<const route> info_routes();
std::span<const route> state_routes();
std::span<const route> item_routes();
std::span<const route> version_routes();
std::span<const route> fork_routes();
std::span<const route> work_routes();
std::span<const route> workflow_routes();
std::span<const route> team_routes();
std::span<const route> list_routes();
std::span<const route> cache_routes();
std::span<const route> transfer_routes();

/// All of them, with literal segments in front of {names} where both match.
[[nodiscard]] const std::vector<route>& all_routes();

/// What a path leads to.
struct match {
  const route* found = nullptr;  ///< null: no such path (`allowed` is empty), or no such method
  std::string allowed;           ///< of a path without this method, those that it has: "GET, PUT"
  entity_kind kind{};            ///< of {S}, with its id
  std::string_view id{};
  std::vector<std::string> parameters;  ///< what the other {names} stand for
  bool for_operators = false;           ///< the path is
};
[[nodiscard]] match find_route(std::string_view method, const std::vector<std::string>& path);

/// The paths that a pattern stands for: "/v1/sessions/{id}/state", ... "/v1/global/state".
[[nodiscard]] std::vector<std::string> paths_of(const route& what);

/// A body that the row takes, as JSON; empty: there is none to show.
[[nodiscard]] std::string_view example_of(const route& what);

/// OpenAPI 3.1 of the table.
[[nodiscard]] const std::string& openapi_document();

}  // namespace troupe::api
