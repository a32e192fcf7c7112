#include "api/entity_name.hpp"
#include "api/process_metrics.hpp"
#include "api/route.hpp"

#include <utility>

/// What an operator asks of a node beside its entities.
namespace troupe::api {

namespace {

constexpr std::string_view prometheus = "text/plain; version=0.0.4; charset=utf-8";

struct reap_body {
  std::uint64_t max_age_s = 0;
  std::vector<std::string> scopes{"session"};
  static constexpr auto fields = std::tuple{defaulted{"max_age_s", &reap_body::max_age_s},
                                            defaulted{"scopes", &reap_body::scopes}};
};
struct clear_body {
  std::string name_space{};
  static constexpr auto fields = std::tuple{field{"namespace", &clear_body::name_space}};
};
struct report_body {
  std::uint64_t looked_at = 0, deleted = 0, awake = 0, forked = 0, changed = 0, failed = 0;
  static constexpr auto fields = std::tuple{
      field{"looked_at", &report_body::looked_at}, field{"deleted", &report_body::deleted},
      field{"awake", &report_body::awake},         field{"forked", &report_body::forked},
      field{"changed", &report_body::changed},     field{"failed", &report_body::failed}};
};

std::function<void(expected<cleanup_report>)> report_to(const call_ptr& c) {
  return [c](expected<cleanup_report> done) {
    if (!done)
      return c->refuse(done.error());
    const auto& x = *done;
    c->send(to_answer(report_body{x.looked_at, x.deleted, x.awake, x.forked, x.changed, x.failed}));
  };
}

void get_metrics(const call_ptr& c) {
  c->doors.metrics([c](expected<std::string> text) {
    if (!text)
      return c->refuse(text.error());
    http::response out{.body = *std::move(text) + process_metrics()};
    out.content_type = prometheus;
    c->send(std::move(out));
  });
}

void post_reap(const call_ptr& c) {
  const auto body = c->optional_body_as<reap_body>();
  if (!body)
    return c->refuse(body.error());
  constexpr std::uint64_t longest = max_number / 1000;
  if (body->max_age_s > longest)
    return c->refuse({.code = errc::invalid_value,
                      .message = "an age is longer than what a time holds",
                      .path = "/max_age_s",
                      .limit = longest});
  cleanup what{.max_age = std::chrono::seconds{body->max_age_s}};
  what.kinds.clear();
  for (const auto& name : body->scopes) {
    const auto kind = kind_of(name, "/scopes/" + std::to_string(what.kinds.size()));
    if (!kind)
      return c->refuse(kind.error());
    what.kinds.push_back(*kind);
  }
  c->doors.clean_up(c->who, std::move(what), report_to(c));
}

/// The name of what is lost is asked for, so that nobody clears a node that he took for another.
void post_clear(const call_ptr& c) {
  const auto body = c->body_as<clear_body>();
  if (!body)
    return c->refuse(body.error());
  if (body->name_space != c->who.name_space)
    return c->refuse({errc::invalid_value,
                      "`namespace` is the one to be cleared, your own: " + c->who.name_space,
                      "/namespace"});
  c->doors.clear_all(c->who, report_to(c));
}

constexpr route rows[] = {
    {"GET", "/metrics", no_scope, role::admin, get_metrics, "What the node counts, for Prometheus",
     "", nullptr, nullptr, 200, "text/plain", true},
    {"POST", "/v1/admin/reap", no_scope, role::admin, post_reap,
     "Delete what was not changed for `max_age_s`, or for its own ttl; 0: only the latter", "",
     schema_of<reap_body>, schema_of<report_body>},
    {"POST", "/v1/admin/clear", no_scope, role::admin, post_clear,
     "Delete every entity of the namespace, which is named again", "", schema_of<clear_body>,
     schema_of<report_body>},
};

}  // namespace

std::span<const route> admin_routes() {
  return rows;
}

}  // namespace troupe::api
