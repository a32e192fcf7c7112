#include "support/raw_socket.hpp"

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::http;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

/// Sends `bytes` with a good request behind them: exactly one answer, a problem, and then the end.
std::string refused(server& s, std::string_view bytes) {
  raw_peer peer{s.port()};
  auto answer = peer.send(std::string{bytes} + plain_get).answer();
  CHECK(has(answer, "Content-Type: application/problem+json"));
  CHECK(has(answer, "\r\nConnection: close\r\n"));
  CHECK(has(answer, "\"status\":" + std::to_string(status_of(answer))));
  CHECK(peer.closed());
  return answer;
}

}  // namespace

TEST_CASE("malformed framing is answered once with 400 and nothing behind it is parsed") {
  int handled = 0;
  const auto s = serve([&](request, responder answer) {
    ++handled;
    answer({});
  });
  const std::vector<std::pair<const char*, std::string>> cases{
      {"two lengths", post("Content-Length: 1\r\nContent-Length: 1\r\n", "a")},
      {"a list of lengths", post("Content-Length: 1, 1\r\n", "a")},
      {"a signed length", post("Content-Length: +1\r\n", "a")},
      {"a negative length", post("Content-Length: -1\r\n", "a")},
      {"an empty length", post("Content-Length:\r\n")},
      {"a hex length", post("Content-Length: 0x1\r\n", "a")},
      {"length and coding",
       post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
      {"coding and length",
       post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")},
      {"length and unknown coding", post("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n")},
      {"two codings",
       post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
      {"a coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"space before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n")},
      {"obs-fold", get("X: a\r\n b\r\n")},
      {"a fold of the first header", "GET / HTTP/1.1\r\n Host: x\r\n\r\n"},
      {"NUL in a value", get(std::string_view{"X: a\0b\r\n", 8})},
      {"a bare CR in a value", get("X: a\rb\r\n")},
      {"DEL in a value", get("X: a\x7f\r\n")},
      {"NUL in a name", get(std::string_view{"X\0: a\r\n", 7})},
      {"no name", get(": a\r\n")},
      {"no colon", get("X\r\n")},
      {"a bare LF", "GET / HTTP/1.1\nHost: x\n\n"},
      {"a bare LF behind a header", "GET / HTTP/1.1\r\nHost: x\n\r\n"},
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"two Hosts", get("Host: x\r\n")},
      {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n"},
      {"a Host list", "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n"},
      {"a chunk without size", post("Transfer-Encoding: chunked\r\n", "\r\n\r\n")},
      {"a chunk size that is no hex", post("Transfer-Encoding: chunked\r\n", "g\r\n")},
      {"a signed chunk size", post("Transfer-Encoding: chunked\r\n", "+1\r\na\r\n0\r\n\r\n")},
      {"a prefixed chunk size", post("Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n")},
      {"a chunk size beyond 64 bits",
       post("Transfer-Encoding: chunked\r\n", "10000000000000001\r\n")},
      {"a chunk size of 17 digits",
       post("Transfer-Encoding: chunked\r\n", "00000000000000001\r\na\r\n0\r\n\r\n")},
      {"a chunk size with endless zeros",
       post("Transfer-Encoding: chunked\r\n", std::string(300, '0'))},
      {"a bare LF in a chunk line", post("Transfer-Encoding: chunked\r\n", "1\na\r\n0\r\n\r\n")},
      {"a bare LF in an extension", post("Transfer-Encoding: chunked\r\n", "1;x\na\r\n0\r\n\r\n")},
      {"a chunk longer than it says",
       post("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n")},
      {"a long chunk extension",
       post("Transfer-Encoding: chunked\r\n", "1;" + std::string(64 * 1024, 'x'))},
      {"a control byte in an extension",
       post("Transfer-Encoding: chunked\r\n", "1;\x01\r\na\r\n0\r\n\r\n")},
      {"text behind a chunk size", post("Transfer-Encoding: chunked\r\n", "1 x\r\na\r\n0\r\n\r\n")},
      {"no HTTP at all", "\x16\x03\x01\r\n"},
  };
  for (const auto& [name, bytes] : cases) {
    CAPTURE(name);
    const auto answer = refused(*s, bytes);
    CHECK(status_of(answer) == 400);
    CHECK(has(answer, "\"code\":\"malformed\""));
    if (std::string_view{name} == "obs-fold")
      CHECK(has(answer, "folded"));
  }
  CHECK(handled == 0);
}

TEST_CASE("what this server does not do has a status of its own") {
  const auto s = serve();
  CHECK(status_of(refused(*s, post("Transfer-Encoding: xchunked\r\n"))) == 501);
  CHECK(status_of(refused(*s, post("Transfer-Encoding: gzip, chunked\r\n"))) == 501);
  CHECK(status_of(refused(*s, "GET / HTTP/2.0\r\nHost: x\r\n\r\n")) == 505);
  for (const auto* coding : {"gzip", "br", "zstd", "identity, gzip"})
    CHECK(status_of(refused(
              *s,
              post("Content-Length: 1\r\nContent-Encoding: " + std::string{coding} + "\r\n", "x")))
          == 415);
  for (const auto* line : {"TRACE / HTTP/1.1\r\n", "CONNECT x:80 HTTP/1.1\r\n"}) {
    const auto answer = refused(*s, std::string{line} + "Host: x\r\n\r\n");
    CHECK(status_of(answer) == 405);
    CHECK(has(answer, "\r\nAllow: GET, HEAD"));
  }
  CHECK(status_of(refused(*s, post("Expect: 200-ok\r\n"))) == 417);
  raw_peer peer{s->port()};
  CHECK(status_of(
            peer.send(post("Content-Length: 1\r\nContent-Encoding: Identity\r\n", "x")).answer())
        == 200);
}

TEST_CASE("sizes beyond the default limits are refused by the limit they break") {
  const auto s = serve();
  CHECK(
      status_of(refused(*s, "GET /" + std::string(64 * 1024, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"))
      == 414);
  CHECK(status_of(refused(*s, get("X: " + std::string(1024 * 1024, 'a') + "\r\n"))) == 431);
  std::string many;
  for (int i = 0; i < 10'000; ++i)
    many += "A: b\r\n";
  CHECK(status_of(refused(*s, get(many))) == 431);
  std::string long_head;
  for (int i = 0; i < 5; ++i)
    long_head += "A: " + std::string(8'000, 'b') + "\r\n";
  CHECK(status_of(refused(*s, get(long_head))) == 431);
  const auto answer = refused(*s, post("Content-Length: 1073741824\r\n"));
  CHECK(status_of(answer) == 413);
  CHECK(has(answer, "1048576"));
  CHECK(status_of(refused(*s, post("Transfer-Encoding: chunked\r\n", "100001\r\n"))) == 413);
}

TEST_CASE("a body of exactly the limit arrives whole with a length and in chunks") {
  const auto s = serve(
      [](request asked, responder answer) { answer({.body = std::to_string(asked.body.size())}); });
  const std::string body(1024 * 1024, 'b');
  raw_peer peer{s->port()};
  CHECK(body_of(peer.send(post("Content-Length: 1048576\r\n", body)).answer()) == "1048576");
  CHECK(body_of(
            peer.send(post("Transfer-Encoding: chunked\r\n", "100000\r\n" + body + "\r\n0\r\n\r\n"))
                .answer())
        == "1048576");
}

TEST_CASE("what a peer may cost is by default what the table of threats says") {
  const limits bounds;
  CHECK(bounds.header_line == 8 * 1024);
  CHECK(bounds.head == 32 * 1024);
  CHECK(bounds.headers == 100);
  CHECK(bounds.body == 1 << 20);
  CHECK(bounds.chunk_extension == 256);
  CHECK(bounds.head_timeout == 10s);
  CHECK(bounds.body_window == 10s);
  CHECK(bounds.body_rate == 1024);
  CHECK(bounds.write_timeout == 30s);
  CHECK(bounds.connections == 8'192);
  CHECK(bounds.unknown_connections == 100);
}

TEST_CASE("a million chunks of one byte are refused long before their end") {
  const auto s = serve();
  std::string ones;
  for (int i = 0; i < 100'000; ++i)
    ones += "1\r\na\r\n";
  const auto answer = refused(*s, post("Transfer-Encoding: chunked\r\n", ones + "0\r\n\r\n"));
  CHECK(status_of(answer) == 400);
  CHECK(has(answer, "so small"));
  raw_peer peer{s->port()};
  CHECK(status_of(peer.send(post("Transfer-Encoding: chunked\r\n",
                                 ones.substr(0, 6 * 1000) + "0\r\n\r\n"))
                      .answer())
        == 200);
}

TEST_CASE(
    "100-continue is sent before a body that will be read and never before one that will not") {
  const auto s = serve();
  raw_peer peer{s->port()};
  CHECK(peer.send(post("Content-Length: 2\r\nExpect: 100-continue\r\n")).answer()
        == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(body_of(peer.send("ab").answer()) == "POST /a ab");
  peer.send(post("Content-Length: 2\r\nExpect: 100-continue\r\n", "c"));  // does not wait for it
  CHECK(body_of(peer.send("d").answer()) == "POST /a cd");
  CHECK(body_of(peer.send(get("Expect: 100-continue\r\n")).answer()) == "GET /a ");
  raw_peer old{s->port()};
  old.send("POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  CHECK(body_of(old.send("x").answer()) == "POST /a x");
  CHECK(status_of(refused(*s, post("Content-Length: 1073741824\r\nExpect: 100-continue\r\n")))
        == 413);
}

TEST_CASE("a head that does not end in time is answered 408") {
  const auto s = serve(echo, {.head_timeout = 50ms});
  raw_peer slow{s->port()};
  const auto answer = slow.send("GET / HTTP/1.1\r\nHost").answer();
  CHECK(status_of(answer) == 408);
  CHECK(has(answer, "\"code\":\"request_timeout\""));
  CHECK(slow.closed());
  raw_peer second{s->port()};  // the same for the second request of a connection
  CHECK(status_of(second.send(plain_get).answer()) == 200);
  CHECK(status_of(second.send("GET").answer()) == 408);
  raw_peer third{s->port()};  // and for one that was pipelined
  CHECK(status_of(third.send(plain_get + "GET").answer()) == 200);
  CHECK(status_of(third.answer()) == 408);
  raw_peer silent{s->port()};
  CHECK(silent.closed());
}

TEST_CASE("bytes that trickle do not move the deadline of a head") {
  const auto s = serve(echo, {.header_line = 64 << 20, .head = 64 << 20, .head_timeout = 50ms});
  raw_peer peer{s->port()};
  std::atomic<bool> answered = false;
  std::jthread trickle{[&] {
    while (!answered)
      peer.send("a");
  }};
  const int status = status_of(peer.answer());
  answered = true;
  CHECK(status == 408);
}

TEST_CASE("a body below the minimum rate is answered 408") {
  const auto s = serve(echo, {.body_window = 50ms, .body_rate = 1000});
  raw_peer slow{s->port()};
  CHECK(status_of(slow.send(post("Content-Length: 1000\r\n", std::string(49, 'x'))).answer())
        == 408);
  CHECK(slow.closed());
}

TEST_CASE("a body at the minimum rate gets another window") {
  limits bounds{.body_window = 100ms, .body_rate = 1000};
  const auto s = serve(echo, bounds);
  raw_peer peer{s->port()};
  peer.send(post("Content-Length: 1000\r\nExpect: 100-continue\r\n")).answer();
  const auto began = std::chrono::steady_clock::now();
  CHECK(status_of(peer.send(std::string(150, 'x')).answer())
        == 408);  // the second window brings nothing
  CHECK(std::chrono::steady_clock::now() - began >= 190ms);
}

TEST_CASE("an idle connection is closed without a word after its timeout") {
  const auto s = serve(echo, {.idle_timeout = 50ms});
  raw_peer peer{s->port()};
  CHECK(status_of(peer.send(plain_get).answer()) == 200);
  CHECK(peer.closed());
}

TEST_CASE("a peer that does not read its answer is cut off") {
  held_responders held;
  const auto s = serve(held.keep(), {.write_timeout = 50ms});
  raw_peer peer{s->port(), 4096};
  peer.send(plain_get);
  auto owed = held.next();
  const auto began = std::chrono::steady_clock::now();
  owed({.body = std::string(32 << 20, 'x')});
  CHECK_FALSE(s->drain(in(0ms)));
  CHECK(s->drain(in(5s)));
  CHECK(std::chrono::steady_clock::now() - began >= 50ms);
  CHECK(peer.answer().size() < (32U << 20U));
}

TEST_CASE("a connection beyond the limit is told 503 with Retry-After and others go on") {
  const auto s = serve(echo, {.connections = 2});
  raw_peer one{s->port()};
  raw_peer two{s->port()};
  CHECK(status_of(one.send(plain_get).answer()) == 200);
  CHECK(status_of(two.send(plain_get).answer()) == 200);
  raw_peer three{s->port()};
  const auto answer = three.answer();
  CHECK(status_of(answer) == 503);
  CHECK(has(answer, "\r\nRetry-After: 1\r\n"));
  CHECK(has(answer, "\"code\":\"busy\""));
  CHECK(three.closed());
  CHECK(status_of(one.send(plain_get).answer()) == 200);
}

TEST_CASE("a place is free again when its connection has gone") {
  const auto s = serve(echo, {.connections = 1});
  for (int i = 0; i < 5; ++i) {
    raw_peer peer{s->port()};
    CHECK(status_of(peer.send(get("Connection: close\r\n")).answer()) == 200);
    CHECK(peer.closed());
  }
}
