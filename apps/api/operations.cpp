#include "api/route.hpp"

/// What watches a node asks: is it well, may it be asked, what can it do.
namespace troupe::api {

namespace {

struct status_body {
  std::string status = "ok";
  static constexpr auto fields = std::tuple{field{"status", &status_body::status}};
};

answer ok() {
  auto out = to_answer(status_body{}, 0);
  out.etag.reset();
  return out;
}

void get_health(const call_ptr& c) {
  c->send(ok());
}

void get_readiness(const call_ptr& c) {
  if (c->doors.draining())
    return c->refuse({errc::draining, "the node is shutting down"});
  c->send(ok());
}

void get_openapi(const call_ptr& c) {
  c->send(http::response{.body = openapi_document()});
}

constexpr route rows[] = {
    {"GET", "/healthz", no_scope, role::reader, get_health, "The node answers", "", nullptr,
     schema_of<status_body>},
    {"GET", "/readyz", no_scope, role::reader, get_readiness,
     "The node takes requests; 503 while it shuts down", "", nullptr, schema_of<status_body>},
    {"GET", "/openapi.json", no_scope, role::reader, get_openapi, "This document", "", nullptr,
     schema_of<any_object>},
};

}  // namespace

std::span<const route> operation_routes() {
  return rows;
}

}  // namespace troupe::api
