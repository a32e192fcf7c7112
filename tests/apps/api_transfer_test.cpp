#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

/// Whole entities that come, and that go for good.

using namespace troupe;
using node = testing::api_node;

namespace {

const http::header jsonl{"Content-Type", "application/jsonl"};
const http::header msgpack{"Content-Type", "application/msgpack"};

bool is_code(const http::response& got, const std::string& code) {
  return got.body.find("\"code\":\"" + code + '"') != std::string::npos;
}

/// A session with something of everything.
void fill(node& n, const std::string& id) {
  n.send("PUT", "/v1/sessions/" + id, R"({"user":"ann","metadata":{"m":"secret-m"}})");
  n.send("POST", "/v1/sessions/" + id + "/items",
         R"({"items":[{"role":"user","content":"secret-item"}]})",
         {{"Idempotency-Key", "secret-key"}});
  n.send("POST", "/v1/sessions/" + id + "/checkpoints", R"({"name":"secret-name"})");
  n.send("PUT", "/v1/sessions/" + id + "/state/k", R"({"x":1.0,"y":18446744073709551615})");
}

/// The pages in use of the store, as a backup without free pages has them.
std::string bytes_of(node& n, const std::string& name) {
  REQUIRE(
      n.send("POST", "/v1/admin/backup", R"({"name":")" + name + R"(","compacting":true})").status
      == 201);
  std::ifstream in{n.backups() / name / "data.mdb", std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

TEST_CASE("an export comes back equal in both formats under another node") {
  node from, to;
  fill(from, "a");
  const auto lines = from.send("GET", "/v1/sessions/a/export");
  const auto packed = from.send("GET", "/v1/sessions/a/export?format=msgpack");
  const auto done = to.send("POST", "/v1/import", lines.body, {jsonl});
  CHECK(done.status == 201);
  CHECK(done.body == R"({"count":1,"entities":[{"scope":"session","id":"a"}]})");
  CHECK(to.send("GET", "/v1/sessions/a/export").body == lines.body);
  CHECK(to.send("GET", "/v1/sessions/a/export?format=msgpack").body == packed.body);
  CHECK(to.send("POST", "/v1/import", packed.body, {msgpack}).status == 409);  // it is there
  CHECK(to.send("POST", "/v1/sessions/a/items", R"({"items":[{"n":2}]})").body
        == R"({"revision":5,"first_seq":2,"last_seq":2})");
  to.stop();
  to.start();
  CHECK(to.send("GET", "/v1/sessions/a/items?last=1").body.find(R"("n":2)") != std::string::npos);
}

TEST_CASE("an import is all or nothing and says where it is wrong") {
  node from, to;
  fill(from, "a");
  fill(from, "b");
  const auto a = from.send("GET", "/v1/sessions/a/export").body,
             b = from.send("GET", "/v1/sessions/b/export").body;
  to.send("PUT", "/v1/sessions/b");
  const auto there = to.send("POST", "/v1/import", a + b, {jsonl});
  CHECK(there.status == 409);
  CHECK(is_code(there, "already_exists"));
  CHECK(to.send("GET", "/v1/sessions/a").status == 404);
  const auto cut = to.send("POST", "/v1/import", a.substr(0, a.size() / 2), {jsonl});
  CHECK(cut.status == 400);
  CHECK(cut.body.find("line ") != std::string::npos);
  CHECK(to.send("POST", "/v1/import", a, {{"Content-Type", "application/json"}}).status == 415);
  CHECK(to.send("GET", "/v1/sessions/a").status == 404);
}

TEST_CASE("an id that was asked for before an import shows what was imported") {
  node from, to;
  fill(from, "a");
  const auto file = from.send("GET", "/v1/sessions/a/export").body;
  CHECK(to.send("GET", "/v1/sessions/a/state").status == 404);
  CHECK(to.send("POST", "/v1/import", file, {jsonl}).status == 201);
  CHECK(to.send("GET", "/v1/sessions/a/state").status == 200);
}

TEST_CASE("an import becomes part of the importer's namespace and takes nothing of other users") {
  node from, to;
  fill(from, "a");
  const auto file = from.send("GET", "/v1/sessions/a/export").body;
  const auto with = [&](const char* user, const char* name_space, api::role held) {
    return http::header{
        "Authorization",
        "Bearer " + to.add_token({.user = user, .name_space = name_space, .held = held})};
  };
  const auto ann = with("ann", "n", api::role::writer), bob = with("bob", "n", api::role::writer),
             admin = with("", "m", api::role::admin);
  CHECK(to.send("POST", "/v1/import", file, {jsonl, bob}).status == 403);
  CHECK(to.send("GET", "/v1/sessions/a", "", {ann}).status == 404);
  CHECK(to.send("POST", "/v1/import", file, {jsonl, ann}).status == 201);
  CHECK(to.send("GET", "/v1/sessions/a", "", {ann}).status == 200);
  CHECK(to.send("GET", "/v1/sessions/a", "", {bob}).status == 404);
  CHECK(to.send("GET", "/v1/sessions/a", "", {admin}).status == 404);
  CHECK(to.send("POST", "/v1/import", file, {jsonl, admin}).status == 201);
}

TEST_CASE("an import may be longer than other bodies and is refused beyond 16 MiB") {
  node n;
  const std::string empty_lines(2 << 20, '\n');
  CHECK(n.send("POST", "/v1/import", empty_lines, {jsonl}).status == 201);
  CHECK(api::longest_body("POST", "/v1/import?x=1", {}) == 16 << 20);
  CHECK(api::longest_body("PUT", "/v1/import", {}) == 1 << 20);
  CHECK(api::longest_body("POST", "/v1/imports", {}) == 1 << 20);
}

TEST_CASE("erasing leaves none of an entity's bytes in the store and says what went") {
  node n;
  fill(n, "a");
  n.send("PUT", "/v1/sessions/other/state/k");
  n.send("PUT", "/v1/sessions/other", R"({"metadata":{"m":"kept-m"}})");
  n.send(
      "POST", "/v1/changes",
      R"({"changes":[{"scope":"session","id":"a","ops":[{"op":"set","key":"s","value":"secret-set"}]},)"
      R"({"scope":"session","id":"other","ops":[{"op":"set","key":"s","value":"kept-set"}]}]})");
  const std::string key(64, 'a');
  n.send("PUT", "/v1/cache/" + key,
         R"({"output":1,"agent":"a","request":{},"tags":["session/a"]})");
  const auto before = bytes_of(n, "before");
  for (const auto* secret : {"secret-m", "secret-item", "secret-name", "secret-set"})
    CHECK(before.find(secret) != std::string::npos);
  const auto done = n.send("DELETE", "/v1/sessions/a?erase=true");
  CHECK(done.status == 200);
  CHECK(
      done.body
      == R"({"scope":"session","id":"a","revision":6,"changes":5,"answers":1,"cache_entries":1})");
  CHECK(n.send("GET", "/v1/sessions/a").status == 404);
  CHECK(n.send("GET", "/v1/cache/" + key).status == 404);
  const auto after = bytes_of(n, "after");
  CHECK(after.find("secret") == std::string::npos);
  CHECK(after.find("kept-m") != std::string::npos);
  CHECK(after.find("kept-set") != std::string::npos);
  n.stop();
  n.start();
  CHECK(n.send("GET", "/v1/sessions/a").status == 404);
  CHECK(n.send("GET", "/v1/sessions/other/state/s").body == R"("kept-set")");
  CHECK(n.send("PUT", "/v1/sessions/a").status == 201);
}

TEST_CASE("erasing is for the owner and finishing it for an admin") {
  node n;
  const auto with = [&](const char* user, api::role held) {
    return http::header{"Authorization", "Bearer " + n.add_token({.user = user, .held = held})};
  };
  const auto ann = with("ann", api::role::writer), bob = with("bob", api::role::writer),
             admin = with("", api::role::admin);
  const std::string target = "/v1/sessions/a?erase=true";
  CHECK(n.send("PUT", "/v1/sessions/a", R"({"user":"ann"})", {ann}).status == 201);
  CHECK(n.send("DELETE", target, "", {bob}).status == 404);
  CHECK(n.send("DELETE", "/v1/sessions/a?erase=yes", "", {ann}).status == 422);
  CHECK(n.send("DELETE", target, "", {ann, {"If-Match", "\"9\""}}).status == 412);
  CHECK(n.send("DELETE", "/v1/sessions/a", "", {ann}).status == 204);
  CHECK(n.send("DELETE", target, "", {ann}).status == 404);
  CHECK(n.send("DELETE", target, "", {admin}).status == 200);
  CHECK(n.send("DELETE", target, "", {admin}).body.find(R"("changes":0,"answers":0)")
        != std::string::npos);
  CHECK(n.send("DELETE", "/v1/sessions/never?erase=true", "", {admin}).status == 404);
}
