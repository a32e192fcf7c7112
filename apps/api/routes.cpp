#include "api/route.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace troupe::api {

namespace {

constexpr std::pair<std::string_view, entity_kind> collections[] = {
    {"sessions", entity_kind::session}, {"workflows", entity_kind::workflow},
    {"teams", entity_kind::team},       {"users", entity_kind::user},
    {"global", entity_kind::global},
};
constexpr std::string_view of_scope = "{S}";

bool has_scope(const route& r, entity_kind kind) {
  return (r.scopes & (1u << static_cast<unsigned>(kind))) != 0;
}

using segments = std::span<const std::string>;

/// What the {names} of `pattern` stand for when it is the path; it begins behind {S}, if there is
/// one.
std::optional<std::vector<std::string>> matched(std::string_view pattern, segments path) {
  std::vector<std::string> out;
  if (pattern == "/")
    pattern = {};
  while (!pattern.empty()) {
    pattern.remove_prefix(1);  // '/'
    const auto step = pattern.substr(0, pattern.find('/'));
    pattern.remove_prefix(step.size());
    if (path.empty())
      return std::nullopt;
    if (step.starts_with('{'))
      out.push_back(path.front());
    else if (step != path.front())
      return std::nullopt;
    path = path.subspan(1);
  }
  if (!path.empty())
    return std::nullopt;
  return out;
}

/// {S} at the beginning of a path: which entity, and what follows.
struct scope_path {
  entity_kind kind;
  std::string_view id;
  segments rest;
};
std::optional<scope_path> scope_of(segments path) {
  if (path.size() < 2 || path[0] != "v1")
    return std::nullopt;
  for (const auto& [name, kind] : collections) {
    if (path[1] != name)
      continue;
    if (kind == entity_kind::global)
      return scope_path{kind, name, path.subspan(2)};
    if (path.size() > 2)
      return scope_path{kind, path[2], path.subspan(3)};
  }
  return std::nullopt;
}

}  // namespace

const std::vector<route>& all_routes() {
  static const auto all = [] {
    std::vector<route> out;
    for (const auto rows :
         {dashboard_routes(), operation_routes(), admin_routes(), agent_routes(), set_routes(),
          event_routes(), info_routes(), state_routes(), item_routes(), version_routes(),
          fork_routes(), work_routes(), workflow_routes(), team_routes(), list_routes(),
          cache_routes(), transfer_routes()})
      out.insert(out.end(), rows.begin(), rows.end());
    return out;
  }();
  return all;
}

match find_route(std::string_view method, const std::vector<std::string>& path) {
  match out;
  const auto scope = scope_of(path);
  std::string_view pattern;  // the one that matched first
  for (const auto& r : all_routes()) {
    const bool scoped = r.pattern.starts_with(of_scope);
    if (scoped && !(scope && has_scope(r, scope->kind)))
      continue;
    if (!pattern.empty() && r.pattern != pattern)
      continue;
    auto values =
        scoped ? matched(r.pattern.substr(of_scope.size()), scope->rest) : matched(r.pattern, path);
    if (!values)
      continue;
    pattern = r.pattern;
    out.for_operators = r.for_operators;
    out.allowed += (out.allowed.empty() ? "" : ", ") + std::string{r.method};
    if (r.method != method)
      continue;
    out.found = &r;
    out.parameters = *std::move(values);
    if (scoped) {
      out.kind = scope->kind;
      out.id = scope->id;
    }
  }
  return out;
}

std::vector<std::string> paths_of(const route& what) {
  if (!what.pattern.starts_with(of_scope))
    return {std::string{what.pattern}};
  std::vector<std::string> out;
  for (const auto& [name, kind] : collections) {
    if (has_scope(what, kind))
      out.push_back("/v1/" + std::string{name} + (kind == entity_kind::global ? "" : "/{id}")
                    + std::string{what.pattern.substr(of_scope.size())});
  }
  return out;
}

}  // namespace troupe::api
