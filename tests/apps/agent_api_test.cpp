#include <troupe/state/json.hpp>

#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <string>

/// The agent API as its clients know it, with the built-in responder.

using namespace troupe;
using node = testing::api_node;

namespace {

http::response quick(node& n, const std::string& query, const std::string& session = "s") {
  return n.send("POST", "/api/agent/quick",
                R"({"query":")" + query + R"(","context":{"session_id":")" + session + R"("}})");
}

value parsed(const std::string& json) {
  auto read = value_from_json(json);
  REQUIRE_MESSAGE(read, json);
  return *std::move(read);
}
std::string json(const std::string& body, std::string_view name) {
  const auto of = parsed(body);
  const auto found = of.view().find(name);
  REQUIRE_MESSAGE(found, name);
  return to_json(*found);
}
std::string text(const value& of, std::string_view name) {
  const auto found = of.view().find(name);
  REQUIRE_MESSAGE(found, name);
  return std::string{found->as_string().value_or("")};
}

api::agent_options builtin(const runtime& of, std::uint64_t history_limit = 100) {
  return {.answers = responders::spawn_builtin(of), .history_limit = history_limit};
}

}  // namespace

TEST_CASE("the first query makes the session and is answered in the documented shape") {
  node n;
  const auto got = n.send(
      "POST", "/api/agent/quick",
      R"({"query":"What is df?","context":{"notebook_id":"nb","session_id":"s","variables":)"
      R"({"df":"DataFrame"},"cell_count":3,"last_error":"x","current_cell":1},"api_key":"sk-1"})");
  CHECK(got.status == 200);
  CHECK(
      got.body
      == R"({"query":"What is df?","route":"builtin","messages":[{"type":"text","content":)"
         R"("This is the built-in responder, which is no language model. You said: )"
         R"(\"What is df?\". This session has 1 message, 1 variable (df) and 0 open todos.",)"
         R"("metadata":{}}],"usage":{"prompt_tokens":3,"completion_tokens":27,"total_tokens":30},)"
         R"("session_id":"s","response":"This is the built-in responder, which is no language )"
         R"(model. You said: \"What is df?\". This session has 1 message, 1 variable (df) and 0 )"
         R"(open todos.","turn_count":2})");
  CHECK(n.send("GET", "/api/sessions/s").body
        == R"({"session_id":"s","notebook_id":"nb","turn_count":2,"last_activity":)"
           R"("2026-01-02T12:00:00","variables":["df"]})");
  CHECK(n.send("GET", "/v1/sessions/s/export").body.find("sk-1") == std::string::npos);
}

TEST_CASE("without a session id one is made and told") {
  node n;
  const auto body = parsed(n.send("POST", "/api/agent/quick", R"({"query":"Hi"})").body);
  CHECK(text(body, "session_id") == "00000000000000010000000000000002");
  CHECK(n.send("GET", "/api/sessions/00000000000000010000000000000002").status == 200);
  CHECK(n.send("POST", "/api/agent/quick",
               R"({"query":"Hi","context":{"session_id":null,"notebook_id":null}})")
            .status
        == 200);
}

TEST_CASE("variables are merged and null removes one and an empty object none") {
  node n;
  const auto say = [&](const std::string& variables) {
    return n
        .send("POST", "/api/agent/quick",
              R"({"query":"Hi","context":{"session_id":"s","variables":)" + variables + "}}")
        .status;
  };
  const auto names = [&] {
    const auto body = parsed(n.send("GET", "/api/sessions/s").body);
    return to_json(*body.view().find("variables"));
  };
  CHECK(say(R"({"a":"int","b":"str"})") == 200);
  CHECK(say("{}") == 200);
  CHECK(names() == R"(["a","b"])");
  CHECK(say(R"({"a":null,"c":"list"})") == 200);
  CHECK(names() == R"(["b","c"])");
  CHECK(say("[]") == 422);
}

TEST_CASE("the history tells the newest turns in order and how many there are") {
  node n;
  for (const auto* query : {"one", "two", "three"})
    quick(n, query);
  const auto tells = [&](const std::string& query) {
    const auto body = parsed(n.send("GET", "/api/sessions/s/history" + query).body);
    CHECK(to_json(*body.view().find("turn_count")) == "6");
    std::string out;
    for (auto at = body.view().find("history")->children(); at.next();) {
      const auto said = *at.item().find("content")->as_string();
      out += std::string{*at.item().find("role")->as_string()}.substr(0, 1)
             + std::string{said.substr(0, 3)} + ' ';
    }
    return out;
  };
  CHECK(tells("") == "uone aThi utwo aThi uthr aThi ");
  CHECK(tells("?max_turns=3") == "aThi uthr aThi ");
  CHECK(tells("?max_turns=0") == tells(""));
  CHECK(tells("?max_turns=99") == tells(""));
  CHECK(n.send("GET", "/api/sessions/s/history?max_turns=-1").status == 422);
}

TEST_CASE("an unknown session is 404 in the words that clients read") {
  node n;
  const std::string problem =
      R"({"type":"about:blank","title":"Not Found","status":404,"detail":"Session not found","code":"not_found"})";
  CHECK(n.send("GET", "/api/sessions/x").body == problem);
  CHECK(n.send("GET", "/api/sessions/x/history").body == problem);
  CHECK(n.send("DELETE", "/api/sessions/x").body == problem);
  CHECK(n.send("POST", "/api/agent/quick", R"({"context":{"session_id":"x"}})").body == problem);
  quick(n, "Hi", "x");
  CHECK(n.send("DELETE", "/api/sessions/x").body == R"({"session_id":"x","status":"cleared"})");
  CHECK(n.send("DELETE", "/api/sessions/x").body == problem);
}

TEST_CASE("a turn without words or of another shape is refused and leaves nothing behind") {
  node n;
  for (const auto* bad :
       {"{}", R"({"query":""})", R"({"query":" \n"})", R"({"query":1})", R"({"query":null})",
        R"({"query":"Hi","context":7})", R"({"query":"Hi","context":{"cell_count":-1}})",
        R"({"query":"Hi","context":{"session_id":"s","variables":[]}})"}) {
    CAPTURE(bad);
    CHECK(n.send("POST", "/api/agent/quick", bad).status == 422);
  }
  CHECK(n.send("POST", "/api/agent/quick", R"({"query":"Hi","context":{"session_id":""}})").status
        == 400);
  CHECK(n.send("GET", "/v1/sessions").body == R"({"items":[],"next_cursor":null})");
}

TEST_CASE(
    "a mistyped member is refused with the right name and those of other clients are ignored") {
  node n;
  const auto refused = [&](const char* body, const char* path, const char* meant) {
    const auto got = n.send("POST", "/api/agent/quick", body);
    CAPTURE(got.body);
    CHECK(got.status == 422);
    CHECK(got.body.find(std::string{R"("code":"unknown_field","path":")"} + path + '"')
          != std::string::npos);
    CHECK(got.body.find(meant) != std::string::npos);
  };
  refused(R"({"qeury":"Hi"})", "/qeury", "is it `query`?");
  refused(R"({"query":"Hi","contxt":{}})", "/contxt", "is it `context`?");
  refused(R"({"query":"Hi","session_id":"s"})", "/session_id", "it stands in the context");
  refused(R"({"query":"Hi","context":{"sesion_id":"s"}})", "/context/sesion_id",
          "is it `session_id`?");
  refused(R"({"query":"Hi","context":{"variablse":{}}})", "/context/variablse",
          "is it `variables`?");
  CHECK(n.send("GET", "/v1/sessions").body == R"({"items":[],"next_cursor":null})");
  const auto* foreign =
      R"({"query":"Hi","api_key":"k","content":"x","conetnt":1,"context":{"session":"x",)"
      R"("cells":[],"session_id":null,"notebook":""}})";
  CHECK(n.send("POST", "/api/agent/quick", foreign).status == 200);
}

TEST_CASE("a session keeps as many messages as the limit says and the responder gets all of them") {
  node n{[](const runtime& of) { return builtin(of, 4); }};
  for (int i = 0; i < 10; ++i)
    quick(n, "query" + std::to_string(i));
  const auto body = parsed(n.send("GET", "/api/sessions/s/history?max_turns=0").body);
  CHECK(to_json(*body.view().find("turn_count")) == "4");
  CHECK(body.view().find("history")->size() == 4);
  CHECK(n.send("GET", "/api/sessions/s/history").body.find("query8") != std::string::npos);
  CHECK(n.send("GET", "/api/sessions/s/history").body.find("query7") == std::string::npos);
  const auto stored = parsed(n.send("GET", "/v1/sessions/s/items?last=1000").body);
  CHECK(stored.view().find("items")->size() <= 8);
  CHECK(text(parsed(quick(n, "again").body), "response").find("has 4 messages")
        != std::string::npos);
}

TEST_CASE("a session of the other API has no limit of messages and no age") {
  node n{[](const runtime& of) { return builtin(of, 2); }};
  n.send("PUT", "/v1/sessions/s");
  for (int i = 0; i < 4; ++i)
    quick(n, "hi");
  CHECK(json(n.send("GET", "/api/sessions/s").body, "turn_count") == "8");
  CHECK(n.send("GET", "/v1/sessions/s").body.find("ttl_s") == std::string::npos);
}

TEST_CASE("a session of this API goes when it was not used for its age and others stay") {
  node n;
  quick(n, "hi", "old");
  n.send("PUT", "/v1/sessions/other", R"({"ttl_s":1})");
  const auto token =
      n.add_token({.id = "1", .user = "ann", .name_space = "else", .held = api::role::writer});
  const http::header ann{"Authorization", "Bearer " + token};
  const auto admin = n.add_token({.id = "2", .held = api::role::admin});
  const http::header boss{"Authorization", "Bearer " + admin};
  CHECK(
      n.send("POST", "/api/agent/quick", R"({"query":"hi","context":{"session_id":"hers"}})", {ann})
          .status
      == 200);
  n.advance(86'400'000 - 1);
  CHECK(
      n.send("POST", "/api/agent/quick", R"({"query":"hi","context":{"session_id":"new"}})", {boss})
          .status
      == 200);
  n.advance(1);
  n.stop();  // what is awake is spared
  n.start();
  n.reload_tokens();
  n.service().clean_up_agents();
  const auto status = [&](const char* target, const http::header& who) {
    for (int i = 0; i < 500; ++i) {  // it is on its way
      const auto got = n.send("GET", target, "", {who}).status;
      if (got == 404)
        return got;
    }
    return 200;
  };
  CHECK(status("/v1/sessions/old", boss) == 404);
  CHECK(status("/v1/sessions/hers", ann) == 404);
  CHECK(n.send("GET", "/v1/sessions/new", "", {boss}).status == 200);
  CHECK(n.send("GET", "/v1/sessions/other", "", {boss}).status == 200);
}

TEST_CASE("a session is its user's and to others as if it were not there") {
  node n;
  const auto token = [&](const char* user, api::role held) {
    return http::header{"Authorization",
                        "Bearer " + n.add_token({.id = user, .user = user, .held = held})};
  };
  const auto ann = token("ann", api::role::writer), bob = token("bob", api::role::writer),
             eve = token("eve", api::role::reader);
  const std::string hi = R"({"query":"hi","context":{"session_id":"s"}})";
  CHECK(n.send("POST", "/api/agent/quick", hi, {ann}).status == 200);
  CHECK(n.send("GET", "/api/sessions/s", "", {ann}).status == 200);
  for (const auto* target : {"/api/sessions/s", "/api/sessions/s/history"})
    CHECK(n.send("GET", target, "", {bob}).status == 404);
  CHECK(n.send("POST", "/api/agent/quick", hi, {bob}).status == 404);
  CHECK(n.send("DELETE", "/api/sessions/s", "", {bob}).status == 404);
  CHECK(n.send("POST", "/api/agent/quick", hi, {eve}).status == 403);
  CHECK(n.send("POST", "/api/agent/quick", hi).status == 401);
}

TEST_CASE("a node without a responder keeps the message and says so") {
  node n{[](const runtime&) { return api::agent_options{}; }};
  CHECK(quick(n, "Hi").status == 501);
  CHECK(json(n.send("GET", "/api/sessions/s").body, "turn_count") == "1");
}
