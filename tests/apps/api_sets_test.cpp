#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <string>

/// Several entities in one step.

using namespace troupe;
using node = testing::api_node;

namespace {

bool has(const http::response& got, const std::string& text) {
  return got.body.find(text) != std::string::npos;
}

std::string state(node& n, const std::string& path) {
  return n.send("GET", path + "/state").body;
}

}  // namespace

TEST_CASE("a change set changes all of its entities or none") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  n.send("PUT", "/v1/global");
  const auto done = n.send(
      "POST", "/v1/changes",
      R"({"changes":[{"scope":"session","id":"s","expected":1,"ops":[{"op":"set","key":"a","value":1}]},)"
      R"({"scope":"global","ops":[{"op":"append","key":"q","values":["s"]}]}]})");
  CHECK(done.status == 200);
  CHECK(done.body
        == R"({"changes":[{"scope":"session","id":"s","revision":2},)"
           R"({"scope":"global","id":"global","revision":2}]})");
  CHECK(*done.find_header("Troupe-Durable") == "true");
  const auto refused = n.send(
      "POST", "/v1/changes",
      R"({"changes":[{"scope":"global","ops":[{"op":"delete","key":"q"}]},)"
      R"({"scope":"session","id":"s","expected":1,"ops":[{"op":"set","key":"a","value":2}]}]})");
  CHECK(refused.status == 412);
  CHECK(has(refused, R"("path":"/changes/1")"));
  CHECK(has(refused, R"("current_revision":2)"));
  CHECK(state(n, "/v1/global") == R"({"revision":2,"state":{"q":["s"]}})");
  CHECK(state(n, "/v1/sessions/s") == R"({"revision":2,"state":{"a":1}})");
}

TEST_CASE("a change set under a key is made once") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  n.send("PUT", "/v1/teams/t");
  const std::string body =
      R"({"changes":[{"scope":"session","id":"s","ops":[{"op":"add","key":"n","by":1}]},)"
      R"({"scope":"team","id":"t","ops":[{"op":"add","key":"n","by":1}]}]})";
  const auto first = n.send("POST", "/v1/changes", body, {{"Idempotency-Key", "k"}});
  CHECK(n.send("POST", "/v1/changes", body, {{"Idempotency-Key", "k"}}).body == first.body);
  CHECK(state(n, "/v1/sessions/s") == R"({"revision":2,"state":{"n":1}})");
  CHECK(n.send("POST", "/v1/changes", R"({"changes":[{"scope":"session","id":"s"}]})",
               {{"Idempotency-Key", "k"}})
            .status
        == 422);
}

TEST_CASE("a change set says which of its members is wrong") {
  node n;
  n.send("PUT", "/v1/sessions/s");
  const auto refused = [&](const std::string& changes, int status, const std::string& path) {
    const auto got = n.send("POST", "/v1/changes", R"({"changes":[)" + changes + "]}");
    CAPTURE(got.body);
    CHECK(got.status == status);
    CHECK(has(got, R"("path":")" + path + '"'));
  };
  const std::string good = R"({"scope":"session","id":"s"})";
  refused(good + R"(,{"scope":"file","id":"s"})", 422, "/changes/1/scope");
  refused(good + R"(,{"scope":"team"})", 422, "/changes/1/id");
  refused(R"({"scope":"session","id":"s","ops":[{"op":"set","key":"k"}]})", 422,
          "/changes/0/ops/0/value");
  refused(good + R"(,{"scope":"session","id":"nobody","ops":[{"op":"delete","key":"k"}]})", 404,
          "/changes/1");
  refused(good + ',' + good, 422, "/changes/1");
  std::string nine = good;
  for (int i = 1; i < 9; ++i)
    nine += R"(,{"scope":"session","id":"s)" + std::to_string(i) + R"("})";
  refused(nine, 400, "/changes");
  CHECK(n.send("POST", "/v1/changes", R"({"changes":[]})").status == 400);
}

TEST_CASE("a checkpoint of all scopes brings all of them back") {
  node n;
  n.send("PUT", "/v1/teams/t");
  n.send("PUT", "/v1/workflows/w", R"({"team":"t"})");
  n.send("PUT", "/v1/sessions/s", R"({"workflow":"w"})");
  const std::string all[] = {"/v1/sessions/s", "/v1/workflows/w", "/v1/teams/t"};
  const auto set = [&](const char* value) {
    for (const auto& one : all)
      n.send("PUT", one + "/state/k", value);
  };
  set("1");
  const std::string of = R"({"scope":"session","id":"s"})";
  const auto made = n.send("POST", "/v1/checkpoints", of, {{"Idempotency-Key", "k"}});
  CHECK(made.status == 201);
  CHECK(has(made, R"("entities":3)"));
  CHECK(n.send("POST", "/v1/checkpoints", of, {{"Idempotency-Key", "k"}}).body == made.body);
  const auto id = made.body.substr(7, 32);
  set("2");
  const auto back = n.send("POST", "/v1/checkpoints/" + id + "/restore",
                           R"({"scope":"team","id":"t"})", {{"Idempotency-Key", "r"}});
  CHECK(back.status == 200);
  for (const auto& one : all)
    CHECK(n.send("GET", one + "/state/k").body == "1");
  set("3");
  n.send("POST", "/v1/checkpoints/" + id + "/restore", R"({"scope":"team","id":"t"})",
         {{"Idempotency-Key", "r"}});
  CHECK(n.send("GET", "/v1/teams/t/state/k").body == "3");  // a repeat has no further effect
  CHECK(n.send("POST", "/v1/checkpoints/x/restore", of).status == 404);
  CHECK(n.send("POST", "/v1/checkpoints", R"({"scope":"session","id":"nobody"})").status == 404);
}
