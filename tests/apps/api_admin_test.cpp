#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>

/// What an operator asks of a node.

using namespace troupe;
namespace fs = std::filesystem;
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

TEST_CASE("a backup that a request asks for is a whole store and appears at once") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  n.send("PUT", "/v1/sessions/s/state/k", R"("before")");
  const auto made = n.send("POST", "/v1/admin/backup", R"({"name":"first","compacting":true})");
  CHECK(made.status == 201);
  CHECK(made.body.starts_with(R"({"name":"first","entities":1,"records":2,"position":2,)"));
  n.send("PUT", "/v1/sessions/s/state/k", R"("after")");
  REQUIRE(fs::exists(n.backups() / "first" / "data.mdb"));
  const auto opened = runtime::open({.data = n.backups() / "first"});
  REQUIRE_MESSAGE(opened, opened.error().message);
  const auto state = (*opened)->read({"default", entity_kind::session, "s"});
  REQUIRE(state);
  CHECK((**state).revision == 2);
  const auto again = n.send("POST", "/v1/admin/backup", R"({"name":"first"})");
  CHECK(again.status == 409);
  CHECK(n.send("GET", "/v1/sessions/s/state/k").body == R"("after")");
}

TEST_CASE("the name of a backup is a name and never a path") {
  node n;
  for (const auto* bad : {"../b", "/b", "a/b", ".b", "..", "a b", "%2e%2e", "\\u00e4"}) {
    CAPTURE(bad);
    const auto got =
        n.send("POST", "/v1/admin/backup", R"({"name":")" + std::string{bad} + R"("})");
    CHECK(got.status == 400);
    CHECK(got.body.find(R"("code":"bad_id")") != std::string::npos);
  }
  CHECK_FALSE(fs::exists(n.backups()));
  const auto named = n.send("POST", "/v1/admin/backup");
  CHECK(named.body.starts_with(R"({"name":"2026-01-02T12-00-00.123Z",)"));
}

TEST_CASE("compacting folds the journal and frees it but for what is to be kept") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  for (int i = 0; i < 20; ++i)
    n.send("PUT", "/v1/sessions/s/state/k", std::to_string(i));
  const auto kept = n.send("POST", "/v1/admin/compact");
  CHECK(kept.status == 200);
  CHECK(kept.body.find(R"("after":{"first":1,"materialised":21,"tail_bytes":0,)")
        != std::string::npos);
  const auto freed = n.send("POST", "/v1/admin/compact", R"({"kept_bytes":0})");
  CHECK(
      freed.body.find(R"("after":{"first":22,"materialised":21,"tail_bytes":0,"covered_bytes":0})")
      != std::string::npos);
  CHECK(n.send("GET", "/v1/sessions/s/state/k").body == "19");
  CHECK(n.send("PUT", "/v1/sessions/s/state/k", "20").status == 200);
}

TEST_CASE("where operators have a listener of their own the other knows no route of theirs") {
  node n;
  const auto outside = n.listen(api::service::listener::clients),
             inside = n.listen(api::service::listener::operators);
  for (const auto* path :
       {"/v1/admin/reap", "/v1/admin/clear", "/v1/admin/backup", "/v1/admin/compact"}) {
    CAPTURE(path);
    for (const auto* method : {"POST", "GET", "DELETE"}) {
      const auto there = node::send_to(outside->port(), method, path);
      const auto nothing = node::send_to(outside->port(), method, "/v1/admin/nothing");
      CHECK(there.status == 404);
      CHECK(there.body.substr(0, there.body.find("request_id"))
            == nothing.body.substr(0, nothing.body.find("request_id")));
    }
    CHECK(node::send_to(inside->port(), "GET", path).status == 405);
  }
  CHECK(node::send_to(outside->port(), "GET", "/metrics").status == 404);
  CHECK(node::send_to(inside->port(), "GET", "/metrics").status == 200);
  CHECK(node::send_to(outside->port(), "GET", "/v1/stats").status == 200);
  CHECK(node::send_to(inside->port(), "POST", "/v1/admin/compact").status == 200);
}

TEST_CASE("a node tells of itself as the one that there is") {
  node n;
  CHECK(n.send("GET", "/v1/nodes").body
        == R"({"items":[{"name":"n1","status":"ready","shards":1,"live":0}],"next_cursor":null})");
}

TEST_CASE("metrics tell the memory of the process and how much of it is its own") {
  node n;
  const auto text = n.send("GET", "/metrics").body;
  const auto bytes = [&](std::string_view name) -> std::uint64_t {
    const auto at = text.find(name);
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size()));
  };
  const auto own = bytes("\ntroupe_anonymous_memory_bytes ");
  CHECK(own > 1'000'000);
  CHECK(own < bytes("\nprocess_resident_memory_bytes "));  // which has the program's text, too
}
