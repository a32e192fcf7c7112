#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <string>

using namespace troupe;
using node = testing::api_node;

namespace {

std::string state_of(node& n, const std::string& id) {
  return n.send("GET", "/v1/sessions/" + id + "/state").body;
}

/// A session whose key "k" is 1, 2, 3 at the revisions 2, 3, 4.
void make_past(node& n) {
  n.send("PUT", "/v1/sessions/a");
  for (const auto* x : {"1", "2", "3"})
    n.send("PUT", "/v1/sessions/a/state/k", x);
}

}  // namespace

TEST_CASE("undo and redo go through content and refuse more than there is") {
  node n;
  make_past(n);
  CHECK(n.send("POST", "/v1/sessions/a/undo", R"({"steps":2})").body == R"({"revision":5})");
  CHECK(state_of(n, "a") == R"({"revision":5,"state":{"k":1}})");
  CHECK(n.send("POST", "/v1/sessions/a/redo").body == R"({"revision":6})");
  CHECK(state_of(n, "a") == R"({"revision":6,"state":{"k":2}})");
  const auto refused = n.send("POST", "/v1/sessions/a/undo", R"({"steps":9})");
  CHECK(refused.status == 409);
  CHECK(refused.body.find(R"("code":"nothing_to_undo")") != std::string::npos);
  CHECK(refused.body.find("there are 2 changes to undo, not 9") != std::string::npos);
  n.send("POST", "/v1/sessions/a/undo", R"({"steps":1})");
  CHECK(n.send("POST", "/v1/sessions/a/undo", R"({"steps":9})")
            .body.find("there is 1 change to undo, not 9")
        != std::string::npos);
  CHECK(n.send("POST", "/v1/sessions/a/undo", "", {{"If-Match", "\"1\""}}).status == 412);
}

TEST_CASE("a restored checkpoint is a new revision and destroys nothing") {
  node n;
  make_past(n);
  const auto made = n.send("POST", "/v1/sessions/a/checkpoints", R"({"name":"three"})");
  CHECK(made.status == 201);
  CHECK(made.body
        == R"({"id":"00000000000000010000000000000002","name":"three","revision":4,)"
           R"("at":"2026-01-02T12:00:00.123Z","tags":[],"metadata":{},"automatic":false})");
  const std::string checkpoint = "/v1/sessions/a/checkpoints/00000000000000010000000000000002";
  CHECK(n.send("GET", checkpoint).body == made.body);
  n.send("PUT", "/v1/sessions/a/state/k", "4");
  CHECK(n.send("POST", checkpoint + "/restore").body == R"({"revision":7})");
  CHECK(state_of(n, "a") == R"({"revision":7,"state":{"k":3}})");
  CHECK(n.send("GET", "/v1/sessions/a/revisions/6").body.find(R"("state":{"k":4})")
        != std::string::npos);
  CHECK(n.send("DELETE", checkpoint).status == 204);
  CHECK(n.send("GET", checkpoint).status == 404);
  CHECK(n.send("POST", checkpoint + "/restore").status == 404);
}

TEST_CASE("an earlier revision reads as it was and one that is not there is 410") {
  node n;
  make_past(n);
  n.send("POST", "/v1/sessions/a/usage", R"({"prompt_tokens":3})");
  CHECK(n.send("GET", "/v1/sessions/a/revisions/2").body
        == R"({"revision":2,"state":{"k":1},"items":0,)"
           R"("usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}})");
  CHECK(n.send("GET", "/v1/sessions/a/revisions/5").body.find(R"("total_tokens":3)")
        != std::string::npos);
  const auto later = n.send("GET", "/v1/sessions/a/revisions/99");
  CHECK(later.status == 410);
  CHECK(later.body.find(R"("code":"revision_gone")") != std::string::npos);
  CHECK(n.send("GET", "/v1/sessions/a/revisions/x").status == 404);
  n.stop();
  n.start();
  CHECK(n.send("GET", "/v1/sessions/a/revisions/3").body.find(R"("state":{"k":2})")
        != std::string::npos);
}

TEST_CASE("what a deleted session was is not shown by one that has its id again") {
  node n;
  make_past(n);
  n.send("DELETE", "/v1/sessions/a");
  n.send("PUT", "/v1/sessions/a");
  CHECK(n.send("GET", "/v1/sessions/a/revisions/3").status == 410);
  CHECK(n.send("GET", "/v1/sessions/a/revisions/6").status == 200);
}

TEST_CASE("a difference names what changed between two revisions") {
  node n;
  make_past(n);
  n.send("PUT", "/v1/sessions/a/state/l", "true");
  CHECK(n.send("GET", "/v1/sessions/a/diff?from=2&to=3").body
        == R"({"from":2,"to":3,"changes":[{"path":"/state/k","before":1,"after":2}]})");
  CHECK(n.send("GET", "/v1/sessions/a/diff?from=4").body
        == R"({"from":4,"to":5,"changes":[{"path":"/state/l","after":true}]})");
  CHECK(n.send("GET", "/v1/sessions/a/diff").status == 422);
  CHECK(n.send("GET", "/v1/sessions/a/diff?from=2&to=77").status == 410);
}

TEST_CASE("a fork begins at the revision or checkpoint that is named and leaves the original") {
  node n;
  make_past(n);
  n.send("POST", "/v1/sessions/a/checkpoints");
  CHECK(n.send("POST", "/v1/sessions/a/fork", R"({"id":"f","at":2})").body
        == R"({"id":"f","parent":"a","at":2,"revision":3})");
  CHECK(state_of(n, "f") == R"({"revision":3,"state":{"k":1}})");
  CHECK(
      n.send("POST", "/v1/sessions/a/fork", R"({"id":"g","at":"00000000000000010000000000000002"})")
          .body
      == R"({"id":"g","parent":"a","at":4,"revision":5})");
  const auto unnamed = n.send("POST", "/v1/sessions/a/fork");
  CHECK(unnamed.body
        == R"({"id":"00000000000000010000000000000002","parent":"a","at":5,"revision":6})");
  CHECK(
      n.send("GET", "/v1/sessions/a/forks").body
      == R"({"items":[{"id":"00000000000000010000000000000002","parent":"a","at":5,"revision":6},)"
         R"({"id":"f","parent":"a","at":2,"revision":3},{"id":"g","parent":"a","at":4,"revision":5}],)"
         R"("next_cursor":null})");
  n.send("POST", "/v1/sessions/f/fork", R"({"id":"ff"})");
  CHECK(n.send("GET", "/v1/sessions/f/forks").body
        == R"({"items":[{"id":"ff","parent":"f","at":3,"revision":4}],"next_cursor":null})");
  CHECK(n.send("GET", "/v1/sessions/a/forks").body.find("\"ff\"") == std::string::npos);
  CHECK(n.send("GET", "/v1/sessions/f").body.find(R"("forked_from":{"parent":"a","at":2})")
        != std::string::npos);
  CHECK(n.send("POST", "/v1/sessions/a/fork", R"({"id":"f"})").status == 409);
  CHECK(n.send("POST", "/v1/sessions/a/fork", R"({"id":"h","at":"zz"})").status == 404);
  CHECK(n.send("POST", "/v1/sessions/a/fork", R"({"id":"h","at":77})").status == 410);
  CHECK(n.send("POST", "/v1/sessions/a/fork", R"({"id":"h"})", {{"If-Match", "\"1\""}}).status
        == 412);
  CHECK(n.send("GET", "/v1/sessions/h").status == 404);
}

TEST_CASE("a fork is made once for one idempotency key whatever becomes of its parent") {
  node n;
  make_past(n);
  const http::header once{"Idempotency-Key", "k"}, at_four{"If-Match", "\"4\""};
  const auto first = n.send("POST", "/v1/sessions/a/fork", "", {once, at_four});
  CHECK(first.status == 201);
  n.send("PUT", "/v1/sessions/a/state/k", "9");
  const auto again = n.send("POST", "/v1/sessions/a/fork", "", {once, at_four});
  CHECK(again.status == 201);
  CHECK(again.body == first.body);
  CHECK(n.send("POST", "/v1/sessions/a/fork", "{}", {once, at_four}).status == 422);
}

TEST_CASE("a merge brings changes back or lists what conflicts and applies nothing") {
  node n;
  make_past(n);
  n.send("POST", "/v1/sessions/a/fork", R"({"id":"f"})");
  n.send("PUT", "/v1/sessions/f/state/new", "1");
  CHECK(n.send("POST", "/v1/sessions/a/merge", R"({"from":"f"})").body == R"({"revision":5})");
  CHECK(state_of(n, "a") == R"({"revision":5,"state":{"k":3,"new":1}})");
  n.send("PUT", "/v1/sessions/f/state/k", "\"f\"");
  n.send("PUT", "/v1/sessions/a/state/k", "\"a\"");
  const auto refused = n.send("POST", "/v1/sessions/a/merge", R"({"from":"f"})");
  CHECK(refused.status == 409);
  CHECK(refused.body.find(R"("details":[{"path":"/state/k","base":3,"ours":"a","theirs":"f"}])")
        != std::string::npos);
  CHECK(state_of(n, "a") == R"({"revision":6,"state":{"k":"a","new":1}})");
  CHECK(n.send("POST", "/v1/sessions/a/merge", R"({"from":"f","strategy":"theirs"})").status
        == 200);
  CHECK(state_of(n, "a") == R"({"revision":7,"state":{"k":"f","new":1}})");
  CHECK(n.send("POST", "/v1/sessions/a/merge", R"({"from":"nobody"})").status == 404);
  CHECK(n.send("POST", "/v1/sessions/a/merge", R"({"from":"f","strategy":"x"})").status == 422);
}
