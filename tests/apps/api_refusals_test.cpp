#include "support/api_node.hpp"
#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

using namespace troupe;
using testing::etag;
using testing::if_match;
using testing::ops;
using node = testing::api_node;

namespace {

/// Status, type and the whole body of an error.
#define CHECK_PROBLEM(answer, code, expected_body)                                 \
  do {                                                                             \
    const auto got = (answer);                                                     \
    CHECK(got.status == (code));                                                   \
    CHECK(got.content_type == "application/problem+json");                         \
    CHECK(got.body == std::string{R"({"type":"about:blank",)"} + (expected_body)); \
  } while (false)

}  // namespace

TEST_CASE("malformed JSON is refused with 400") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto answer = n.send("POST", "/v1/sessions/a/items", R"({"items":[)");
  CHECK(answer.status == 400);
  CHECK(answer.content_type == "application/problem+json");
  CHECK(answer.body.starts_with(
      R"({"type":"about:blank","title":"Bad Request","status":400,"detail":"not JSON: line 1, )"
      R"(column 11: )"));
  CHECK(answer.body.ends_with(R"(","code":"malformed"})"));
}

TEST_CASE("values that cannot be kept exactly are refused with their path") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", R"({"items":[{"n":18446744073709551616}]})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"an integer is beyond 64 bits","code":"invalid_value","path":"/items/0/n"})");
  CHECK_PROBLEM(
      n.send("PATCH", "/v1/sessions/a/state", R"({"a":{"b":1e999}})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"a number is beyond a finite double","code":"invalid_value","path":"/a/b"})");
  CHECK_PROBLEM(
      n.send("PATCH", "/v1/sessions/a/state", R"({"a":1,"a":2})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"a key occurs twice","code":"invalid_value","path":"/a"})");
  CHECK_PROBLEM(
      n.send("PATCH", "/v1/sessions/a/state", R"({"a":"\ud800"})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"a string has half of a surrogate pair","code":"invalid_value","path":"/a"})");
  CHECK_PROBLEM(
      n.send("PATCH", "/v1/sessions/a/state", "{\"a\":\"\xff\"}"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"a string is not UTF-8","code":"invalid_value","path":"/a"})");
  CHECK(etag(n.send("GET", "/v1/sessions/a")) == "\"1\"");
}

TEST_CASE("a depth bomb and a million elements are refused with 400 and the limit") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  std::string deepest = "/a";
  for (int i = 1; i < 64; ++i)
    deepest += "/0";
  CHECK_PROBLEM(
      n.send("PATCH", "/v1/sessions/a/state", "{\"a\":" + std::string(100'000, '[')), 400,
      R"("title":"Bad Request","status":400,"detail":"arrays and maps nest deeper than 64","code":"too_deep","path":")"
          + deepest + R"(","limit":64})");
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 400'000; ++i)
    many += ",0";
  CHECK_PROBLEM(
      n.send("PATCH", "/v1/sessions/a/state", many + "]}"), 400,
      R"("title":"Bad Request","status":400,"detail":"more than 200000 values and keys","code":"too_many_elements","path":"/a","limit":200000})");
}

TEST_CASE("wrong types are refused with their path") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", R"({"items":{}})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"an array is expected, found an object","code":"wrong_type","path":"/items"})");
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", R"({"items":[{},7]})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"an item is an object","code":"wrong_type","path":"/items/1"})");
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", "[]"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"an object is expected, found an array","code":"wrong_type"})");
  CHECK_PROBLEM(
      n.send("PATCH", "/v1/sessions/a/state", "7"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"a merge patch of the state is an object","code":"wrong_type"})");
  CHECK_PROBLEM(
      n.send("PUT", "/v1/sessions/b", R"({"user":7})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"a string is expected, found an integer","code":"wrong_type","path":"/user"})");
  CHECK_PROBLEM(
      n.send("PUT", "/v1/sessions/b", R"({"metadata":[]})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"metadata is an object","code":"wrong_type","path":"/metadata"})");
}

TEST_CASE("unknown fields and parameters are refused with their name") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK_PROBLEM(
      n.send("PUT", "/v1/sessions/b", R"({"usr":"ann"})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"there is no member of this name","code":"unknown_field","path":"/usr"})");
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", R"({"items":[{}],"x/y":1})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"there is no member of this name","code":"unknown_field","path":"/x~1y"})");
  CHECK_PROBLEM(
      n.send("PATCH", "/v1/sessions/a/state",
             R"({"ops":[{"op":"set","key":"a","value":1,"ttl":2}]})", {ops}),
      422,
      R"("title":"Unprocessable Content","status":422,"detail":"there is no member of this name","code":"unknown_field","path":"/ops/0/ttl"})");
  CHECK_PROBLEM(
      n.send("GET", "/v1/sessions/a?x=1"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"no such query parameter here","code":"unknown_field","path":"x"})");
}

TEST_CASE("an item cannot bring its own sequence number or time") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", R"({"items":[{},{"seq":9}]})"), 422,
      R"("title":"Unprocessable Content","status":422,"detail":"'seq' belongs to Troupe","code":"reserved_field","path":"/items/1/seq"})");
  CHECK(n.send("GET", "/v1/sessions/a/items").body == R"({"items":[],"next_cursor":null})");
}

TEST_CASE("a body beyond the limit is refused with 413") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto answer = n.send("POST", "/v1/sessions/a/items",
                             "{\"items\":[{\"c\":\"" + std::string(2 << 20, 'x') + "\"}]}");
  CHECK(answer.status == 413);
  CHECK(answer.content_type == "application/problem+json");
  CHECK(n.send("GET", "/healthz").status == 200);
}

TEST_CASE("an item or a value beyond 256 KiB is refused with 413 and its path") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const std::string big(300'000, 'x');
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", R"({"items":[{"c":")" + big + R"("}]})"), 413,
      R"("title":"Content Too Large","status":413,"detail":"one value is at most 256 KiB of msgpack","code":"too_large","path":"/items/0","limit":262144})");
  CHECK_PROBLEM(
      n.send("PATCH", "/v1/sessions/a/state", R"({"k":")" + big + R"("})"), 413,
      R"("title":"Content Too Large","status":413,"detail":"one value is at most 256 KiB of msgpack","code":"too_large","path":"/k","limit":262144})");
}

TEST_CASE("bad ids are refused with 400") {
  node n;
  for (const auto* id : {"", "%00", "a%0Ab", "%7F", "%C2%85", "%FF", "%C0%AF"}) {
    CAPTURE(id);
    const auto answer = n.send("PUT", std::string{"/v1/sessions/"} + id);
    CHECK(answer.status == 400);
    CHECK(answer.body.find(R"("code":"bad_id")") != std::string::npos);
  }
  CHECK_PROBLEM(
      n.send("PUT", "/v1/sessions/" + std::string(257, 'a')), 400,
      R"("title":"Bad Request","status":400,"detail":"an id is at most 256 bytes long","code":"bad_id","limit":256})");
  const std::string longest(256, 'a');
  CHECK(n.send("PUT", "/v1/sessions/" + longest).status == 201);
  CHECK(n.send("PUT", "/v1/sessions/" + longest + "/state/" + longest, "1").status == 200);
  CHECK(n.send("GET", "/v1/sessions/" + longest + "/revisions/1").status == 200);
  CHECK(n.send("PUT", "/v1/sessions/%zz").status == 400);
}

TEST_CASE("an unknown session is 404 on every route of it") {
  node n;
  const std::pair<const char*, const char*> routes[] = {{"GET", ""},       {"DELETE", ""},
                                                        {"GET", "/items"}, {"POST", "/items"},
                                                        {"GET", "/state"}, {"PATCH", "/state"}};
  for (const auto& [method, part] : routes) {
    CAPTURE(method);
    CAPTURE(part);
    const std::string body = std::string{method} == "POST"    ? R"({"items":[{}]})"
                             : std::string{method} == "PATCH" ? "{}"
                                                              : "";
    CHECK_PROBLEM(
        n.send(method, std::string{"/v1/sessions/nobody"} + part, body), 404,
        R"("title":"Not Found","status":404,"detail":"no such session","code":"not_found"})");
  }
}

TEST_CASE("an expected revision that is no longer current is 412 with the current one") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK(n.send("POST", "/v1/sessions/a/items", R"({"items":[{}]})", {if_match("1")}).status == 201);
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", R"({"items":[{}]})", {if_match("1")}), 412,
      R"("title":"Precondition Failed","status":412,"detail":"expected revision 1, found 2","code":"revision_conflict","current_revision":2})");
  CHECK_PROBLEM(
      n.send("PUT", "/v1/sessions/a", "", {{"If-None-Match", "*"}}), 409,
      R"("title":"Conflict","status":409,"detail":"the session is there already","code":"already_exists","current_revision":2})");
  CHECK(n.send("DELETE", "/v1/sessions/a", "", {{"If-Match", "W/\"2\""}}).status == 400);
}

TEST_CASE("an append needs 1 to 1000 items") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK(n.send("POST", "/v1/sessions/a/items", R"({"items":[]})").status == 400);
  std::string items = "{}";
  for (int i = 0; i < 999; ++i)
    items += ",{}";
  CHECK(n.send("POST", "/v1/sessions/a/items", "{\"items\":[" + items + "]}").status == 201);
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", "{\"items\":[{}," + items + "]}"), 400,
      R"("title":"Bad Request","status":400,"detail":"an append has at most 1,000 items","code":"too_many_elements","path":"/items","limit":1000})");
}

TEST_CASE("pages beyond the limit and numbers that are none are 422") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  for (const auto* query : {"last=0", "last=1001", "limit=1001", "after=-1", "after=x",
                            "after=", "after=18446744073709551616", "last=1&after=2"}) {
    CAPTURE(query);
    CHECK(n.send("GET", std::string{"/v1/sessions/a/items?"} + query).status == 422);
  }
}

TEST_CASE("other methods are 405 with the allowed ones and other paths are 404") {
  node n;
  const auto answer = n.send("POST", "/v1/sessions/a/state", "{}");
  CHECK(answer.status == 405);
  REQUIRE(answer.find_header("Allow"));
  CHECK(*answer.find_header("Allow") == "GET, PATCH");
  for (const auto* path : {"//", "/v1", "/v1/session/a", "/v1/sessions/a/b",
                           "/v1/sessions/a/items/1", "/v1/sessions/a/"}) {
    CAPTURE(path);
    CHECK(n.send("GET", path).status == 404);
  }
}

TEST_CASE("a body without a type is 415") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", R"({"items":[{}]})", {{"Content-Type", ""}}), 415,
      R"("title":"Unsupported Media Type","status":415,"detail":"send application/json or application/msgpack","code":"unsupported_media_type"})");
}

TEST_CASE("a request under another host name is 421") {
  node n;
  for (const auto* host :
       {"evil.example", "evil.example:7717", "127.evil.example", "128.0.0.1", "[::2]:1"}) {
    CAPTURE(host);
    CHECK(n.send("GET", "/healthz", "", {{"Host", host}}).status == 421);
  }
  for (const auto* host :
       {"localhost", "LOCALHOST:80", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:7717"}) {
    CAPTURE(host);
    CHECK(n.send("GET", "/healthz", "", {{"Host", host}}).status == 200);
  }
}

TEST_CASE("two If-Match headers are refused") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK(n.send("DELETE", "/v1/sessions/a", "", {if_match("1"), if_match("2")}).status == 400);
}

TEST_CASE("a session is refused more than 8 MiB and takes deletions and reads") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const std::string big(250'000, 'x');
  http::response answer;
  int appended = 0;
  do {
    answer = n.send("POST", "/v1/sessions/a/items", R"({"items":[{"c":")" + big + R"("}]})");
    appended += answer.status == 201;
  } while (answer.status == 201 && appended < 100);
  CHECK(appended == 33);
  CHECK_PROBLEM(
      answer, 409,
      R"("title":"Conflict","status":409,"detail":"a session holds at most 8 MiB of items, keys and values","code":"quota_exceeded","limit":8388608})");
  CHECK(n.send("PATCH", "/v1/sessions/a/state", R"({"k":")" + big + R"("})").status == 409);
  CHECK(n.send("PATCH", "/v1/sessions/a/state", R"({"k":null})").status == 200);
  CHECK(n.send("GET", "/v1/sessions/a/items?last=1").status == 200);
  CHECK(n.send("DELETE", "/v1/sessions/a").status == 204);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a thousand hostile requests leave the node answering and its memory where it was") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto resident = [] {
    std::ifstream file{"/proc/self/statm"};
    std::size_t total = 0, pages = 0;
    file >> total >> pages;
    return pages * 4096;
  };
  std::string elements = "{\"a\":[0";
  for (int i = 0; i < 250'000; ++i)
    elements += ",0";
  const std::pair<const char*, std::string> hostile[] = {
      {"/v1/sessions/a/state", "{\"a\":" + std::string(500'000, '[')},
      {"/v1/sessions/a/state", elements + "]}"},
      {"/v1/sessions/a/state", "{\"a\":\"" + std::string(900'000, 'x') + "\"}"},
      {"/v1/sessions/a/state", std::string(2 << 20, ' ')},
      {"/v1/sessions/nobody-@/state", "{}"},
  };
  const auto round = [&](int count) {
    for (int i = 0; i < count; ++i) {
      for (const auto& [target, body] : hostile) {
        std::string unique = target;
        if (const auto at = unique.find('@'); at != std::string::npos)
          unique.replace(at, 1, std::to_string(i));
        const auto status = n.send("PATCH", unique, body).status;
        CHECK(status >= 400);
        CHECK(status < 500);
      }
    }
  };
  round(20);
  const auto before = resident();
  round(200);
  CHECK(n.send("GET", "/healthz").status == 200);
  CHECK(resident() < before + (64u << 20));
}
#endif

TEST_CASE("a body of another type is 415") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  CHECK_PROBLEM(
      n.send("POST", "/v1/sessions/a/items", "x", {{"Content-Type", "text/plain"}}), 415,
      R"("title":"Unsupported Media Type","status":415,"detail":"send application/json or application/msgpack","code":"unsupported_media_type"})");
  CHECK(n.send("POST", "/v1/sessions/a/items", R"({"items":[{}]})",
               {{"Content-Type", "Application/JSON; charset=utf-8"}})
            .status
        == 201);
}

TEST_CASE("a charset that is not UTF-8 is 415 and bytes have none") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  const auto status = [&](const std::string& type, const std::string& body) {
    return n.send("PUT", "/v1/sessions/a/state/k", body, {{"Content-Type", type}}).status;
  };
  for (const auto* type : {"application/json; charset=latin1", "application/json;charset=UTF-16",
                           "application/json; v=1; Charset=\"iso-8859-1\""})
    CHECK_MESSAGE(status(type, "1") == 415, type);
  for (const auto* type : {"application/json;charset=UTF-8", "application/json; Charset=\"Utf-8\"",
                           "application/json; v=1", "application/json;"})
    CHECK_MESSAGE(status(type, "1") == 200, type);
  CHECK(status("application/msgpack; charset=binary", "\x01") == 200);
}

TEST_CASE("what is missing is told behind a name that is not known") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("PUT", "/v1/workflows/w");
  const auto problem = [&](const char* target, const char* body) {
    const auto got = n.send("POST", target, body);
    CHECK(got.status == 422);
    return got.body;
  };
  const auto itms = problem("/v1/sessions/a/items", R"({"itms":[]})");
  CHECK(itms.find(R"(`items` is missing: send {\"items\":[{...}]}, where `itms` stands)")
        != std::string::npos);
  CHECK(itms.find(R"("code":"unknown_field","path":"/itms")") != std::string::npos);
  CHECK(problem("/v1/sessions/a/merge", R"({"form":"b"})")
            .find(R"("code":"unknown_field","path":"/form")")
        != std::string::npos);
  CHECK(problem("/v1/sessions/a/merge", "{}").find(R"("path":"/from")") != std::string::npos);
}

TEST_CASE("a scope that has to be made first says how") {
  node n;
  for (const auto* target : {"/v1/global", "/v1/users/ann"}) {
    const auto made = target == std::string{"/v1/global"} ? "`PUT /v1/global` makes it"
                                                          : "`PUT /v1/users/{id}` makes it";
    CHECK(n.send("GET", target).body.find(made) != std::string::npos);
    CHECK(n.send("GET", std::string{target} + "/state").body.find(made) != std::string::npos);
    const auto put = n.send("PUT", std::string{target} + "/state/k", "1");
    CHECK(put.status == 404);
    CHECK(put.body.find(made) != std::string::npos);
  }
}

TEST_CASE("who names another owner of what is there is told so and nothing is ignored") {
  node n;
  n.send("PUT", "/v1/sessions/hers", R"({"user":"ann"})");
  n.send("PUT", "/v1/sessions/all");
  const auto refused = n.send("PUT", "/v1/sessions/hers", R"({"user":"bob"})");
  CHECK(refused.status == 409);
  CHECK(refused.body.find("belongs to 'ann'") != std::string::npos);
  CHECK(refused.body.find(R"("code":"already_exists","path":"/user","current_revision":1)")
        != std::string::npos);
  CHECK(n.send("PUT", "/v1/sessions/all", R"({"user":"bob"})").body.find("belongs to nobody")
        != std::string::npos);
  CHECK(n.send("PUT", "/v1/sessions/hers", R"({"user":"ann"})").status == 200);
  CHECK(n.send("PUT", "/v1/sessions/hers").status == 200);
}

TEST_CASE("a refusal names what the client sent and what it is to send") {
  node n;
  n.send("PUT", "/v1/sessions/a");
  n.send("PUT", "/v1/sessions/b");
  const auto says = [&](const http::response& got, const std::string& text) {
    CAPTURE(got.body);
    return got.body.find(text) != std::string::npos;
  };
  CHECK(says(n.send("POST", "/v1/sessions/a/items", R"({"role":"user"})"),
             R"(`items` is missing: send {\"items\":[{...}]}, and `role` in an item)"));
  CHECK(says(n.send("GET", "/v1/sessions/a/items?last=-1"), "from 1 to 1000"));
  CHECK(says(n.send("GET", "/v1/sessions/a/items?limit=0"), "from 1 to 1000"));
  CHECK(says(n.send("GET", "/v1/sessions/a/items?after=x"), "from 0 to 18446744073709551615"));
  CHECK(says(n.send("POST", "/v1/admin/clear"), R"(send {\"namespace\": ...})"));
  CHECK(says(n.send("POST", "/v1/sessions/a/merge", R"({"from":"b"})"), R"("path":"/from")"));
  CHECK(says(n.send("POST", "/v1/sessions/a/merge", R"({"from":"c"})"), R"("path":"/from")"));
  const auto operate = [&](const std::string& body) {
    return n.send("PATCH", "/v1/sessions/a/state", body, {ops});
  };
  const std::string swap = R"({"op":"cas","key":"k","expected":1,"value":2})";
  CHECK(says(operate(R"({"ops":[{"op":"delete","key":"k"},)" + swap + "]}"),
             R"("code":"cas_mismatch","path":"/ops/1/expected")"));
  CHECK(says(operate(R"({"ops":[)" + swap + ',' + swap + "]}"), R"("path":"/ops")"));
  CHECK(says(n.send("PATCH", "/v1/sessions/a/state", "{}", {{"Content-Type", "text/plain"}}),
             "application/vnd.troupe.ops+json"));
}
