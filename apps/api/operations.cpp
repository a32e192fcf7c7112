#include "api/route.hpp"

/// What watches a node asks: is it well, may it be asked, what can it do.
namespace troupe::api {

namespace {

struct status_body {
  std::string status = "ok";
  static constexpr auto fields = std::tuple{field{"status", &status_body::status}};
};

struct stats_body {
  std::uint64_t position = 0, materialised = 0, tail_bytes = 0, commits = 0, changes = 0, live = 0;
  static constexpr auto fields = std::tuple{field{"position", &stats_body::position},
                                            field{"materialised", &stats_body::materialised},
                                            field{"tail_bytes", &stats_body::tail_bytes},
                                            field{"commits", &stats_body::commits},
                                            field{"changes", &stats_body::changes},
                                            field{"live", &stats_body::live}};
};

void get_health(const call_ptr& c) {
  c->send(to_answer(status_body{}));
}

void get_readiness(const call_ptr& c) {
  if (c->doors.draining())
    return c->refuse({errc::draining, "the node is shutting down"});
  c->send(to_answer(status_body{}));
}

void get_stats(const call_ptr& c) {
  c->doors.stats([c](expected<runtime_stats> found) {
    if (!found)
      return c->refuse(found.error());
    const auto& x = *found;
    c->send(to_answer(
        stats_body{x.position, x.materialised, x.tail_bytes, x.commits, x.changes, x.live}));
  });
}

void get_openapi(const call_ptr& c) {
  c->send(http::response{.body = openapi_document()});
}

constexpr route rows[] = {
    {"GET", "/healthz", no_scope, role::anybody, get_health, "The node answers", "", nullptr,
     schema_of<status_body>},
    {"GET", "/readyz", no_scope, role::anybody, get_readiness,
     "The node takes requests; 503 while it shuts down", "", nullptr, schema_of<status_body>},
    {"GET", "/v1/stats", no_scope, role::reader, get_stats,
     "Changes committed, how many of them snapshots cover, and what is live", "", nullptr,
     schema_of<stats_body>},
    {"GET", "/openapi.json", no_scope, role::anybody, get_openapi, "This document", "", nullptr,
     schema_of<any_object>},
};

}  // namespace

std::span<const route> operation_routes() {
  return rows;
}

}  // namespace troupe::api
