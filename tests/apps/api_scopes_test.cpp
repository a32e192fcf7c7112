#include <troupe/state/transfer.hpp>

#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <string>

/// What sessions do not have: lists, workflows, teams, the result cache, whole entities as files.

using namespace troupe;
using node = testing::api_node;

namespace {

/// The ids of a list in their order, with ">cursor".
std::string ids(node& n, const std::string& target) {
  const auto body = n.send("GET", target).body;
  std::string out;
  for (std::size_t at = 0; (at = body.find("{\"id\":\"", at)) != std::string::npos; ++at)
    out += body.substr(at + 7, body.find('"', at + 7) - at - 7) + ' ';
  const std::string next = "\"next_cursor\":\"";
  const auto cursor = body.find(next);
  return cursor == std::string::npos
             ? out
             : out + '>'
                   + body.substr(cursor + next.size(), body.size() - cursor - next.size() - 2);
}

}  // namespace

// Lists
// ------------------------------------------------------------------------------------------------

TEST_CASE("a list is filtered and goes on behind its cursor") {
  node n;
  n.send("PUT", "/v1/sessions/a", R"({"user":"ann","tags":["x"],"metadata":{"n":1}})");
  n.send("PUT", "/v1/sessions/b", R"({"user":"bob","tags":["x","y"],"metadata":{"n":"1"}})");
  n.advance(1'000);
  n.send("PUT", "/v1/sessions/c", R"({"user":"ann","metadata":{"n":2}})");
  n.send("PUT", "/v1/sessions/d");
  n.send("DELETE", "/v1/sessions/d");
  n.send("PUT", "/v1/teams/t");
  CHECK(ids(n, "/v1/sessions") == "a b c ");
  CHECK(ids(n, "/v1/sessions?limit=2") == "a b >b");
  CHECK(ids(n, "/v1/sessions?limit=2&cursor=b") == "c ");
  CHECK(ids(n, "/v1/sessions?user=ann") == "a c ");
  CHECK(ids(n, "/v1/sessions?user=ann&tag=x") == "a ");
  CHECK(ids(n, "/v1/sessions?metadata.n=1") == "a b ");
  CHECK(ids(n, "/v1/sessions?metadata.zz=1") == "");
  CHECK(ids(n, "/v1/sessions?active_before=2026-01-02T12:00:01Z") == "a b ");
  CHECK(ids(n, "/v1/teams") == "t ");
  CHECK(n.send("GET", "/v1/sessions?limit=0").status == 422);
  CHECK(n.send("GET", "/v1/sessions?cursor=" + std::string(1'000, 'x')).status == 400);
  CHECK(n.send("GET", "/v1/sessions?active_before=noon").status == 422);
  CHECK(n.send("GET", "/v1/sessions?status=asleep").status == 422);
}

TEST_CASE("a list begins and ends with a prefix of ids") {
  node n;
  for (const auto* id : {"a", "b", "ba", "bb", "bb%2F1", "c"})
    n.send("PUT", "/v1/sessions/" + std::string{id}, R"({"user":"ann"})");
  const auto found = [&](const std::string& query) { return ids(n, "/v1/sessions?" + query); };
  CHECK(found("prefix=b") == "b ba bb bb/1 ");
  CHECK(found("prefix=b&limit=2") == "b ba >ba");
  CHECK(found("prefix=b&limit=2&cursor=ba") == "bb bb/1 >bb/1");
  CHECK(found("prefix=b&cursor=bb/1") == "");
  CHECK(found("prefix=bb") == "bb bb/1 ");
  CHECK(found("prefix=bc") == "");
  CHECK(found("prefix=d") == "");
  CHECK(found("prefix=b&cursor=a") == "b ba bb bb/1 ");
  CHECK(found("prefix=b&cursor=c") == "");
  CHECK(found("prefix=") == "a b ba bb bb/1 c ");
  CHECK(found("prefix=b&user=bob") == "");
}

TEST_CASE("sleeping sessions are listed and described without waking them") {
  node n;
  n.send("PUT", "/v1/sessions/a", R"({"metadata":{"k":1}})");
  n.send("PUT", "/v1/sessions/b");
  n.stop();
  n.start();
  n.send("GET", "/v1/sessions/b/state");
  CHECK(ids(n, "/v1/sessions?status=hibernated") == "a ");
  CHECK(ids(n, "/v1/sessions?status=active") == "b ");
  const auto info = n.send("GET", "/v1/sessions/a").body;
  CHECK(info.find(R"("status":"hibernated")") != std::string::npos);
  CHECK(info.find(R"("metadata":{"k":1})") != std::string::npos);
  CHECK(n.send("GET", "/v1/sessions/nobody").status == 404);
  CHECK(ids(n, "/v1/sessions?status=hibernated") == "a ");
  n.send("GET", "/v1/sessions/a/items");
  CHECK(ids(n, "/v1/sessions?status=hibernated") == "");
}

// Description
// ------------------------------------------------------------------------------------------------

TEST_CASE("a description is changed field by field") {
  node n;
  n.send("PUT", "/v1/sessions/a", R"({"user":"ann","team":"t","ttl_s":60,"tags":["x"]})");
  const auto changed = n.send(
      "PATCH", "/v1/sessions/a",
      R"({"metadata":{"k":{"l":1}},"tags":["y"],"shares":[{"user":"bob","access":"write"}],"team":"","workflow":"w"})");
  CHECK(changed.status == 200);
  for (const auto* part : {R"("metadata":{"k":{"l":1}})", R"("tags":["y"])", R"("readers":["bob"])",
                           R"("workflow":"w")", R"("ttl_s":60)", R"("revision":2)"}) {
    CAPTURE(part);
    CHECK(changed.body.find(part) != std::string::npos);
  }
  CHECK(changed.body.find("\"team\"") == std::string::npos);
  CHECK(n.send("GET", "/v1/sessions/a").body == changed.body);
  CHECK(n.send("PATCH", "/v1/sessions/a", R"({"shares":[{"user":"bob","access":"own"}]})").status
        == 422);
  CHECK(n.send("PATCH", "/v1/sessions/a", R"({"policy":{"loop_limit":0}})").status == 422);
}

TEST_CASE("usage is counted beyond its budget and tells so") {
  node n;
  n.send("PUT", "/v1/sessions/a", R"({"policy":{"token_budget":10}})");
  CHECK(
      n.send("POST", "/v1/sessions/a/usage", R"({"prompt_tokens":8,"completion_tokens":2})").body
      == R"({"prompt_tokens":8,"completion_tokens":2,"total_tokens":10,"budget":10,"over_budget":false,)"
         R"("last":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10},"revision":2})");
  const auto over = n.send("POST", "/v1/sessions/a/usage", R"({"completion_tokens":1})");
  CHECK(over.status == 200);
  CHECK(over.body.find(R"("total_tokens":11,"budget":10,"over_budget":true)") != std::string::npos);
  CHECK(n.send("GET", "/v1/sessions/a/usage").body == over.body);
}

TEST_CASE("a repeated tool call is a loop until the turn ends") {
  node n;
  n.send("PUT", "/v1/sessions/a", R"({"policy":{"loop_limit":2}})");
  const std::string call = R"({"tool":"search","arguments":{"a":1,"b":2}})";
  CHECK(n.send("POST", "/v1/sessions/a/loop-history", call).body
        == R"({"looping":false,"count":1,"limit":2,"revision":2})");
  CHECK(n.send("POST", "/v1/sessions/a/loop-history",
               R"({"tool":"search","arguments":{"b":2,"a":1}})")
            .body
        == R"({"looping":true,"count":2,"limit":2,"revision":3})");
  CHECK(n.send("DELETE", "/v1/sessions/a/loop-history").status == 204);
  CHECK(n.send("POST", "/v1/sessions/a/loop-history", call)
            .body.starts_with(R"({"looping":false,"count":1)"));
}

// Workflows and teams
// ------------------------------------------------------------------------------------------------

TEST_CASE("a node starts when what it depends on is done") {
  node n;
  n.send("PUT", "/v1/workflows/w");
  n.send("PUT", "/v1/workflows/w/nodes", R"({"nodes":[{"id":"a"},{"id":"b","after":["a"]}]})");
  const auto early = n.send("PATCH", "/v1/workflows/w/nodes/b", R"({"status":"running"})");
  CHECK(early.status == 409);
  CHECK(early.body.find(R"("code":"dependency_pending")") != std::string::npos);
  n.send("PATCH", "/v1/workflows/w/nodes/a", R"({"status":"running"})");
  n.send("PATCH", "/v1/workflows/w/nodes/a", R"({"status":"done","result":null})");
  CHECK(n.send("GET", "/v1/workflows/w/nodes").body
        == R"({"revision":4,"status":"running","cancelled":false,"ready":["b"],"nodes":[)"
           R"({"id":"a","after":[],"status":"done","attempts":1,"result":null},)"
           R"({"id":"b","after":["a"],"status":"pending","attempts":0}]})");
  CHECK(n.send("PATCH", "/v1/workflows/w/nodes/zz", R"({"status":"running"})").status == 404);
  CHECK(n.send("GET", "/v1/sessions/w/nodes").status == 404);
}

TEST_CASE("a team has exactly the members that were put and delivers their messages") {
  node n;
  n.send("PUT", "/v1/teams/t");
  n.send("PUT", "/v1/teams/t/members",
         R"({"members":[{"name":"a","role":"r"},{"name":"b"},{"name":"c"}]})");
  CHECK(
      n.send("PUT", "/v1/teams/t/members", R"({"members":[{"name":"a","role":"s"},{"name":"b"}]})")
          .body
      == R"({"revision":3})");
  CHECK(n.send("GET", "/v1/teams/t/members").body
        == R"({"members":[{"name":"a","role":"s","cursor":0},{"name":"b","role":"","cursor":0}]})");
  CHECK(n.send("PUT", "/v1/teams/t/members", R"({"members":[{"name":"a"},{"name":"a"}]})").status
        == 422);
  CHECK(n.send("PUT", "/v1/teams/t/members", R"({"members":[]})", {{"If-Match", "\"1\""}}).status
        == 412);
  CHECK(n.send("POST", "/v1/teams/t/messages", R"({"from":"a","body":"all"})").body
        == R"({"revision":4,"seq":1})");
  n.send("POST", "/v1/teams/t/messages", R"({"from":"b","to":"a","body":{"x":1}})");
  CHECK(
      n.send("GET", "/v1/teams/t/messages?member=a").body
      == R"({"items":[{"seq":2,"at":"2026-01-02T12:00:00.123Z","from":"b","to":"a","body":{"x":1}}],)"
         R"("next_cursor":null})");
  CHECK(n.send("GET", "/v1/teams/t/messages?limit=1").body
        == R"({"items":[{"seq":1,"at":"2026-01-02T12:00:00.123Z","from":"a","body":"all"}],)"
           R"("next_cursor":"1"})");
  CHECK(n.send("GET", "/v1/teams/t/messages?cursor=1").body.find("\"seq\":2") != std::string::npos);
  CHECK(n.send("GET", "/v1/teams/t/messages?member=zz").status == 404);
  CHECK(n.send("POST", "/v1/teams/t/messages", R"({"from":"zz","body":1})").status == 404);
}

// The result cache
// ------------------------------------------------------------------------------------------------

TEST_CASE("a result is found under its key until it is invalidated") {
  node n;
  const std::string request = R"({"agent":"a","request":{"x":1,"y":2},"permissions":["p"]})";
  const auto made = n.send("POST", "/v1/cache/key", request).body;
  CHECK(made.size() == 64 + 10);
  CHECK(n.send("POST", "/v1/cache/key",
               R"({"agent":"a","request":{"y":2,"x":1},"permissions":["p"]})")
            .body
        == made);
  CHECK(n.send("POST", "/v1/cache/key", R"({"agent":"a","request":{"x":1,"y":2},"permissions":[]})")
            .body
        != made);
  const auto path = "/v1/cache/" + made.substr(8, 64);
  CHECK(n.send("GET", path).status == 404);
  CHECK(
      n.send(
           "PUT", path,
           R"({"output":{"o":1.0},"agent":"a","request":{"x":1},"content_hash":"h","tags":["t"],"ttl_s":60})")
          .status
      == 204);
  CHECK(n.send("GET", path).body
        == R"({"output":{"o":1.0},"agent":"a","request":{"x":1},"content_hash":"h","tags":["t"],)"
           R"("expires_at":"2026-01-02T12:01:00.123Z"})");
  CHECK(n.send("GET", "/v1/cache/stats").body.find(R"("entries":1)") != std::string::npos);
  CHECK(n.send("POST", "/v1/cache/invalidate", R"({"content_hash":"h"})").body
        == R"({"removed":1})");
  CHECK(n.send("GET", path).status == 404);
  CHECK(n.send("POST", "/v1/cache/invalidate", R"({"tag":"t","all":true})").status == 422);
  CHECK(n.send("POST", "/v1/cache/invalidate", "{}").status == 422);
  CHECK(n.send("POST", "/v1/cache/invalidate", R"({"all":true})").body == R"({"removed":0})");
  CHECK(n.send("GET", "/v1/cache/zz").status == 400);
}

// Files
// ------------------------------------------------------------------------------------------------

TEST_CASE("an export is the whole entity in the format that is asked for") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("POST", "/v1/sessions/a/items", R"({"items":[{"role":"user","content":"Hello"}]})");
  const auto lines = n.send("GET", "/v1/sessions/a/export");
  CHECK(lines.content_type == "application/jsonl");
  const auto read = import_jsonl(lines.body);
  REQUIRE(read);
  REQUIRE(read->size() == 1);
  CHECK(read->front().ref == session_ref("a"));
  CHECK(read->front().state.items.size() == 1);
  CHECK(read->front().state.revision == 2);
  const auto packed = n.send("GET", "/v1/sessions/a/export?format=msgpack");
  CHECK(packed.content_type == "application/msgpack");
  const auto unpacked = import_msgpack(packed.body);
  REQUIRE(unpacked);
  CHECK(unpacked->front().state == read->front().state);
  CHECK(n.send("GET", "/v1/sessions/a/export", "", {{"Accept", "application/msgpack"}}).body
        == packed.body);
  const auto text = n.send("GET", "/v1/sessions/a/export?format=markdown");
  CHECK(text.content_type == "text/markdown; charset=utf-8");
  CHECK(text.body.find("Hello") != std::string::npos);
  CHECK(text.body.starts_with("# "));
  CHECK(n.send("GET", "/v1/sessions/a/export?format=xml").status == 422);
}
