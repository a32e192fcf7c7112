#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <string>

/// What an operator asks of a node.

using namespace troupe;
using node = testing::api_node;

TEST_CASE("metrics are Prometheus text and count") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  const auto got = n.send("GET", "/metrics");
  CHECK(got.status == 200);
  CHECK(got.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CAPTURE(got.body);
  CHECK(got.body.find("\ntroupe_changes_total 1 ") != std::string::npos);
}

TEST_CASE("reaping deletes what is old enough of the scopes that are named") {
  node n;
  n.send("PUT", "/v1/sessions/old");
  n.send("PUT", "/v1/teams/t");
  n.advance(3'600'000);
  n.send("PUT", "/v1/sessions/new");
  const auto done = n.send("POST", "/v1/admin/reap", R"({"max_age_s":1800})");
  CHECK(done.status == 200);
  CHECK(done.body.find(R"("deleted":1,)") != std::string::npos);
  CHECK(n.send("GET", "/v1/sessions/old").status == 404);
  CHECK(n.send("GET", "/v1/sessions/new").status == 200);
  CHECK(n.send("GET", "/v1/teams/t").status == 200);
  n.send("POST", "/v1/admin/reap", R"({"max_age_s":1800,"scopes":["team"]})");
  CHECK(n.send("GET", "/v1/teams/t").status == 404);
}

TEST_CASE("reaping refuses scopes that there are not and ages that no time holds") {
  node n;
  const auto scope = n.send("POST", "/v1/admin/reap", R"({"scopes":["session","file"]})");
  CHECK(scope.status == 422);
  CHECK(scope.body.find(R"("path":"/scopes/1")") != std::string::npos);
  const auto age = n.send("POST", "/v1/admin/reap", R"({"max_age_s":9223372036854775808})");
  CHECK(age.status == 422);
  CHECK(age.body.find(R"("path":"/max_age_s")") != std::string::npos);
}

TEST_CASE("clearing deletes all scopes once the namespace is named") {
  node n;
  for (const auto* one :
       {"/v1/sessions/s", "/v1/teams/s", "/v1/workflows/s", "/v1/users/s", "/v1/global"})
    CHECK(n.send("PUT", one).status == 201);
  CHECK(n.send("POST", "/v1/admin/clear", R"({"namespace":"other"})").status == 422);
  CHECK(n.send("POST", "/v1/admin/clear").status == 400);
  CHECK(n.send("GET", "/v1/sessions/s").status == 200);
  const auto done = n.send("POST", "/v1/admin/clear", R"({"namespace":"default"})");
  CHECK(done.body.find(R"("deleted":5,)") != std::string::npos);
  for (const auto* one :
       {"/v1/sessions/s", "/v1/teams/s", "/v1/workflows/s", "/v1/users/s", "/v1/global"})
    CHECK(n.send("GET", one).status == 404);
}

TEST_CASE("metrics tell the memory of the process") {
  node n;
  const auto text = n.send("GET", "/metrics").body;
  const std::string_view name = "\nprocess_resident_memory_bytes ";
  const auto at = text.find(name);
  REQUIRE(at != std::string::npos);
  CHECK(std::stoull(text.substr(at + name.size())) > 1'000'000);
}
