#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace troupe;
using testing::etag;
using testing::ops;
using node = testing::api_node;

namespace {}  // namespace

TEST_CASE("PUT creates a session once and finds it afterwards") {
  node n;
  const auto created = n.send("PUT", "/v1/sessions/a", R"({"user":"ann","metadata":{"k":1.0}})");
  CHECK(created.status == 201);
  CHECK(etag(created) == "\"1\"");
  CHECK(
      created.body
      == R"({"id":"a","status":"active","revision":1,"created":"2026-01-02T12:00:00.123Z",)"
         R"("last_activity":"2026-01-02T12:00:00.123Z","user":"ann","metadata":{"k":1.0},"items":0,"entries":1,"bytes":10})");
  const auto found = n.send("PUT", "/v1/sessions/a", R"({"user":"ann","metadata":{"k":2}})");
  CHECK(found.status == 200);
  CHECK(found.body == created.body);
  CHECK(n.send("GET", "/v1/sessions/a").body == created.body);
}

TEST_CASE("POST on the collection makes an id of 128 bits") {
  node n;
  const auto created = n.send("POST", "/v1/sessions");
  CHECK(created.status == 201);
  CHECK(created.body.starts_with(R"({"id":"00000000000000010000000000000002",)"));
}

TEST_CASE(
    "appended items come back with their sequence numbers and times and nothing else changed") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto appended = n.send(
      "POST", "/v1/sessions/a/items",
      R"({"items":[{"role":"user","content":"h\u00e9\u0000"},{},{"n":[1,1.0,18446744073709551615,null]}]})");
  CHECK(appended.status == 201);
  CHECK(appended.body == R"({"revision":2,"first_seq":1,"last_seq":3})");
  CHECK(etag(appended) == "\"2\"");
  CHECK(
      n.send("GET", "/v1/sessions/a/items").body
      == R"({"items":[{"seq":1,"at":"2026-01-02T12:00:00.123Z","role":"user","content":"hé\u0000"},)"
         R"({"seq":2,"at":"2026-01-02T12:00:00.123Z"},)"
         R"({"seq":3,"at":"2026-01-02T12:00:00.123Z","n":[1,1.0,18446744073709551615,null]}],"next_cursor":null})");
}

TEST_CASE("pages of items have the newest or follow a cursor without gap or repeat") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("POST", "/v1/sessions/a/items", R"({"items":[{},{},{},{},{}]})");
  const auto seqs = [&](const std::string& query) {
    const auto body = n.send("GET", "/v1/sessions/a/items?" + query).body;
    std::string out;
    for (std::size_t at = 0; (at = body.find("\"seq\":", at)) != std::string::npos; ++at)
      out += body[at + 6];
    const auto cursor = body.find("\"next_cursor\":\"");
    return out + (cursor == std::string::npos ? "" : std::string{">"} + body[cursor + 15]);
  };
  CHECK(seqs("last=2") == "45");
  CHECK(seqs("last=9") == "12345");
  CHECK(seqs("after=0&limit=2") == "12>2");
  CHECK(seqs("cursor=2&limit=2") == "34>4");
  CHECK(seqs("cursor=4&limit=2") == "5");
  CHECK(seqs("after=5") == "");
  CHECK(seqs("after=18446744073709551615") == "");
  CHECK(seqs("before=4&limit=2") == "23");
  CHECK(seqs("before=1") == "");
  CHECK(seqs("before=0") == "");
  CHECK(seqs("before=18446744073709551615") == "12345");
}

TEST_CASE("state is patched by merge and by operations and keeps its types") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK(n.send("PATCH", "/v1/sessions/a/state", R"({"a":1,"b":{"c":1.0,"d":null},"__proto__":[]})")
            .body
        == R"({"revision":2})");
  CHECK(n.send("GET", "/v1/sessions/a/state").body
        == R"({"revision":2,"state":{"__proto__":[],"a":1,"b":{"c":1.0}}})");
  CHECK(n.send("PATCH", "/v1/sessions/a/state", R"({"b":{"c":null,"e":true},"a":null})").status
        == 200);
  CHECK(n.send("GET", "/v1/sessions/a/state").body
        == R"({"revision":3,"state":{"__proto__":[],"b":{"e":true}}})");
  CHECK(
      n.send(
           "PATCH", "/v1/sessions/a/state",
           R"({"ops":[{"op":"set","key":"a","value":null},{"op":"delete","key":"b"},{"op":"delete","key":"zz"}]})",
           {ops})
          .body
      == R"({"revision":4})");
  CHECK(n.send("GET", "/v1/sessions/a/state").body
        == R"({"revision":4,"state":{"__proto__":[],"a":null}})");
}

TEST_CASE("a patch that changes nothing spends no revision") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("PATCH", "/v1/sessions/a/state", R"({"a":1})");
  CHECK(n.send("PATCH", "/v1/sessions/a/state", R"({"a":1,"zz":null})").body
        == R"({"revision":2})");
  CHECK(n.send("PATCH", "/v1/sessions/a/state", R"({"a":1.0})").body == R"({"revision":3})");
}

TEST_CASE("a deleted session is gone and one made again continues its revisions") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("POST", "/v1/sessions/a/items", R"({"items":[{}]})");
  const auto deleted = n.send("DELETE", "/v1/sessions/a");
  CHECK(deleted.status == 204);
  CHECK(deleted.body.empty());
  CHECK(n.send("GET", "/v1/sessions/a").status == 404);
  CHECK(n.send("DELETE", "/v1/sessions/a").status == 404);
  CHECK(etag(n.send("PUT", "/v1/sessions/a")) == "\"4\"");
  CHECK(n.send("GET", "/v1/sessions/a/items").body == R"({"items":[],"next_cursor":null})");
}

TEST_CASE("everything that was answered is there after a restart") {
  node n;
  n.send("PUT", "/v1/sessions/a", R"({"user":"ann"})");
  n.send("POST", "/v1/sessions/a/items", R"({"items":[{"content":"x"}]})");
  n.send("PATCH", "/v1/sessions/a/state", R"({"k":[1]})");
  const auto info = n.send("GET", "/v1/sessions/a").body,
             items = n.send("GET", "/v1/sessions/a/items").body,
             state = n.send("GET", "/v1/sessions/a/state").body;
  n.stop();
  n.start();
  CHECK(n.send("GET", "/v1/sessions/a/items").body == items);
  CHECK(n.send("GET", "/v1/sessions/a/state").body == state);
  CHECK(n.send("GET", "/v1/sessions/a").body == info);
}

TEST_CASE("an id is data whatever it looks like") {
  node n;
  for (const auto* id :
       {"..%2F..%2Fetc", "__proto__", "a%20b", "%E6%97%A5%E6%9C%AC", "%25", "a%2Fb", "..", "."}) {
    CAPTURE(id);
    const auto target = std::string{"/v1/sessions/"} + id;
    CHECK(n.send("PUT", target).status == 201);
    CHECK(n.send("GET", target).status == 200);
    CHECK(n.send("PUT", target + "/state/" + id, "1").status == 200);
  }
  const std::set<std::string> own{"store",      "data.mdb",    "lock.mdb",
                                  "owner.lock", "commit.mark", "commit.log", "cache"};
  for (const auto& file : std::filesystem::recursive_directory_iterator{n.backups().parent_path()})
    CHECK_MESSAGE(own.contains(file.path().filename().string()), file.path().string());
}

TEST_CASE("health and readiness answer without a session") {
  node n;
  for (const auto* path : {"/healthz", "/readyz"}) {
    const auto answer = n.send("GET", path);
    CHECK(answer.status == 200);
    CHECK(answer.body == R"({"status":"ok"})");
  }
}

TEST_CASE("HEAD answers as GET without the body") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto head = n.send("HEAD", "/v1/sessions/a");
  CHECK(head.status == 200);
  CHECK(etag(head) == "\"1\"");
  CHECK(head.body.empty());
}

TEST_CASE("who has the current revision already is answered 304 without a body") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("PUT", "/v1/sessions/a/state/k", "1");
  n.send("POST", "/v1/sessions/a/items", R"({"items":[{"role":"user"}]})");
  for (const std::string path : {"", "/state", "/items", "/state/k"}) {
    CAPTURE(path);
    const auto target = "/v1/sessions/a" + path;
    const auto all = n.send("GET", target);
    const auto tag = etag(all);
    CHECK(tag == (path == "/state/k" ? "\"2\"" : "\"3\""));
    for (const auto& known : {tag, "W/" + tag, std::string{"*"}, "\"77\", W/" + tag + " ,\"1\""}) {
      CAPTURE(known);
      const auto same = n.send("GET", target, "", {{"If-None-Match", known}});
      CHECK(same.status == 304);
      CHECK(same.body == "");
      CHECK(etag(same) == tag);
    }
    CHECK(n.send("HEAD", target, "", {{"If-None-Match", tag}}).status == 304);
    for (const std::string other : {"\"77\"", "77", "\"\"", ""})
      CHECK(n.send("GET", target, "", {{"If-None-Match", other}}).body == all.body);
  }
  n.send("PUT", "/v1/sessions/a/state/other", "1");
  CHECK(n.send("GET", "/v1/sessions/a/state", "", {{"If-None-Match", "\"3\""}}).status == 200);
  CHECK(n.send("GET", "/v1/sessions/a/state/k", "", {{"If-None-Match", "\"2\""}}).status == 304);
  CHECK(n.send("GET", "/v1/sessions/b", "", {{"If-None-Match", "*"}}).status == 404);
}

TEST_CASE("what may change without a revision is always answered whole") {
  node n;
  n.send("PUT", "/v1/users/ann");
  n.send("PUT", "/v1/sessions/a", R"({"user":"ann"})");
  CHECK(n.send("GET", "/v1/sessions/a/state?inherit=true", "", {{"If-None-Match", "\"1\""}}).status
        == 200);
  n.send("PUT", "/v1/sessions/a/state/k?ttl_s=60", "1");
  const http::header known{"If-None-Match", "\"2\""};
  CHECK(n.send("GET", "/v1/sessions/a/state", "", {known}).body
        == R"({"revision":2,"state":{"k":1}})");
  n.advance(60'000);
  CHECK(n.send("GET", "/v1/sessions/a/state", "", {known}).body == R"({"revision":2,"state":{}})");
}

TEST_CASE("a page ends at a mebibyte and goes on behind its cursor") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const std::string big(200'000, 'x');
  for (int i = 0; i < 8; ++i)
    n.send("POST", "/v1/sessions/a/items", R"({"items":[{"c":")" + big + R"("}]})");
  const auto first = n.send("GET", "/v1/sessions/a/items").body;
  CHECK(first.size() < (1 << 20) + 100);
  CHECK(first.ends_with(R"("next_cursor":"5"})"));
  const auto second = n.send("GET", "/v1/sessions/a/items?cursor=5").body;
  CHECK(second.starts_with(R"({"items":[{"seq":6,)"));
  CHECK(second.ends_with(R"("next_cursor":null})"));
  const auto last = n.send("GET", "/v1/sessions/a/items?last=8").body;
  CHECK(last.starts_with(R"({"items":[{"seq":4,)"));
}
