#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <string>

/// How much one user and one namespace may keep.

using namespace troupe;
using namespace troupe::testing;

namespace {

http::header writer(api_node& n, const std::string& user, const std::string& name_space = "n") {
  return {
      "Authorization",
      "Bearer " + n.add_token({.user = user, .name_space = name_space, .held = api::role::writer})};
}

}  // namespace

TEST_CASE("a user has no more sessions than may be however they are made") {
  api_node n{{}, {.user_sessions = 3}};
  const auto ann = writer(n, "ann"), bob = writer(n, "bob");
  const auto put = [&](const char* id, const http::header& who) {
    const auto user = who.value == ann.value ? "ann" : "bob";
    return n.send("PUT", "/v1/sessions/" + std::string{id},
                  R"({"user":")" + std::string{user} + R"("})", {who});
  };
  const std::string hers = R"({"user":"ann"})";
  CHECK(put("a", ann).status == 201);
  CHECK(n.send("POST", "/v1/sessions/a/fork", R"({"id":"b"})", {ann}).status == 201);
  CHECK(n.send("POST", "/v1/sessions", hers, {ann}).status == 201);
  const auto refused = put("d", ann);
  CHECK(refused.status == 429);
  CHECK(refused.body.find(R"("code":"too_many_sessions","limit":3)") != std::string::npos);
  CHECK(refused.find_header("Retry-After"));
  CHECK(n.send("POST", "/v1/sessions/a/fork", R"({"id":"e"})", {ann}).status == 429);
  CHECK(n.send("POST", "/v1/sessions", hers, {ann, {"Idempotency-Key", "k"}}).status == 429);
  const auto file = n.send("GET", "/v1/sessions/a/export", "", {ann}).body;
  CHECK(n.send("POST", "/v1/import", file, {ann, {"Content-Type", "application/jsonl"}}).status
        == 429);
  CHECK(put("a", ann).status == 200);
  CHECK(n.send("PUT", "/v1/sessions/a/state/k", "1", {ann}).status == 200);
  CHECK(n.send("PUT", "/v1/workflows/w", "", {ann}).status == 201);
  CHECK(put("f", bob).status == 201);
  CHECK(n.send("DELETE", "/v1/sessions/a", "", {ann}).status == 204);
  n.advance(1'000);  // then it is counted anew, beside what is asked
  int answered = 429;
  for (int i = 0; i < 100 && answered == 429; ++i)
    answered = put("g", ann).status;
  CHECK(answered == 201);
}

TEST_CASE("whose sessions are too many is told") {
  api_node n{{}, {.user_sessions = 1}};
  const auto ann = writer(n, "ann");
  const auto detail = [&](const std::string& body) {
    n.send("PUT", "/v1/sessions/" + std::to_string(body.size()), body, {ann});
    return n.send("PUT", "/v1/sessions/more", body, {ann}).body;
  };
  CHECK(detail("{}").find("this user has as many sessions as may be") != std::string::npos);
  CHECK(detail(R"({"user":""})").find("nobody owns as many sessions") != std::string::npos);
}

TEST_CASE("sessions of before a restart count") {
  api_node n{{}, {.user_sessions = 1}};
  const auto ann = writer(n, "ann");
  const std::string hers = R"({"user":"ann"})";
  CHECK(n.send("PUT", "/v1/sessions/a", hers, {ann}).status == 201);
  n.stop();
  n.start();
  n.reload_tokens();
  CHECK(n.send("PUT", "/v1/sessions/b", hers, {ann}).status == 429);
  CHECK(n.send("PUT", "/v1/sessions/b", R"({"user":""})", {ann}).status == 201);
  CHECK(n.send("PUT", "/v1/sessions/c", R"({"user":""})", {ann}).status == 429);
}

TEST_CASE("a namespace that is full takes what removes and nothing that adds and others go on") {
  api_node n{{}, {.name_space_bytes = 10'000}};
  const auto ann = writer(n, "ann"), eve = writer(n, "eve", "other");
  for (const auto& who : {ann, eve})
    CHECK(n.send("PUT", "/v1/sessions/s", "", {who}).status == 201);
  CHECK(n.send("PUT", "/v1/sessions/s/state/k", '"' + std::string(11'000, 'x') + '"', {ann}).status
        == 200);
  n.advance(1'000);
  http::response got;
  for (int i = 0; i < 100 && got.status != 409; ++i)
    got = n.send("PUT", "/v1/sessions/s/state/j", "1", {ann});
  CHECK(got.status == 409);
  CHECK(got.body.find(R"("code":"quota_exceeded","limit":10000)") != std::string::npos);
  CHECK(n.send("GET", "/v1/sessions/s/state/k", "", {ann}).status == 200);
  CHECK(
      n.send("POST", "/v1/changes", R"({"changes":[{"scope":"session","id":"s","ops":[]}]})", {ann})
          .status
      == 409);
  CHECK(n.send("PUT", "/v1/sessions/s/state/j", "1", {eve}).status == 200);
  CHECK(n.send("DELETE", "/v1/sessions/s/state/k", "", {ann}).status == 204);
  n.advance(1'000);
  for (int i = 0; i < 100 && got.status == 409; ++i)
    got = n.send("PUT", "/v1/sessions/s/state/l", "1", {ann});
  CHECK(got.status == 200);
}
