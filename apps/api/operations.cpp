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

struct node_body {
  std::string name{}, status{};
  std::uint64_t shards = 1, live = 0;
  static constexpr auto fields =
      std::tuple{field{"name", &node_body::name}, field{"status", &node_body::status},
                 field{"shards", &node_body::shards}, field{"live", &node_body::live}};
};
struct nodes_body {
  std::vector<node_body> items{};
  nullable_text next_cursor{};
  static constexpr auto fields = std::tuple{field{"items", &nodes_body::items},
                                            field{"next_cursor", &nodes_body::next_cursor}};
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

/// A node owns all shards, and there is one.
void get_nodes(const call_ptr& c) {
  const auto& node = c->doors.settings;
  c->send(to_answer(nodes_body{.items = {{.name = node.name,
                                          .status = c->doors.draining() ? "draining" : "ready",
                                          .live = c->doors.live()}}}));
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
    {"GET", "/v1/nodes", no_scope, role::reader, get_nodes,
     "The nodes that there are, with what they own", "", nullptr, schema_of<nodes_body>},
    {"GET", "/openapi.json", no_scope, role::anybody, get_openapi, "This document", "", nullptr,
     schema_of<any_object>},
};

}  // namespace

std::span<const route> operation_routes() {
  return rows;
}

}  // namespace troupe::api
