#include "http/client.hpp"
#include "http/problem.hpp"
#include "http/server.hpp"
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::http;
using namespace std::chrono_literals;

namespace {

/// A peer that sends exactly what a test says. Every wait ends after five seconds, as if the server
/// had closed.
class raw_peer {
public:
  explicit raw_peer(std::uint16_t port, int receive_buffer = 0) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (receive_buffer > 0)
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr generic{};
    static_assert(sizeof generic == sizeof to);
    std::memcpy(&generic, &to, sizeof to);
    if (::connect(socket_, &generic, sizeof generic) != 0)
      throw std::runtime_error{"connect"};
  }
  raw_peer(const raw_peer&) = delete;
  raw_peer& operator=(const raw_peer&) = delete;
  ~raw_peer() { ::close(socket_); }

  raw_peer& send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0)
        break;  // the server has closed: what it said counts
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return *this;
  }

  /// The next answer whole, "" when none comes any more.
  std::string answer(bool with_body = true) {
    std::size_t end = std::string::npos;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos)
      if (!more())
        return std::exchange(in_, {});
    end += 4;
    const auto length = in_.substr(0, end).find("Content-Length: ");
    if (with_body && length != std::string::npos)
      end += std::stoul(in_.substr(length + 16));
    while (in_.size() < end)
      if (!more())
        return std::exchange(in_, {});
    auto result = in_.substr(0, end);
    in_.erase(0, end);
    return result;
  }

  /// Whether the server ends the stream without another byte.
  bool closed() { return in_.empty() && !more() && in_.empty() && ended_; }

private:
  bool more() {
    std::array<char, 4096> part{};
    const auto n = ::recv(socket_, part.data(), part.size(), 0);
    ended_ = n == 0;
    if (n > 0)
      in_.append(part.data(), static_cast<std::size_t>(n));
    return n > 0;
  }

  int socket_ = -1;
  bool ended_ = false;
  std::string in_;
};

int status_of(const std::string& answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9, 3)) : 0;
}

std::string body_of(const std::string& answer) {
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const std::string plain_get = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

std::string get(std::string_view headers) {
  return "GET /a HTTP/1.1\r\nHost: x\r\n" + std::string{headers} + "\r\n";
}

std::string post(std::string_view headers, std::string_view body = {}) {
  return "POST /a HTTP/1.1\r\nHost: x\r\n" + std::string{headers} + "\r\n" + std::string{body};
}

/// Answers "METHOD target body" at once.
void echo(request asked, responder answer) {
  answer(
      {.body = asked.method + " " + asked.target + " " + asked.body, .content_type = "text/plain"});
}

std::unique_ptr<server> serve(handler handle = echo, limits bounds = {}) {
  auto started = server::start({.bounds = bounds}, std::move(handle));
  REQUIRE(started);
  return std::move(*started);
}

/// Keeps responders until the test lets them go.
class held_responders {
public:
  handler keep() {
    return [this](request, responder r) {
      const std::lock_guard lock{mutex_};
      held_.push_back(std::move(r));
      changed_.notify_all();
    };
  }

  /// Waits for the next request to reach the handler.
  responder next() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, 5s, [&] { return !held_.empty(); }))
      throw std::runtime_error{"no request reached the handler"};
    auto r = std::move(held_.front());
    held_.erase(held_.begin());
    return r;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<responder> held_;
};

auto in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

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

TEST_CASE("a request reaches the handler whole and its answer reaches the peer") {
  request seen;
  const auto s = serve([&](request asked, responder answer) {
    seen = asked;
    answer({.status = 201, .headers = {{"ETag", "\"1\""}}, .body = "{}"});
  });
  raw_peer peer{s->port()};
  const auto answer = peer.send(post("Content-Length: 3\r\nX-Y: z\r\n", "abc")).answer();
  CHECK(answer.starts_with("HTTP/1.1 201 Created\r\n"));
  CHECK(has(answer, "\r\nContent-Type: application/json\r\n"));
  CHECK(has(answer, "\r\nETag: \"1\"\r\n"));
  CHECK(has(answer, " GMT\r\n"));
  CHECK(body_of(answer) == "{}");
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/a");
  CHECK(seen.body == "abc");
  CHECK(*seen.find_header("x-y") == "z");
  CHECK(seen.remote_address == "127.0.0.1");
  CHECK(s->address() == "127.0.0.1:" + std::to_string(s->port()));
}

TEST_CASE("pipelined requests are answered in their order on one connection") {
  const auto s = serve();
  raw_peer peer{s->port()};
  std::string all;
  for (int i = 0; i < 100; ++i)
    all += "PUT /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
           + std::to_string(i % 10);
  peer.send(all);
  for (int i = 0; i < 100; ++i)
    CHECK(body_of(peer.answer()) == "PUT /" + std::to_string(i) + " " + std::to_string(i % 10));
}

TEST_CASE("a pipelined request waits until the one before it is answered") {
  held_responders held;
  const auto s = serve(held.keep());
  raw_peer peer{s->port()};
  peer.send(plain_get + plain_get);
  auto first = held.next();
  first({.body = "one"});
  auto second = held.next();
  second({.body = "two"});
  CHECK(body_of(peer.answer()) == "one");
  CHECK(body_of(peer.answer()) == "two");
}

TEST_CASE("a thread of its own answers and the connection goes on") {
  std::vector<std::jthread> threads;
  const auto s = serve([&](request asked, responder answer) {
    threads.emplace_back([answer = std::move(answer), asked = std::move(asked)]() mutable {
      answer({.body = asked.target});
    });
  });
  raw_peer peer{s->port()};
  for (int i = 0; i < 20; ++i)
    CHECK(body_of(peer.send(plain_get).answer()) == "/a");
}

TEST_CASE("a dropped responder and a throwing handler answer 500 and keep the connection") {
  const auto s = serve([](request asked, responder) {
    if (asked.method == "POST")
      throw std::runtime_error{"secret"};
  });
  raw_peer peer{s->port()};
  for (const auto& bytes : {plain_get, post("Content-Length: 0\r\n"), plain_get}) {
    const auto answer = peer.send(bytes).answer();
    CHECK(status_of(answer) == 500);
    CHECK(has(answer, "application/problem+json"));
    CHECK(has(answer, "\"code\":\"internal\""));
    CHECK_FALSE(has(answer, "secret"));
    CHECK_FALSE(has(answer, "Connection: close"));
  }
}

TEST_CASE("a responder that outlives its server does nothing") {
  held_responders held;
  auto s = serve(held.keep());
  raw_peer peer{s->port()};
  peer.send(plain_get);
  auto late = held.next();
  s.reset();
  late({.body = "late"});
  CHECK(peer.answer().empty());
}

TEST_CASE("a responder whose peer has gone does nothing") {
  held_responders held;
  const auto s = serve(held.keep());
  {
    raw_peer peer{s->port()};
    peer.send(plain_get);
    held.next()({.body = std::string(1 << 20, 'x')});
  }
  raw_peer other{s->port()};
  other.send(plain_get);
  held.next()({.body = "fine"});
  CHECK(body_of(other.answer()) == "fine");
}

TEST_CASE("an answer that cannot be written as HTTP becomes 500") {
  const auto s = serve([](request, responder answer) {
    answer({.headers = {{"X", "a\r\nSet-Cookie: b"}}, .body = "x"});
  });
  raw_peer peer{s->port()};
  const auto answer = peer.send(plain_get).answer();
  CHECK(status_of(answer) == 500);
  CHECK_FALSE(has(answer, "Set-Cookie"));
}

TEST_CASE("HEAD has the length of the body and not the body") {
  const auto s = serve();
  raw_peer peer{s->port()};
  const auto answer = peer.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n").answer(false);
  CHECK(has(answer, "\r\nContent-Length: 8\r\n"));
  CHECK(body_of(answer).empty());
  const auto next = peer.send(plain_get).answer();
  CHECK(status_of(next) == 200);  // nothing of a body stood before it
  CHECK(body_of(next) == "GET /a ");
}

TEST_CASE("204 and 304 have neither body nor length") {
  for (const int status : {204, 304}) {
    const auto s =
        serve([&](request, responder answer) { answer({.status = status, .body = "x"}); });
    raw_peer peer{s->port()};
    for (int i = 0; i < 2; ++i) {
      const auto answer = peer.send(plain_get).answer();
      CHECK(status_of(answer) == status);
      CHECK_FALSE(has(answer, "Content-Length"));
      CHECK(body_of(answer).empty());
    }
  }
}

TEST_CASE("the peer decides with Connection close and with HTTP/1.0 that its answer is the last") {
  const auto s = serve();
  for (const auto& bytes : {get("Connection: close\r\n"), std::string{"GET /a HTTP/1.0\r\n\r\n"}}) {
    raw_peer peer{s->port()};
    const auto answer = peer.send(bytes).answer();
    CHECK(status_of(answer) == 200);
    CHECK(has(answer, "Connection: close"));
    CHECK(peer.closed());
  }
  raw_peer old{s->port()};
  for (int i = 0; i < 2; ++i)
    CHECK(has(old.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").answer(),
              "Connection: keep-alive"));
}

TEST_CASE("the last answer arrives whole although the peer sent more than was read") {
  const auto s =
      serve([](request, responder answer) { answer({.body = std::string(1 << 20, 'x')}); },
            {.linger_timeout = 5s});
  raw_peer peer{s->port(), 32 * 1024};
  peer.send(get("Connection: close\r\n") + std::string(64 * 1024, 'x'));
  CHECK(body_of(peer.answer()).size() == 1U << 20U);
}

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

TEST_CASE("drain answers what is in flight and closes what is idle and accepts nothing") {
  held_responders held;
  const auto s = serve(held.keep(), {.linger_timeout = 20ms});
  raw_peer idle{s->port()};
  idle.send(plain_get);
  held.next()({});
  CHECK(status_of(idle.answer()) == 200);
  raw_peer busy{s->port()};
  busy.send(plain_get + plain_get);
  auto owed = held.next();
  CHECK_FALSE(s->drain(in(0ms)));
  CHECK(idle.closed());
  CHECK_THROWS(raw_peer{s->port()});
  auto drained = std::async(std::launch::async, [&] { return s->drain(in(5s)); });
  owed({.body = "last"});
  const auto answer = busy.answer();
  CHECK(body_of(answer) == "last");
  CHECK(has(answer, "Connection: close"));
  CHECK(busy.closed());
  CHECK(drained.get());
}

TEST_CASE("a request that nobody had read yet when the drain began is answered") {
  std::promise<void> entered;
  std::promise<void> go_on;
  const auto s = serve([&](request asked, responder answer) {
    if (asked.method == "POST") {  // holds the one IO thread
      entered.set_value();
      go_on.get_future().wait();
    }
    answer({.body = asked.method});
  });
  raw_peer idle{s->port()};
  CHECK(body_of(idle.send(plain_get).answer()) == "GET");
  raw_peer blocking{s->port()};
  blocking.send(post("Content-Length: 0\r\n"));
  entered.get_future().wait();
  idle.send(plain_get);
  CHECK_FALSE(s->drain(in(0ms)));
  go_on.set_value();
  CHECK(body_of(idle.answer()) == "GET");
  CHECK(body_of(blocking.answer()) == "POST");
  CHECK(s->drain(in(5s)));
}

TEST_CASE("a request that had begun to arrive when the drain began is answered") {
  const auto s = serve();
  raw_peer peer{s->port()};
  CHECK(peer.send(post("Content-Length: 2\r\nExpect: 100-continue\r\n")).answer()
        == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK_FALSE(s->drain(in(0ms)));
  const auto answer = peer.send("ab").answer();
  CHECK(body_of(answer) == "POST /a ab");
  CHECK(has(answer, "Connection: close"));
  CHECK(s->drain(in(5s)));
}

TEST_CASE("drain says when its deadline passed and can be asked again") {
  held_responders held;
  const auto s = serve(held.keep());
  raw_peer peer{s->port()};
  peer.send(plain_get);
  auto owed = held.next();
  CHECK_FALSE(s->drain(in(20ms)));
  owed({});
  CHECK(s->drain(in(5s)));
  CHECK(s->drain(in(0ms)));
}

TEST_CASE("64 connections at once get each their own answers from other threads") {
  for (const std::size_t io_threads : {1U, 2U}) {
    std::vector<std::jthread> workers;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::pair<request, responder>> queue;
    bool end = false;
    const auto answer_all = [&] {
      std::unique_lock lock{mutex};
      for (;;) {
        changed.wait(lock, [&] { return end || !queue.empty(); });
        if (queue.empty())
          return;
        auto [asked, answer] = std::move(queue.back());
        queue.pop_back();
        lock.unlock();
        answer({.body = asked.body});
        lock.lock();
      }
    };
    workers.emplace_back(answer_all);
    workers.emplace_back(answer_all);
    auto started = server::start({.io_threads = io_threads}, [&](request asked, responder answer) {
      const std::lock_guard lock{mutex};
      queue.emplace_back(std::move(asked), std::move(answer));
      changed.notify_one();
    });
    REQUIRE(started);
    std::atomic<int> right = 0;
    {
      std::vector<std::jthread> clients;
      for (int c = 0; c < 64; ++c)
        clients.emplace_back([&, c] {
          client to{"127.0.0.1", (*started)->port(), 10s};
          for (int i = 0; i < 20; ++i) {
            const auto body = std::to_string(c) + "/" + std::to_string(i);
            const auto answer = to.send({.method = "POST", .target = "/", .body = body});
            right += answer && answer->body == body ? 1 : 0;
          }
        });
    }
    CHECK(right == 64 * 20);
    CHECK((*started)->drain(in(5s)));
    {
      const std::lock_guard lock{mutex};
      end = true;
    }
    changed.notify_all();
  }
}

TEST_CASE("start fails with what is wrong with the address") {
  const auto s = serve();
  const auto taken = server::start({.port = s->port()}, echo);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == errc::busy);
  for (const auto* host : {"203.0.113.7", "no such host"}) {
    const auto wrong = server::start({.host = host}, echo);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == errc::invalid_value);
  }
}
