#include <troupe/state/json.hpp>

#include "api/route.hpp"
#include "support/api_node.hpp"
#include "support/api_steps.hpp"
#include "support/json_schema.hpp"
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

/// The route table against a node: every row is driven, answers are what its schemas say, and what
/// is wrong with a request is refused on each in the same way.

using namespace troupe;
using node = testing::api_node;

using namespace troupe::testing;

namespace {

value parsed(const std::string& json) {
  auto read = value_from_json(json);
  REQUIRE_MESSAGE(read, json);
  return *std::move(read);
}

/// The operation of a row in the document that a node serves.
value_view operation_of(value_view document, const api::route& r, const std::string& path) {
  std::string method{r.method};
  for (auto& c : method)
    c = static_cast<char>(c - 'A' + 'a');
  const auto item = document.find("paths")->find(path);
  REQUIRE_MESSAGE(item, path);
  const auto found = item->find(method);
  REQUIRE_MESSAGE(found, name_of(r));
  return *found;
}

value_view schema_in(value_view holder) {
  return *holder.find("content")->find("application/json")->find("schema");
}

bool has_member(value_view operation, std::string_view name) {
  return operation.find("requestBody")
      ->find("content")
      ->find("application/json")
      ->find(name)
      .has_value();
}

}  // namespace

TEST_CASE("every row of the route table is in openapi.json with its schemas") {
  node n;
  const auto document = parsed(n.send("GET", "/openapi.json").body);
  std::set<std::string> operations;
  std::size_t paths = 0;
  for (const auto& r : api::all_routes()) {
    CAPTURE(name_of(r));
    for (const auto& path : api::paths_of(r)) {
      const auto operation = operation_of(document, r, path);
      ++paths;
      CHECK(operations.insert(std::string{*operation.find("operationId")->as_string()}).second);
      CHECK(operation.find("x-role")->as_string() == to_string(r.needs));
      const auto body = operation.find("requestBody");
      const bool takes_body = r.body != nullptr || !r.takes.empty();
      REQUIRE(body.has_value() == takes_body);
      if (r.body)
        CHECK(to_json(schema_in(*body)) == r.body());
      const auto answers = operation.find("responses");
      const auto success = answers->find(std::to_string(r.status));
      REQUIRE(success);
      if (r.shows)
        CHECK(to_json(schema_in(*success)) == r.shows());
      CHECK(answers->find("4XX"));
    }
  }
  std::size_t described = 0;
  for (auto at = document.view().find("paths")->children(); at.next();)
    described += at.item().size();
  CHECK(described == paths);
}

TEST_CASE("every row answers what its schema says and takes what its schema says") {
  node n;
  std::set<std::string> driven;
  for (const auto& s : steps) {
    const auto target = with_key(s.target);
    CAPTURE(s.method);
    CAPTURE(target);
    const auto path = http::parse_target(target);
    REQUIRE(path);
    const auto way = api::find_route(s.method, path->segments);
    REQUIRE(way.found);
    const auto& row = *way.found;
    driven.insert(name_of(row));
    if (*s.body != '\0') {
      const bool takes_body = row.body != nullptr || row.takes.find(s.type) != row.takes.npos;
      REQUIRE(takes_body);
    }
    if (*s.body != '\0' && row.body) {
      CHECK(testing::violation(parsed(s.body), parsed(row.body())) == "");
    }
    // A stream does not end: its head is what there is to compare.
    std::vector<http::header> headers;
    if (*s.body != '\0')
      headers.push_back({"Content-Type", s.type});
    const auto got =
        n.send(row.media == "text/event-stream" ? "HEAD" : s.method, target, s.body, headers);
    CAPTURE(got.body);
    CHECK(got.status == s.status);
    if (row.shows)
      CHECK(testing::violation(parsed(got.body), parsed(row.shows())) == "");
    else if (row.media.empty())
      CHECK(got.body == "");
    if (row.scopes != api::no_scope && row.needs != api::role::reader)
      CHECK(got.find_header("Troupe-Durable"));
  }
  for (const auto& r : api::all_routes())
    CHECK_MESSAGE(driven.contains(name_of(r)), name_of(r));
}

TEST_CASE("every example of openapi.json is a body that was sent and answered well") {
  std::size_t shown = 0;
  for (const auto& r : api::all_routes()) {
    CAPTURE(name_of(r));
    const std::string example{api::example_of(r)};
    bool sends = false, sent = false;
    for (const auto& s : steps) {
      const auto way = api::find_route(s.method, http::parse_target(with_key(s.target))->segments);
      if (way.found != &r || !r.body || *s.body == '\0')
        continue;
      sends = true;
      sent = sent || (!example.empty() && parsed(s.body) == parsed(example));
    }
    CHECK(sends == !example.empty());
    CHECK(sent == sends);
    shown += sent ? 1 : 0;
    if (sent)
      CHECK(has_member(operation_of(parsed(api::openapi_document()), r, api::paths_of(r).front()),
                       "example"));
  }
  CHECK(shown >= 30);
}

TEST_CASE("a schema check finds what does not fit") {
  const auto schema = parsed(
      R"({"type":"object","properties":{"a":{"type":"integer","minimum":0}},"required":["a"],"additionalProperties":false})");
  CHECK(testing::violation(parsed(R"({"a":1})"), schema) == "");
  for (const auto* bad : {R"({"a":-1})", R"({"a":1.0})", R"({})", R"({"a":1,"b":2})", "[]"})
    CHECK(testing::violation(parsed(bad), schema) != "");
  CHECK(testing::violation(parsed("1"), parsed(R"({"oneOf":[]})")) != "");
}

TEST_CASE("every row of an entity that is not there is 404 and leaves nothing behind") {
  node n;
  for (const auto& r : api::all_routes()) {
    if (r.scopes == api::no_scope || name_of(r) == "PUT {S}")
      continue;
    CAPTURE(name_of(r));
    std::string body;
    for (const auto& s : steps) {
      const auto path = http::parse_target(with_key(s.target));
      const auto way = api::find_route(s.method, path->segments);
      if (way.found == &r)
        body = s.body;
    }
    std::string query = r.pattern == "{S}/diff" ? "?from=1" : "";
    const auto got = n.send(std::string{r.method}, path_to(r, "nobody") + query, body);
    CAPTURE(got.body);
    CHECK(got.status == 404);
    CHECK(got.body.find(R"("code":"not_found")") != std::string::npos);
    CHECK(got.content_type == "application/problem+json");
  }
  CHECK(n.send("GET", "/v1/sessions").body == R"({"items":[],"next_cursor":null})");
}

TEST_CASE("every row refuses unknown parameters and bad ids and bodies that are none") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  n.send("PUT", "/v1/workflows/s");
  n.send("PUT", "/v1/teams/s");
  for (const auto& r : api::all_routes()) {
    CAPTURE(name_of(r));
    const std::string method{r.method};
    const auto refused = n.send(method, path_to(r, "s") + "?zz=1", "{}");
    CHECK(refused.status == 422);
    CHECK(refused.body.find(R"("code":"unknown_field")") != std::string::npos);
    if (r.scopes != api::no_scope)
      CHECK(n.send(method, path_to(r, "%01"), "{}").status == 400);
    if (r.body) {
      auto path = path_to(r, "s");
      if (r.pattern.starts_with("/v1/cache/{"))
        path = "/v1/cache/" + key;
      CHECK(n.send(method, path, "{").status == 400);
      CHECK(n.send(method, path, "{}", {{"Content-Type", "text/plain"}}).status == 415);
      CHECK(n.send(method, path, "\xc1", {{"Content-Type", "application/msgpack"}}).status == 400);
      if (r.body != &api::schema_of<value> && r.body != &api::schema_of<api::any_object>)
        CHECK(n.send(method, path, R"({"zz":1})").status == 422);
    }
  }
  for (const auto* path : {"/v1/sessions/s", "/v1/workflows/s", "/v1/teams/s"})
    CHECK(*n.send("GET", path).find_header("ETag") == "\"1\"");
}

TEST_CASE("every path refuses other methods with those it has") {
  node n;
  for (const auto& r : api::all_routes()) {
    CAPTURE(name_of(r));
    const auto answer = n.send("TRACE", path_to(r, "s"));
    CHECK(answer.status == 405);
    const auto* allowed = answer.find_header("Allow");
    REQUIRE(allowed);
    CHECK((", " + *allowed + ",").find(", " + std::string{r.method} + ",") != std::string::npos);
  }
}
