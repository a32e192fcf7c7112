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
constexpr std::size_t most_segments = 12;  // of a path; then: no row fits

bool has_scope(const route& r, entity_kind kind) {
  return (r.scopes & (1u << static_cast<unsigned>(kind))) != 0;
}

using segments = std::span<const std::string>;

/// A row with its pattern as segments, behind {S} if there is one: cut once and not for each
/// request, which is compared with all of its length.
struct cut_route {
  const route* row;
  bool scoped;
  std::vector<std::string_view> steps;
};

cut_route cut(const route& row) {
  cut_route out{&row, row.pattern.starts_with(of_scope), {}};
  auto pattern = row.pattern.substr(out.scoped ? of_scope.size() : 0);
  if (pattern == "/")
    pattern = {};
  while (!pattern.empty()) {
    pattern.remove_prefix(1);  // '/'
    out.steps.push_back(pattern.substr(0, pattern.find('/')));
    pattern.remove_prefix(out.steps.back().size());
  }
  return out;
}

/// Whether a path of so many segments may fit: {S} is three, or two for the global one.
bool may_fit(const cut_route& r, std::size_t length) {
  const auto more = length - std::min(length, r.steps.size());
  return length >= r.steps.size() && (r.scoped ? more == 2 || more == 3 : more == 0);
}

/// The rows that a path of so many segments may fit, in their order.
const std::vector<cut_route>& cut_routes(std::size_t length) {
  static const auto all = [] {
    std::vector<std::vector<cut_route>> out(1 + most_segments);
    for (std::size_t i = 0; i < most_segments; ++i)
      for (const auto& row : all_routes())
        if (auto one = cut(row); may_fit(one, i))
          out[i].push_back(std::move(one));
    return out;
  }();
  return all[std::min(length, most_segments)];
}

bool fits(const cut_route& r, segments path) {
  return std::ranges::equal(r.steps, path, [](std::string_view step, const std::string& segment) {
    return step.starts_with('{') || step == segment;
  });
}

/// What the {names} stand for in a path that fits.
std::vector<std::string> values_of(const cut_route& r, segments path) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < path.size(); ++i)
    if (r.steps[i].starts_with('{'))
      out.push_back(path[i]);
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
  for (const auto& r : cut_routes(path.size())) {
    const auto& row = *r.row;
    if (r.scoped && !(scope && has_scope(row, scope->kind)))
      continue;
    if (!pattern.empty() && row.pattern != pattern)
      continue;
    const auto rest = r.scoped ? scope->rest : segments{path};
    if (!fits(r, rest))
      continue;
    pattern = row.pattern;
    out.for_operators = row.for_operators;
    if (row.method != method) {
      out.allowed += (out.allowed.empty() ? "" : ", ") + std::string{row.method};
      continue;
    }
    out.allowed.clear();
    out.found = &row;
    out.parameters = values_of(r, rest);
    if (r.scoped) {
      out.kind = scope->kind;
      out.id = scope->id;
    }
    break;
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
