#include "api/entity_name.hpp"
#include "api/process_metrics.hpp"
#include "api/route.hpp"

#include <algorithm>
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
  if (c->request.body.empty())
    return c->refuse({errc::malformed, "send {\"namespace\": ...}, the one to be cleared"});
  const auto body = c->body_as<clear_body>();
  if (!body)
    return c->refuse(body.error());
  if (body->name_space != c->who.name_space)
    return c->refuse({errc::invalid_value,
                      "`namespace` is the one to be cleared, your own: " + c->who.name_space,
                      "/namespace"});
  c->doors.clear_all(c->who, report_to(c));
}

struct backup_body {
  std::string name{};
  bool compacting = false;
  static constexpr auto fields = std::tuple{defaulted{"name", &backup_body::name},
                                            defaulted{"compacting", &backup_body::compacting}};
};
struct backed_up_body {
  std::string name{};
  std::uint64_t entities = 0, records = 0, position = 0, bytes = 0;
  static constexpr auto fields = std::tuple{
      field{"name", &backed_up_body::name}, field{"entities", &backed_up_body::entities},
      field{"records", &backed_up_body::records}, field{"position", &backed_up_body::position},
      field{"bytes", &backed_up_body::bytes}};
};

constexpr std::size_t longest_backup_name = 100;  // then: bad_id

/// A name and never a path: no separator, no leading dot.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= longest_backup_name && name.front() != '.'
         && name.find_first_not_of(
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
                == std::string_view::npos;
}

/// "2026-01-02T12-00-00.123Z"
std::string name_of_now(timestamp now) {
  auto out = to_rfc3339(now);
  std::ranges::replace(out, ':', '-');
  return out;
}

void post_backup(const call_ptr& c) {
  auto body = c->optional_body_as<backup_body>();
  if (!body)
    return c->refuse(body.error());
  if (body->name.empty())
    body->name = name_of_now(c->doors.now());
  if (!is_plain_name(body->name))
    return c->refuse({.code = errc::bad_id,
                      .message = "a backup's name is 1 to 100 letters, digits, '.', '_' and '-', "
                                 "and begins with no '.'",
                      .path = "/name",
                      .limit = longest_backup_name});
  c->doors.back_up(
      body->name, body->compacting, [c, name = body->name](expected<backup_made> made) {
        if (!made)
          return c->refuse(made.error());
        const auto& x = *made;
        auto out = to_answer(backed_up_body{name, x.entities, x.records, x.position, x.bytes});
        out.status = 201;
        c->send(std::move(out));
      });
}

struct compact_body {
  std::optional<std::uint64_t> kept_bytes{};
  static constexpr auto fields = std::tuple{field{"kept_bytes", &compact_body::kept_bytes}};
};
struct journal_body {
  std::uint64_t first = 0, materialised = 0, tail_bytes = 0, covered_bytes = 0;
  static constexpr auto fields = std::tuple{field{"first", &journal_body::first},
                                            field{"materialised", &journal_body::materialised},
                                            field{"tail_bytes", &journal_body::tail_bytes},
                                            field{"covered_bytes", &journal_body::covered_bytes}};
};
struct compacted_body {
  journal_body before{}, after{};
  static constexpr auto fields =
      std::tuple{field{"before", &compacted_body::before}, field{"after", &compacted_body::after}};
};

void post_compact(const call_ptr& c) {
  const auto body = c->optional_body_as<compact_body>();
  if (!body)
    return c->refuse(body.error());
  const auto told = [](const store_stats& x) {
    return journal_body{x.first, x.materialised, x.tail_bytes, x.covered_bytes};
  };
  c->doors.make_room(body->kept_bytes.value_or(c->doors.settings.kept_bytes),
                     [c, told](expected<room_made> made) {
                       if (!made)
                         return c->refuse(made.error());
                       c->send(to_answer(compacted_body{told(made->before), told(made->after)}));
                     });
}

constexpr route rows[] = {
    {"GET", "/metrics", no_scope, role::admin, get_metrics, "What the node counts, for Prometheus",
     "", nullptr, nullptr, 200, "text/plain", true, true},
    {"POST", "/v1/admin/reap", no_scope, role::admin, post_reap,
     "Delete what was not changed for `max_age_s`, or for its own ttl; 0: only the latter", "",
     schema_of<reap_body>, schema_of<report_body>, 200, "", false, true},
    {"POST", "/v1/admin/clear", no_scope, role::admin, post_clear,
     "Delete every entity of the namespace, which is named again", "", schema_of<clear_body>,
     schema_of<report_body>, 200, "", false, true},
    {"POST", "/v1/admin/backup", no_scope, role::admin, post_backup,
     "Copy the store below the directory of --backups while the node goes on", "",
     schema_of<backup_body>, schema_of<backed_up_body>, 201, "", false, true},
    {"POST", "/v1/admin/compact", no_scope, role::admin, post_compact,
     "Fold what was committed into snapshots and free the journal they cover but for `kept_bytes`",
     "", schema_of<compact_body>, schema_of<compacted_body>, 200, "", false, true},
};

}  // namespace

std::span<const route> admin_routes() {
  return rows;
}

}  // namespace troupe::api
