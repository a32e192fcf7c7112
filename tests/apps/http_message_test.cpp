#include "http/message.hpp"
#include "http/problem.hpp"
#include "http/wire.hpp"
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::http;

namespace {

using segments = std::vector<std::string>;
using parameters = std::vector<query_parameter>;

const body_limit no_exception{};

/// The status a head (or request) is refused with; 0 when it is complete, -1 when it wants more.
int verdict(std::string_view bytes, const limits& bounds = {}) {
  request_parser parser{bounds, no_exception};
  parser.feed(bytes);
  return parser.failed() ? parser.error().status : parser.done() ? 0 : -1;
}

request parsed(std::string_view bytes) {
  const limits bounds;
  request_parser parser{bounds, no_exception};
  CHECK(parser.feed(bytes) == bytes.size());
  REQUIRE(parser.done());
  return parser.take();
}

std::string get(std::string_view headers) {
  return "GET / HTTP/1.1\r\nHost: x\r\n" + std::string{headers} + "\r\n";
}

std::string chunked(std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string{body};
}

}  // namespace

TEST_CASE("a target is split before it is decoded so that an encoded slash is data") {
  const auto t = parse_target("/v1/sessions/a%2Fb%00/state?keys=x%26y&q=a+b%2B&flag&q=2");
  REQUIRE(t);
  CHECK(t->segments == segments{"v1", "sessions", std::string{"a/b\0", 4}, "state"});
  CHECK(t->query == parameters{{"keys", "x&y"}, {"q", "a b+"}, {"flag", ""}, {"q", "2"}});
  REQUIRE(t->find_query("q") != nullptr);
  CHECK(*t->find_query("q") == "a b+");
  CHECK(t->find_query("Q") == nullptr);
}

TEST_CASE("dot segments and empty segments and plus signs of a path are data") {
  CHECK(parse_target("/")->segments.empty());
  CHECK(parse_target("/a/")->segments == segments{"a", ""});
  CHECK(parse_target("//a")->segments == segments{"", "a"});
  CHECK(parse_target("/../%2e%2E/a+b")->segments == segments{"..", "..", "a+b"});
  CHECK(parse_target("/a?")->query.empty());
  CHECK(parse_target("/a?&&=v&")->query == parameters{{"", "v"}});
}

TEST_CASE("a broken percent escape is an error wherever it stands") {
  for (const auto* target : {"/%", "/a%2", "/%zz", "/%2g/b", "/a?x=%", "/a?%4=1", "/%%41", "/% 1"})
    CHECK_MESSAGE(parse_target(target).error().code == errc::malformed, target);
  CHECK_FALSE(parse_target(""));
  CHECK_FALSE(parse_target("*"));
  CHECK_FALSE(parse_target("a/b"));
}

TEST_CASE("what is percent encoded is decoded to the same bytes") {
  std::string all;
  for (int c = 0; c < 256; ++c)
    all.push_back(static_cast<char>(c));
  CHECK(parse_target("/" + percent_encode(all))->segments == segments{all});
  CHECK(parse_target("/?" + percent_encode(all) + "=1")->query == parameters{{all, "1"}});
}

TEST_CASE("header names compare without case and repeats are counted") {
  const request r{.method = "GET", .target = "/", .headers = {{"ETag", "1"}, {"eTAG", "2"}}};
  REQUIRE(r.find_header("etag") != nullptr);
  CHECK(*r.find_header("etag") == "1");
  CHECK(count_header(r.headers, "ETAG") == 2);
  CHECK(r.find_header("etags") == nullptr);
  CHECK_FALSE(iequals("a[", "A{"));
}

TEST_CASE("a problem body is JSON whatever the detail holds") {
  CHECK(problem_body(404, "not_found", "no \"x\\y\"\n\x01\x7f \xC3\xA4 \xF0\x9F\x98\x80")
        == "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"no "
           "\\\"x\\\\y\\\"\\n\\u0001\x7f \xC3\xA4 \xF0\x9F\x98\x80\",\"code\":\"not_found\"}");
  CHECK(problem_body(413, "too_large", "", "\"limit\":8")
            .ends_with("\"code\":\"too_large\",\"limit\":8}"));
}

TEST_CASE("bytes that are not UTF-8 become replacement characters one by one") {
  const auto escaped = [](std::string_view s) {
    std::string out;
    append_json_string(out, s);
    return out;
  };
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(escaped("\xFF") == "\"" + bad + "\"");
  CHECK(escaped("\xC0\x80") == "\"" + bad + bad + "\"");                      // overlong
  CHECK(escaped("\xE0\x80\x80") == "\"" + bad + bad + bad + "\"");            // overlong
  CHECK(escaped("\xED\xA0\x80") == "\"" + bad + bad + bad + "\"");            // surrogate
  CHECK(escaped("\xF4\x90\x80\x80") == "\"" + bad + bad + bad + bad + "\"");  // beyond U+10FFFF
  CHECK(escaped("a\xE2\x82") == "\"a" + bad + bad + "\"");                    // cut off
  CHECK(escaped("\xE2\x82z") == "\"" + bad + bad + "z\"");
  CHECK(escaped("\xED\x9F\xBF\xEE\x80\x80") == "\"\xED\x9F\xBF\xEE\x80\x80\"");
}

TEST_CASE("a responder answers once and answers 500 when it is dropped or overwritten") {
  std::vector<int> statuses;
  const auto make = [&] {
    return responder::to([&](response r) { statuses.push_back(r.status); });
  };
  {
    auto r = make();
    r({.status = 201});
    CHECK_FALSE(r);
    r({.status = 202});
  }
  CHECK(statuses == std::vector{201});
  { const auto dropped = make(); }
  CHECK(statuses == std::vector{201, 500});
  auto first = make();
  auto moved = std::move(first);
  first = make();
  moved = std::move(first);
  CHECK(statuses == std::vector{201, 500, 500});
  moved({.status = 204});
  CHECK(statuses.back() == 204);
}

TEST_CASE("a request is the same however its bytes are cut") {
  const std::string bytes =
      "\r\nPOST /a?b=c HTTP/1.1\r\nHost: h:1\r\nX-A:\t v w \r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3;x=\"y\"\r\nabc\r\n0A \t;e\r\n0123456789\r\n000\r\nTrailer: t\r\n\r\n";
  const auto whole = parsed(bytes);
  CHECK(whole.method == "POST");
  CHECK(whole.target == "/a?b=c");
  CHECK(*whole.find_header("x-a") == "v w");
  CHECK(whole.body == "abc0123456789");
  const limits bounds;
  for (std::size_t step = 1; step < bytes.size(); ++step) {
    request_parser parser{bounds, no_exception};
    std::string waiting;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      waiting += bytes.substr(at, step);
      waiting.erase(0, parser.feed(waiting));
    }
    REQUIRE(parser.done());
    const auto again = parser.take();
    CHECK(again.headers == whole.headers);
    CHECK(again.body == whole.body);
  }
}

TEST_CASE("nothing behind a complete request is taken") {
  const limits bounds;
  request_parser parser{bounds, no_exception};
  const std::string one = "PUT /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
  const std::string two = one + get("");
  CHECK(parser.feed(two) == one.size());
  REQUIRE(parser.done());
  CHECK(parser.take().body == "ab");
  CHECK(parser.feed(two.substr(one.size())) == two.size() - one.size());
  REQUIRE(parser.done());
  CHECK(parser.take().target == "/");
}

TEST_CASE("framing is counted for each request anew") {
  const limits bounds{.framing_slack = 16};
  request_parser parser{bounds, no_exception};
  const auto one = chunked("1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
  for (int i = 0; i < 5; ++i) {
    parser.feed(one);
    REQUIRE(parser.done());
    CHECK(parser.take().body == "ab");
  }
  CHECK(verdict(chunked("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n1\r\n"), bounds) == 400);
}

TEST_CASE("the request line is exactly method and target and version") {
  CHECK(verdict("GET / HTTP/1.1\r\nHost: x\r\n\r\n") == 0);
  CHECK(verdict("GET /\r\n") == 400);
  CHECK(verdict("GET  / HTTP/1.1\r\n") == 400);
  CHECK(verdict("GET / a HTTP/1.1\r\n") == 400);
  CHECK(verdict(" GET / HTTP/1.1\r\n") == 400);
  CHECK(verdict("GE(T / HTTP/1.1\r\n") == 400);
  CHECK(verdict("GET /\x01 HTTP/1.1\r\n") == 400);
  CHECK(verdict("GET /\xC3\xA4 HTTP/1.1\r\n") == 400);
  CHECK(verdict("GET /#x HTTP/1.1\r\n") == 400);
  CHECK(verdict("GET / http/1.1\r\n") == 400);
  CHECK(verdict("GET / HTTP/1.1x\r\n") == 400);
  CHECK(verdict("GET / HTTP/1.1\n") == 400);
  CHECK(verdict("\r\n\r\nGET / HTTP/1.1\r\n") == 400);
  CHECK(verdict("GET / HTTP/1.2\r\n") == 505);
  CHECK(verdict("GET / HTTP/0.9\r\n") == 505);
  CHECK(verdict("PRI * HTTP/2.0\r\n") == 505);
}

TEST_CASE("a target names this host or none") {
  CHECK(parsed("GET http://X:80/a?b HTTP/1.1\r\nHost: x:80\r\n\r\n").target == "/a?b");
  CHECK(parsed("GET http://x?b HTTP/1.1\r\nHost: x\r\n\r\n").target == "/?b");
  CHECK(parsed("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n").target == "/");
  CHECK(parsed("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").target == "*");
  CHECK(verdict("GET http://evil/a HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(verdict("GET ftp://x/a HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(verdict("GET * HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(verdict("GET a HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
}

TEST_CASE("limits hold at exactly their value") {
  limits bounds{.header_line = 32, .head = 96, .headers = 3, .body = 4};
  const auto padded = [](std::size_t n) { return std::string(n, 'a'); };
  const std::string host = "Host: x\r\n";  // 9 bytes
  CHECK(verdict("GET /" + padded(18) + " HTTP/1.1\r\n" + host + "\r\n", bounds) == 0);
  CHECK(verdict("GET /" + padded(19) + " HTTP/1.1\r\n", bounds) == 414);
  CHECK(verdict("GET /" + padded(30), bounds) == 414);
  CHECK(verdict(get("A: " + padded(29) + "\r\n"), bounds) == 0);
  CHECK(verdict(get("A: " + padded(30) + "\r\n"), bounds) == 431);
  CHECK(verdict(get("A: 1\r\nB: 2\r\n"), bounds) == 0);
  CHECK(verdict(get("A: 1\r\nB: 2\r\nC: 3\r\n"), bounds) == 431);
  const auto whole = get("A: " + padded(28) + "\r\nB: " + padded(29) + "\r\n");
  bounds.head = whole.size();
  CHECK(verdict(whole, bounds) == 0);
  bounds.head = whole.size() - 1;
  CHECK(verdict(whole, bounds) == 431);
  bounds = {.body = 4};
  CHECK(verdict(get("Content-Length: 4\r\n") + "abcd", bounds) == 0);
  CHECK(verdict(get("Content-Length: 5\r\n"), bounds) == 413);
  CHECK(verdict(get("Content-Length: 99999999999999999999999\r\n"), bounds) == 413);
  CHECK(verdict(chunked("4\r\nabcd\r\n0\r\n\r\n"), bounds) == 0);
  CHECK(verdict(chunked("4\r\nabcd\r\n1\r\n"), bounds) == 413);
  CHECK(verdict(chunked("ffffffffffffffff\r\n"), bounds) == 413);
}

TEST_CASE("trailers count as headers and end the body") {
  const limits bounds{.header_line = 32, .headers = 3};
  CHECK(verdict(chunked("0\r\nA: 1\r\n\r\n"), bounds) == 0);
  CHECK(verdict(chunked("0\r\nA: 1\r\nB: 1\r\n"), bounds) == 431);
  CHECK(verdict(chunked("0\r\n" + std::string(40, 'a')), bounds) == 431);
  CHECK(verdict(chunked("0\r\nA\r\n")) == 400);
  CHECK(verdict(chunked("0\r\n A: 1\r\n")) == 400);
  CHECK(verdict(chunked("0\r\nA: \x01\r\n")) == 400);
  CHECK(parsed(chunked("0\r\nHost: evil\r\n\r\n")).headers.size() == 2);
}

TEST_CASE("a body may be longer where the exception says so") {
  const limits bounds{.body = 1};
  const body_limit longer = [](std::string_view method, std::string_view target) {
    return std::size_t{method == "POST" && target == "/v1/import" ? 3U : 1U};
  };
  for (const auto& [target, status] : {std::pair{"/v1/import", 0}, {"/v1/other", 413}}) {
    request_parser parser{bounds, longer};
    parser.feed("POST " + std::string{target}
                + " HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    CHECK(parser.done() == (status == 0));
    CHECK((parser.failed() ? parser.error().status : 0) == status);
  }
}

TEST_CASE("the connection stays open by version and by the Connection header") {
  const auto stays = [](std::string bytes) {
    const limits bounds;
    request_parser parser{bounds, no_exception};
    parser.feed(bytes);
    REQUIRE(parser.done());
    return parser.keep_alive();
  };
  CHECK(stays(get("")));
  CHECK_FALSE(stays(get("Connection: TE, Close\r\n")));
  CHECK_FALSE(stays(get("Connection: keep-alive\r\nConnection: close\r\n")));
  CHECK_FALSE(stays("GET / HTTP/1.0\r\n\r\n"));
  CHECK(stays("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
  CHECK_FALSE(stays("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"));
}

TEST_CASE("an answer that would break out of its head is not writable") {
  CHECK(is_writable({.headers = {{"ETag", "\"1\""}}}));
  CHECK_FALSE(is_writable({.headers = {{"ETag", "1\r\nX: y"}}}));
  CHECK_FALSE(is_writable({.headers = {{"E Tag", "1"}}}));
  for (std::size_t at = 0; at < 20; ++at)  // wherever it stands, of whatever is looked at together
    for (int byte = 0; byte < 256; ++byte) {
      std::string value(20, 'v');
      value[at] = static_cast<char>(byte);
      const bool fine = byte == '\t' || (byte >= 0x20 && byte != 0x7F);
      CHECK(is_writable({.headers = {{"ETag", value}}}) == fine);
    }
  CHECK_FALSE(is_writable({.headers = {{"", "1"}}}));
  CHECK_FALSE(is_writable({.content_type = "a\nb"}));
  CHECK_FALSE(is_writable({.status = 100}));
  CHECK_FALSE(is_writable({.status = 600}));
}

TEST_CASE("the head of an answer frames it whatever headers the handler set") {
  std::string out;
  append_response_head(
      out,
      {.status = 201,
       .headers = {{"content-length", "9"}, {"Transfer-Encoding", "chunked"}, {"ETag", "1"}},
       .body = "ab"},
      {.keep_alive = false, .http10 = false, .date = "D"});
  CHECK(out
        == "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nContent-Type: application/json\r\nDate: D\r\n"
           "Connection: close\r\nETag: 1\r\n\r\n");
  out.clear();
  append_response_head(out, {.status = 204}, {});
  CHECK(out == "HTTP/1.1 204 No Content\r\n\r\n");
}
