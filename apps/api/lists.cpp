#include <troupe/state/json.hpp>

#include "api/info.hpp"
#include "api/route.hpp"

#include <algorithm>
#include <utility>

/// Lists of sessions, workflows, teams and users; those that sleep are listed without waking them.
namespace troupe::api {

namespace {

struct entities_body {
  std::vector<info_body> items{};
  nullable_text next_cursor{};
  static constexpr auto fields = std::tuple{field{"items", &entities_body::items},
                                            field{"next_cursor", &entities_body::next_cursor}};
};

/// What a query asks for; `status` is not in a header.
struct filter {
  std::optional<std::string> user{}, tag{};
  std::optional<timestamp> active_before{};
  std::vector<std::pair<std::string, std::string>> metadata{};  ///< field -> text
  std::optional<bool> live{};

  bool operator()(const entity_header& header) const {
    if (user && header.user != *user)
      return false;
    if (tag && std::ranges::find(header.tags, *tag) == header.tags.end())
      return false;
    if (active_before && header.last_activity >= *active_before)
      return false;
    return std::ranges::all_of(metadata, [&](const auto& wanted) {
      const auto held = header.metadata.view().find(wanted.first);
      return held && as_text(*held) == wanted.second;
    });
  }

  /// A string as it is, all else as JSON: `metadata.n=1`, `metadata.done=true`.
  static std::string as_text(value_view x) {
    const auto text = x.as_string();
    return text ? std::string{*text} : to_json(x);
  }
};

constexpr std::string_view metadata_prefix = "metadata.";

expected<filter> decode_filter(const call& c) {
  filter out;
  for (const auto& [name, given] : c.target.query) {
    if (name == "user") {
      out.user = given;
    } else if (name == "tag") {
      out.tag = given;
    } else if (name.starts_with(metadata_prefix)) {
      out.metadata.emplace_back(name.substr(metadata_prefix.size()), given);
    } else if (name == "active_before") {
      out.active_before = parse_rfc3339(given);
      if (!out.active_before)
        return fail(errc::invalid_value, "a time of RFC 3339 is expected", name);
    } else if (name == "status") {
      if (given != "active" && given != "hibernated")
        return fail(errc::invalid_value, "`status` is active or hibernated", name);
      out.live = given == "active";
    }
  }
  return out;
}

/// Ends a page in front of the first id that does not begin so; ids are in order.
void cut_behind(listing& page, std::string_view prefix) {
  const auto other = [&](const std::string& id) { return !id.starts_with(prefix); };
  const auto end = std::ranges::find_if(page.rows, other, &listing::row::id);
  if (end != page.rows.end() || (page.next && other(*page.next)))
    page.next.reset();
  page.rows.erase(end, page.rows.end());
}

template <entity_kind Kind>
void get_list(const call_ptr& c) {
  auto wanted = decode_filter(*c);
  if (!wanted)
    return c->refuse(wanted.error());
  const auto limit = c->number("limit");
  if (!limit)
    return c->refuse(limit.error());
  if (limit->value_or(1) == 0 || limit->value_or(1) > max_listed)
    return c->refuse({.code = errc::invalid_value,
                      .message = "a page has 1 to 1,000 entries",
                      .path = "limit",
                      .limit = max_listed});
  const auto* cursor = c->query("cursor");
  const auto* given = c->query("prefix");
  const auto prefix = given ? *given : std::string{};
  const bool from_prefix = !cursor || *cursor < prefix;
  const auto live = wanted->live;
  c->doors.list(c->who,
                {.kind = Kind,
                 .after = from_prefix ? prefix : *cursor,
                 .including = from_prefix,
                 .limit = limit->value_or(100),
                 .wanted = *std::move(wanted)},
                [c, live, prefix](expected<listing> page) {
                  if (!page)
                    return c->refuse(page.error());
                  cut_behind(*page, prefix);
                  entities_body out{.items = {}, .next_cursor = {std::move(page->next)}};
                  for (const auto& [id, header] : page->rows) {
                    const auto entity = c->doors.resolve(c->who, Kind, id);
                    const bool awake = entity && entity->is_live();
                    if (!live || *live == awake)
                      out.items.push_back(to_info(id, header, awake));
                  }
                  auto shown = to_answer(out, 0);
                  shown.etag.reset();
                  c->send(std::move(shown));
                });
}

constexpr std::string_view parameters =
    "prefix user tag status active_before limit cursor metadata.";

constexpr route rows[] = {
    {"GET", "/v1/sessions", no_scope, role::reader, get_list<entity_kind::session>,
     "Sessions by id; with `status` a page may be shorter than its limit", parameters, nullptr,
     schema_of<entities_body>},
    {"GET", "/v1/workflows", no_scope, role::reader, get_list<entity_kind::workflow>,
     "Workflows by id", parameters, nullptr, schema_of<entities_body>},
    {"GET", "/v1/teams", no_scope, role::reader, get_list<entity_kind::team>, "Teams by id",
     parameters, nullptr, schema_of<entities_body>},
    {"GET", "/v1/users", no_scope, role::reader, get_list<entity_kind::user>, "Users by id",
     parameters, nullptr, schema_of<entities_body>},
};

}  // namespace

std::span<const route> list_routes() {
  return rows;
}

}  // namespace troupe::api
