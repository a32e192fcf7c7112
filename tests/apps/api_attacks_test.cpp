#include "api/origin.hpp"
#include "api/route.hpp"
#include "support/api_node.hpp"
#include "support/api_steps.hpp"
#include "support/raw_socket.hpp"
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What a hostile client sends and exactly what is answered, by row of docs/threats.md. That page
/// names the tests of each row, those that stand elsewhere too.

using namespace troupe;
using namespace troupe::testing;

namespace {

/// Bytes upon a connection of their own, and their only answer.
struct attack {
  int row;
  std::string name;
  std::string bytes;
  int status;
  const char* code;
  const char* says = "";  ///< also part of the answer
};

std::string request(const std::string& line, const std::string& headers, const std::string& body) {
  return line + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n" + body;
}
std::string sent(const std::string& line, const std::string& type, const std::string& body) {
  return request(line,
                 "Content-Type: application/" + type
                     + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n",
                 body);
}
std::string json(const std::string& line, const std::string& body) {
  return sent(line, "json", body);
}
std::string packed(const std::string& body) {
  return sent("PATCH /v1/sessions/s/state", "msgpack", body);
}
std::string state(const std::string& body) {
  return json("PATCH /v1/sessions/s/state", body);
}
std::string asked(const std::string& target, const std::string& headers = "") {
  return request("GET " + target, headers, "");
}
std::string framed(const std::string& headers, const std::string& body = "") {
  return request("POST /v1/sessions/s/items", headers, body);
}

std::string repeated(std::string_view what, std::size_t times) {
  std::string out;
  out.reserve(what.size() * times);
  for (std::size_t i = 0; i < times; ++i)
    out += what;
  return out;
}
/// An object of so many keys of five letters.
std::string keys(int count) {
  std::string out = "{", name = "aaaaa";
  for (int i = 0; i < count; ++i) {
    for (auto [at, left] = std::pair{name.size(), i}; at-- > 0; left /= 26)
      name[at] = static_cast<char>('a' + left % 26);
    out += (i > 0 ? ",\"" : "\"") + name + "\":0";
  }
  return out + '}';
}
std::string lines(const std::string& body) {
  return sent("POST /v1/import", "jsonl", body);
}
/// What is no client's to say of an entity.
std::string said_of_it(const std::string& member) {
  return json("PATCH /v1/sessions/s", "{\"" + member + "\":\"x\"}");
}
/// A change that needs no body, as any page may have a browser send it.
std::string popped(const std::string& headers) {
  return request("POST /v1/sessions/s/items/pop", headers + "Content-Length: 0\r\n", "");
}

std::vector<attack> attacks() {
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  return {
      {1, "length and coding", framed("Content-Length: 5\r\n" + chunked, "0\r\n\r\n"), 400,
       "malformed"},
      {1, "two lengths", framed("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"), 400,
       "malformed"},
      {1, "a signed length", framed("Content-Length: +1\r\n", "a"), 400, "malformed"},
      {1, "a negative length", framed("Content-Length: -1\r\n"), 400, "malformed"},
      {1, "a list of lengths", framed("Content-Length: 1, 1\r\n", "a"), 400, "malformed"},
      {1, "space before the colon", framed("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400,
       "malformed"},
      {1, "an unknown coding", framed("Transfer-Encoding: xchunked\r\n"), 501, "not_supported"},
      {2, "a folded header", asked("/", "X: a\r\n b\r\n"), 400, "malformed"},
      {2, "a bare line feed in a chunk", framed(chunked, "1\na\r\n0\r\n\r\n"), 400, "malformed"},
      {2, "NUL in a header", asked("/", std::string{"X: a\0b\r\n", 8}), 400, "malformed"},
      {2, "no Host", "GET / HTTP/1.1\r\n\r\n", 400, "malformed"},
      {2, "two Hosts", asked("/", "Host: localhost\r\n"), 400, "malformed"},
      {3, "a chunk beyond 64 bits", framed(chunked, "10000000000000000\r\n"), 400, "malformed"},
      {3, "a long chunk extension", framed(chunked, "1;" + repeated("x", 64 << 10)), 400,
       "malformed"},
      {3, "a million chunks of a byte", framed(chunked, repeated("1\r\na\r\n", 1'000'000)), 400,
       "malformed"},
      {6, "a long target", asked("/" + repeated("a", 64 << 10)), 414, "uri_too_long"},
      {6, "a long header", asked("/", "X: " + repeated("a", 1 << 20) + "\r\n"), 431,
       "headers_too_large"},
      {6, "many headers", asked("/", repeated("X: a\r\n", 10'000)), 431, "headers_too_large"},
      {7, "a gibibyte announced", framed("Content-Length: 1073741824\r\nExpect: 100-continue\r\n"),
       413, "too_large"},
      {8, "a body in gzip", framed("Content-Encoding: gzip\r\nContent-Length: 1\r\n", "x"), 415,
       "unsupported_media_type"},
      {8, "a body in br", framed("Content-Encoding: br\r\nContent-Length: 1\r\n", "x"), 415,
       "unsupported_media_type"},
      {8, "a body in zstd", framed("Content-Encoding: zstd\r\nContent-Length: 1\r\n", "x"), 415,
       "unsupported_media_type"},
      {9, "a depth bomb", state(R"({"a":)" + repeated("[", 100'000) + repeated("]", 100'000) + "}"),
       400, "too_deep", R"("limit":64)"},
      {9, "many elements", state(R"({"a":[)" + repeated("0,", 200'000) + "0]}"), 400,
       "too_many_elements", R"("limit":200000)"},
      {9, "many keys", state(keys(104'000)), 400, "too_many_elements", R"("limit":200000)"},
      {9, "a million keys", state(keys(1'000'000)), 413, "too_large", "1048576"},
      {9, "a depth bomb in an import", lines(repeated("[", 100'000)), 400, "too_deep",
       R"("limit":72)"},
      {10, "a duplicate key", state(R"({"a":{"b":1,"b":2}})"), 422, "invalid_value",
       R"("path":"/a/b")"},
      {10, "a number beyond a double", state(R"({"a":1e999})"), 422, "invalid_value",
       R"("path":"/a")"},
      {10, "a lone surrogate", state(R"({"a":"\ud800"})"), 422, "invalid_value", R"("path":"/a")"},
      {10, "invalid UTF-8", state("{\"a\":\"\xc3\"}"), 422, "invalid_value", R"("path":"/a")"},
      {11, "a huge array", packed("\xdd\xff\xff\xff\xff"), 400, "malformed"},
      {11, "a huge map", packed("\xdf\xff\xff\xff\xff"), 400, "malformed"},
      {11, "a string beyond the input", packed("\xdb\xff\xff\xff\xff"), 400, "malformed"},
      {11, "nested huge arrays", packed(repeated("\xdc\xff\xff", 20'000)), 400, "malformed"},
      {12, "a depth bomb in msgpack", packed(repeated("\x91", 500'000)), 400, "too_deep",
       R"("limit":64)"},
      {12, "an extension type", packed(std::string{"\x81\xa1\x61\xd4\x01\x00", 6}), 422,
       "invalid_value"},
      {12, "a byte that is none", packed("\x81\xa1\x61\xc1"), 400, "malformed"},
      {12, "bytes behind the end", packed("\x80\x80"), 400, "malformed"},
      {12, "a key that is no string", packed("\x81\x01\x01"), 422, "invalid_value"},
      {13, "many small elements",
       packed("\x81\xa1\x61\xdd" + std::string{"\x00\x0f\x00\x00", 4} + repeated("\xc0", 983'040)),
       400, "too_many_elements"},
      {18, "an item that brings its number",
       json("POST /v1/sessions/s/items", R"({"items":[{"seq":9}]})"), 422, "reserved_field",
       R"("path":"/items/0/seq")"},
      {18, "an item that brings its time",
       json("POST /v1/sessions/s/items", R"({"items":[{},{"at":"2026-01-02T12:00:00.123Z"}]})"),
       422, "reserved_field", R"("path":"/items/1/at")"},
      {18, "an owner", said_of_it("owner"), 422, "unknown_field", R"("path":"/owner")"},
      {18, "another user", said_of_it("user"), 422, "unknown_field", R"("path":"/user")"},
      {18, "another namespace", said_of_it("namespace"), 422, "unknown_field",
       R"("path":"/namespace")"},
      {18, "an epoch", said_of_it("epoch"), 422, "unknown_field", R"("path":"/epoch")"},
      {18, "a revision", said_of_it("revision"), 422, "unknown_field", R"("path":"/revision")"},
      {18, "an id", said_of_it("id"), 422, "unknown_field", R"("path":"/id")"},
      {18, "an owner beside operations",
       sent("PATCH /v1/sessions/s/state", "vnd.troupe.ops+json", R"({"ops":[],"owner":"eve"})"),
       422, "unknown_field", R"("path":"/owner")"},
      {18, "a namespace in a change set",
       json("POST /v1/changes",
            R"({"changes":[{"scope":"session","id":"s","namespace":"other","ops":[]}]})"),
       422, "unknown_field", R"("path":"/changes/0/namespace")"},
      {19, "a control character in an id", asked("/v1/sessions/%01"), 400, "bad_id"},
      {19, "a line end in an id", asked("/v1/sessions/a%0d%0aSet-Cookie:x"), 400, "bad_id"},
      {19, "an id that is no UTF-8", asked("/v1/sessions/%c3%28"), 400, "bad_id"},
      {19, "an overlong form in an id", asked("/v1/sessions/%c0%af"), 400, "bad_id"},
      {19, "a long id", asked("/v1/sessions/" + repeated("a", 257)), 400, "bad_id",
       R"("limit":256)"},
      {19, "a line end in a fork's id", json("POST /v1/sessions/s/fork", R"({"id":"a\r\nb"})"), 400,
       "bad_id", R"("path":"/id")"},
      {19, "a line end in an agent's session",
       json("POST /api/agent/quick", R"({"query":"x","context":{"session_id":"a\nb"}})"), 400,
       "bad_id"},
      {19, "a line end in a change set's id",
       json("POST /v1/changes",
            R"({"changes":[{"scope":"session","id":"a\nb","ops":[{"op":"delete","key":"k"}]}]})"),
       400, "bad_id"},
      {19, "a line end in who shares",
       json("PATCH /v1/sessions/s", R"({"shares":[{"user":"a\nb","access":"read"}]})"), 400,
       "bad_id", R"("path":"/shares/0/user")"},
      {19, "a path in place of a cache key", asked("/v1/cache/..%2f..%2fetc"), 400, "bad_id"},
      {22, "TRACE", request("TRACE /v1/sessions/s", "", ""), 405, "method_not_allowed"},
      {22, "CONNECT", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405,
       "method_not_allowed"},
      {24, "a value of 300 KiB", state(R"({"a":")" + repeated("x", 300 << 10) + "\"}"), 413,
       "too_large", R"("limit":262144)"},
      {24, "a body of 2 MiB", state(R"({"a":")" + repeated("x", 2 << 20) + "\"}"), 413,
       "too_large"},
      {25, "a huge page", asked("/v1/sessions/s/items?limit=1000000000"), 422, "invalid_value",
       R"("path":"limit")"},
      {25, "a huge page of a list", asked("/v1/sessions?limit=1000000000"), 422, "invalid_value",
       R"("path":"limit")"},
      {25, "a page beyond 64 bits", asked("/v1/sessions/s/items?limit=18446744073709551616"), 422,
       "invalid_value", R"("path":"limit")"},
      {25, "a negative place", asked("/v1/sessions/s/items?after=-1"), 422, "invalid_value",
       R"("path":"after")"},
      {25, "more revisions than may be kept",
       json("PATCH /v1/sessions/s", R"({"policy":{"keep_revisions":10001}})"), 422, "invalid_value",
       R"("path":"/policy/keep_revisions","limit":10000)"},
      {25, "a negative revision", asked("/v1/sessions/s/diff?from=-1"), 422, "invalid_value",
       R"("path":"from")"},
      {25, "a revision beyond 64 bits", asked("/v1/sessions/s/diff?from=18446744073709551616"), 422,
       "invalid_value"},
      {25, "a revision that never was", asked("/v1/sessions/s/revisions/99"), 410, "revision_gone"},
      {27, "an event id that is none",
       asked("/v1/sessions/s/events", "Last-Event-ID: ../../etc\r\n"), 400, "malformed"},
      {27, "an event id beyond 64 bits",
       asked("/v1/sessions/s/events", "Last-Event-ID: 1-18446744073709551616\r\n"), 400,
       "malformed"},
      {27, "an event id of another stream",
       asked("/v1/sessions/s/events", "Last-Event-ID: s0-1-0\r\n"), 400, "malformed"},
      {36, "another host", "GET /v1/stats HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421,
       "misdirected"},
      {36, "a change for a page from elsewhere", popped("Origin: http://evil.example\r\n"), 403,
       "forbidden"},
      {36, "a change for another port of this machine", popped("Origin: http://localhost:3000\r\n"),
       403, "forbidden"},
      {36, "a change for a page without an origin", popped("Origin: null\r\n"), 403, "forbidden"},
      {36, "a change for another site", popped("Sec-Fetch-Site: cross-site\r\n"), 403, "forbidden"},
      {36, "a change for two origins",
       popped("Origin: http://localhost\r\nOrigin: http://evil.example\r\n"), 403, "forbidden"},
      {36, "a deletion for a page from elsewhere",
       request("DELETE /v1/sessions/s", "Origin: http://evil.example\r\n", ""), 403, "forbidden"},
  };
}

}  // namespace

TEST_CASE("every attack has its exact answer and the node goes on") {
  api_node n;
  n.send("PUT", "/v1/sessions/s", R"({"metadata":{"m":1}})");
  for (const auto& one : attacks()) {
    CAPTURE(one.row);
    CAPTURE(one.name);
    raw_peer peer{n.port()};
    const auto answer = peer.send(one.bytes).answer();
    CAPTURE(answer);
    CHECK(status_of(answer) == one.status);
    CHECK(has(answer, "\r\nContent-Type: application/problem+json\r\n"));
    CHECK(has(answer, "\"code\":\"" + std::string{one.code} + '"'));
    CHECK(has(answer, one.says));
    CHECK_FALSE(has(answer, "100 Continue"));
    if (one.row <= 8)  // what is no HTTP ends its connection
      CHECK(peer.closed());
    CHECK(n.send("GET", "/healthz").status == 200);
  }
  CHECK(*n.send("GET", "/v1/sessions/s").find_header("ETag") == "\"1\"");
}

TEST_CASE("a large body is read only of whom the whole request would be taken") {
  api_node n;
  const auto bearer = [](const std::string& token) {
    return "Authorization: Bearer " + token + "\r\n";
  };
  const auto writer = bearer(n.add_token({.user = "ann", .held = api::role::writer}));
  const auto reader = bearer(n.add_token({.user = "bob", .held = api::role::reader}));
  const std::string large = "Expect: 100-continue\r\nContent-Length: 700000\r\n";
  const struct {
    const char* name;
    std::string line, headers;
    int status;
    const char* code;
  } cases[] = {
      {"no token", "POST /v1/sessions/s/items", "", 401, "unauthenticated"},
      {"a wrong token", "POST /v1/sessions/s/items", bearer("troupe_x"), 401, "unauthenticated"},
      {"two tokens", "POST /v1/sessions/s/items", writer + writer, 400, "malformed"},
      {"a reader", "POST /v1/sessions/s/items", reader, 403, "forbidden"},
      {"no such route", "POST /v1/nothing", writer, 404, "not_found"},
      {"no such method", "PUT /v1/sessions/s/items", writer, 405, "method_not_allowed"},
      {"no such parameter", "POST /v1/sessions/s/items?x=1", writer, 422, "unknown_field"},
      {"a route for everybody", "GET /healthz", "", 413, "too_large"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.name);
    raw_peer peer{n.port()};
    const auto answer = peer.send(request(one.line, one.headers + large, "")).answer();
    CHECK(status_of(answer) == one.status);
    CHECK(has(answer, "\"code\":\"" + std::string{one.code} + '"'));
    CHECK(has(answer, "\r\nX-Request-Id: "));
    CHECK(has(answer, "\r\nConnection: close\r\n"));
    CHECK(peer.closed());
  }
  const auto import = request("POST /v1/import",
                              writer + "Expect: 100-continue\r\nContent-Length: 16777216\r\n", "");
  raw_peer first{n.port()}, second{n.port()};
  CHECK(status_of(first.send(import).answer()) == 100);
  CHECK(status_of(second.send(import).answer()) == 100);
  const auto append = request("POST /v1/sessions/s/items", writer + large, "");
  const auto refused = raw_peer{n.port()}.send(append).answer();
  CHECK(status_of(refused) == 429);
  CHECK(has(refused, R"("code":"busy","limit":33554432,"retry_after_ms":100)"));
  CHECK(status_of(first.send(std::string(16 << 20, ' ')).answer()) == 415);  // it names no type
  CHECK(status_of(first.send(append).answer()) == 100);
}

TEST_CASE("where operators have a listener the other reads no large body for them") {
  api_node n;
  const auto clients = n.listen(api::service::listener::clients);
  raw_peer peer{clients->port()};
  CHECK(status_of(
            peer.send(request("POST /v1/admin/backup", "Content-Length: 700000\r\n", "")).answer())
        == 404);
}

TEST_CASE("a token makes a connection one that the limit of its address does not count") {
  api_node n;
  const auto token = n.add_token({.user = "ann", .held = api::role::reader});
  const auto ask = request("GET /v1/stats", "Authorization: Bearer " + token + "\r\n", "");
  std::vector<std::unique_ptr<raw_peer>> known, unknown;
  for (int i = 0; i < 101; ++i) {
    known.push_back(std::make_unique<raw_peer>(n.port()));
    CHECK(status_of(known.back()->send(ask).answer()) == 200);
  }
  for (int i = 0; i < 100; ++i) {
    unknown.push_back(std::make_unique<raw_peer>(n.port()));
    CHECK(status_of(unknown.back()->send(asked("/healthz")).answer()) == 200);
  }
  CHECK(status_of(raw_peer{n.port()}.answer()) == 429);
  n.revoke_tokens();
  CHECK(status_of(known[0]->send(ask).answer()) == 401);
}

TEST_CASE("a node without tokens counts no connections of an address") {
  api_node n;
  std::vector<std::unique_ptr<raw_peer>> idle;
  for (int i = 0; i < 200; ++i)
    idle.push_back(std::make_unique<raw_peer>(n.port()));
  CHECK(n.send("GET", "/v1/stats").status == 200);
}

TEST_CASE("the state of an entity says nothing of its owner or place or revision") {
  api_node n;
  const auto ann = n.add_token({.user = "ann", .held = api::role::writer});
  const http::header token{"Authorization", "Bearer " + ann};
  n.send("PUT", "/v1/sessions/s", R"({"user":"ann"})", {token});
  CHECK(
      n.send("PATCH", "/v1/sessions/s/state",
             R"({"user":"eve","owner":"eve","namespace":"other","epoch":9,"revision":99,"seq":7})",
             {token})
          .status
      == 200);
  const auto after = n.send("GET", "/v1/sessions/s", "", {token});
  CHECK(has(after.body, R"("id":"s","status":"active","revision":2,)"));
  CHECK(has(after.body, R"("user":"ann")"));
  CHECK(*after.find_header("ETag") == "\"2\"");
  CHECK(n.send("GET", "/v1/sessions/s/state", "", {token}).body
        == R"({"revision":2,"state":{"epoch":9,"namespace":"other","owner":"eve","revision":99,)"
           R"("seq":7,"user":"eve"}})");
  CHECK(n.send("PUT", "/v1/sessions/t", R"({"user":"eve"})", {token}).status == 403);
}

TEST_CASE("no route takes an address that the node would ask") {
  auto document = api::openapi_document();
  const std::string servers = R"("servers":[{"url":"/"}],)";
  REQUIRE(has(document, servers));
  document.erase(document.find(servers), servers.size());
  for (const auto* word : {"url", "uri", "callback", "webhook", "hook", "endpoint"})
    CHECK_FALSE(has(document, '"' + std::string{word} + "\":"));
}

TEST_CASE("a page from elsewhere gets no leave to read an answer") {
  api_node n;
  for (const auto* method : {"GET", "OPTIONS"}) {
    const auto got =
        n.send(method, "/v1/stats", "",
               {{"Origin", "https://evil.example"}, {"Access-Control-Request-Method", "POST"}});
    for (const auto& one : got.headers)
      CHECK_FALSE(one.name.starts_with("Access-Control-"));
    CHECK(got.find_header("Set-Cookie") == nullptr);
  }
}

TEST_CASE(
    "no row changes anything for a page from elsewhere and every row answers the node's own") {
  api_node n;
  n.send("PUT", "/v1/sessions/s");
  const auto own = "http://127.0.0.1:" + std::to_string(n.port());
  using headers = std::vector<http::header>;
  const headers foreign[] = {{{"Origin", "http://evil.example"}},
                             {{"Origin", "null"}},
                             {{"Origin", "http://127.0.0.1"}},
                             {{"Origin", own + ".evil.example"}},
                             {{"Sec-Fetch-Site", "cross-site"}},
                             {{"Sec-Fetch-Site", "same-site"}},
                             {{"Origin", own}, {"Sec-Fetch-Site", "cross-site"}}};
  const headers home[] = {{{"Origin", own}},
                          {{"Origin", own}, {"Sec-Fetch-Site", "same-origin"}},
                          {{"Origin", "null"}, {"Sec-Fetch-Site", "same-origin"}},
                          {{"Sec-Fetch-Site", "none"}}};
  const auto ask = [&](const api::route& row, const headers& with) {
    return n.send(std::string{row.method}, path_to(row, "s"), "", with).status;
  };
  for (const auto& row : api::all_routes()) {
    CAPTURE(name_of(row));
    if (row.media == "text/event-stream")
      continue;
    for (const auto& with : foreign)
      CHECK((ask(row, with) == 403) == (row.method != "GET"));
  }
  const auto untouched = n.send("GET", "/v1/sessions/s");
  REQUIRE(untouched.find_header("ETag"));
  CHECK(*untouched.find_header("ETag") == "\"1\"");
  for (const auto& row : api::all_routes()) {
    CAPTURE(name_of(row));
    if (row.media == "text/event-stream")
      continue;
    for (const auto& with : home)
      CHECK(ask(row, with) != 403);
  }
}

TEST_CASE("a node's own origin is the host by which it is asked and over TLS https alone") {
  const auto lets = [](const std::string& origin, const std::string& host, bool tls) {
    http::request asked{.method = "POST", .target = "/v1/sessions"};
    asked.headers = {{"origin", origin}};
    if (!host.empty())
      asked.headers.push_back({"Host", host});
    return api::check_origin(asked, tls).has_value();
  };
  CHECK(lets("https://node.example:8443", "node.example:8443", true));
  CHECK(lets("https://node.example", "node.example:443", true));
  CHECK(lets("https://node.example", "Node.example", false));  // a proxy took TLS off
  CHECK(lets("http://[::1]:7717", "[::1]:7717", false));
  CHECK_FALSE(lets("http://node.example:8443", "node.example:8443", true));
  CHECK_FALSE(lets("https://node.example:443", "node.example:80", true));
  CHECK_FALSE(lets("http://node.example:443", "node.example", false));
  CHECK_FALSE(lets("https://node.example", "node.example.evil.example", true));
  CHECK_FALSE(lets("ftp://node.example", "node.example", false));
  CHECK_FALSE(lets("http://", "", false));
  CHECK_FALSE(lets("http://node.example", "", false));
}

TEST_CASE("a key with NUL in it is kept whole and is no other key") {
  api_node n;
  n.send("PUT", "/v1/sessions/s");
  CHECK(n.send("PATCH", "/v1/sessions/s/state", R"({"a\u0000b":{"c\u0000":1}})").status == 200);
  CHECK(n.send("GET", "/v1/sessions/s/state/a").status == 404);
  CHECK(n.send("GET", "/v1/sessions/s/state/a%00b").body == R"({"c\u0000":1})");
}

TEST_CASE("a user reads earlier revisions by so many requests at a time and others go on") {
  api_node n{{.user_past = 0}};
  const auto of = [&](const char* user, api::role held) {
    return http::header{"Authorization", "Bearer " + n.add_token({.user = user, .held = held})};
  };
  n.send("PUT", "/v1/sessions/s");
  n.send("PUT", "/v1/sessions/s/state/k", "1");
  const char* const past[] = {"/v1/sessions/s/revisions/1", "/v1/sessions/s/diff?from=1"};
  for (const auto* target : past)  // without tokens nobody is told from others
    CHECK(n.send("GET", target).status == 200);
  const auto ann = of("ann", api::role::writer);
  for (const auto* target : past) {
    const auto refused = n.send("GET", target, "", {ann});
    CHECK(refused.status == 429);
    CHECK(has(refused.body, R"("code":"busy","limit":0,"retry_after_ms":100)"));
    REQUIRE(refused.find_header("Retry-After"));
  }
  const auto fork = [&](const char* at) {
    return n.send("POST", "/v1/sessions/s/fork", at, {ann}).status;
  };
  CHECK(fork(R"({"at":1})") == 429);
  CHECK(fork(R"({"at":2,"id":"f"})") == 201);  // the newest
  CHECK(fork(R"({"id":"g"})") == 201);
  CHECK(n.send("GET", "/v1/sessions/s/state", "", {ann}).status == 200);
}

TEST_CASE("a cursor of another entity's stream tells nothing of that one") {
  api_node n;
  for (const auto* id : {"s", "other"})
    n.send("PUT", "/v1/sessions/" + std::string{id});
  for (int i = 0; i < 3; ++i)
    n.send("PUT", "/v1/sessions/other/state/k", std::to_string(i));
  raw_peer peer{n.port()};
  peer.send(asked("/v1/sessions/s/events", "Last-Event-ID: 1-4\r\n"));
  CHECK(has(peer.until("retry: 1000\n\n"), "200 OK"));
  const auto gap = peer.until("}\n\n");
  CHECK(has(gap, "event: gap"));
  CHECK(has(gap, R"({"reason":"not_kept","revision":1})"));
  n.send("PUT", "/v1/sessions/s/state/k", "1");
  const auto change = peer.until("}\n\n");
  CHECK(has(change, R"("id":"s","revision":2)"));
}
