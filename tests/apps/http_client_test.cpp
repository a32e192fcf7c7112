#include "http/client.hpp"
#include "http/server.hpp"
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::http;
using namespace std::chrono_literals;

namespace {

/// A server that answers each connection with one script: bytes for each head it reads; then it
/// closes.
class scripted_server {
public:
  explicit scripted_server(std::vector<std::vector<std::string>> connections) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr generic{};
    std::memcpy(&generic, &at, sizeof at);
    socklen_t size = sizeof generic;
    REQUIRE(::bind(listener_, &generic, size) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    ::getsockname(listener_, &generic, &size);
    std::memcpy(&at, &generic, sizeof at);
    port = ntohs(at.sin_port);
    thread_ = std::jthread{[this, connections = std::move(connections)] {
      for (const auto& answers : connections) {
        const int peer = ::accept(listener_, nullptr, nullptr);
        for (const auto& answer : answers) {
          read_head(peer);
          ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
        }
        ::shutdown(peer, SHUT_WR);
        ::close(peer);
        ++closed;
        closed.notify_all();
      }
    }};
  }
  ~scripted_server() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  std::uint16_t port = 0;
  std::atomic<int> heads = 0;
  std::atomic<int> closed = 0;

private:
  void read_head(int peer) {
    std::string all;
    std::array<char, 4096> part{};
    while (all.find("\r\n\r\n") == std::string::npos) {
      const auto n = ::recv(peer, part.data(), part.size(), 0);
      if (n <= 0)
        return;
      all.append(part.data(), static_cast<std::size_t>(n));
    }
    ++heads;
  }

  int listener_ = -1;
  std::jthread thread_;
};

const request get{.method = "GET", .target = "/"};
const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

errc code_of(const expected<response>& r) {
  return r ? errc{} : r.error().code;
}

}  // namespace

TEST_CASE("a url is a host and a port and nothing else") {
  CHECK(*parse_url("http://localhost:8080") == endpoint{"localhost", 8080});
  CHECK(*parse_url("http://[::1]:8080/") == endpoint{"::1", 8080});
  CHECK(*parse_url("http://a") == endpoint{"a", 80});
  CHECK(parse_url("https://a").error().code == errc::not_supported);
  for (const auto* url :
       {"", "a:80", "http://", "http://:80", "http://a:", "http://a:0", "http://a:65536",
        "http://a:8x", "http://a:-1", "http://a/b", "http://u@a", "http://[::1", "http://[::1]8"})
    CHECK_MESSAGE(parse_url(url).error().code == errc::malformed, url);
}

TEST_CASE("a client keeps its connection and gets each answer") {
  auto s = server::start({}, [](request asked, responder answer) {
    answer({.status = 201, .headers = {{"ETag", "\"7\""}}, .body = asked.method + asked.body});
  });
  REQUIRE(s);
  client c{"127.0.0.1", (*s)->port(), 5s};
  for (int i = 0; i < 3; ++i) {
    const auto r = c.send({.method = "POST", .target = "/a", .body = std::string(100'000, 'x')});
    REQUIRE(r);
    CHECK(r->status == 201);
    CHECK(*r->find_header("etag") == "\"7\"");
    CHECK(r->content_type == "application/json");
    CHECK(r->body.size() == 100'004);
  }
  CHECK(c.send({.method = "HEAD", .target = "/a"})->body.empty());
  CHECK(c.send({.method = "GET", .target = "/a"})->body == "GET");
}

TEST_CASE("a client reconnects when the server closed an idle connection") {
  scripted_server s{{{ok}, {ok}}};
  client c{"127.0.0.1", s.port, 5s};
  CHECK(c.send(get)->body == "ok");
  s.closed.wait(0);
  CHECK(c.send(get)->body == "ok");
}

TEST_CASE("a request whose bytes left is never repeated") {
  scripted_server s{{{""}, {ok}}};
  client c{"127.0.0.1", s.port, 5s};
  CHECK(code_of(c.send(get)) == errc::outcome_unknown);
  CHECK(s.heads == 1);
}

TEST_CASE("no connection is told apart from no answer") {
  std::uint16_t port = 0;
  {
    const auto s = server::start({}, [](request, responder) {});
    port = (*s)->port();
  }
  client nobody{"127.0.0.1", port, 5s};
  CHECK(code_of(nobody.send(get)) == errc::busy);

  std::vector<responder> held;
  const auto s = server::start({}, [&](request, responder r) { held.push_back(std::move(r)); });
  client c{"127.0.0.1", (*s)->port(), 50ms};
  CHECK(code_of(c.send(get)) == errc::outcome_unknown);
}

TEST_CASE("an answer may be chunked or end with the connection") {
  scripted_server s{
      {{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;x\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end"}}};
  client c{"127.0.0.1", s.port, 5s};
  CHECK(c.send(get)->body == "abc0123456789");
  CHECK(c.send(get)->body == "until the end");
}

TEST_CASE("a broken answer is an unknown outcome") {
  for (const auto* answer :
       {"HTTP/2 200\r\n\r\n", "nonsense\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"}) {
    scripted_server s{{{answer}}};
    client c{"127.0.0.1", s.port, 5s};
    CHECK_MESSAGE(code_of(c.send(get)) == errc::outcome_unknown, answer);
  }
}

TEST_CASE("an answer beyond the limit of the client is refused from its length alone") {
  scripted_server s{{{"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n"}}};
  client c{"127.0.0.1", s.port, 5s};
  c.longest_answer = 10;
  CHECK(code_of(c.send(get)) == errc::too_large);
}

TEST_CASE("a request that would break out of its lines is not sent") {
  client c{"127.0.0.1", 1, 5s};
  CHECK(code_of(c.send({.method = "GET", .target = "/a b"})) == errc::malformed);
  CHECK(code_of(c.send({.method = "G T", .target = "/"})) == errc::malformed);
  CHECK(code_of(c.send({.method = "GET", .target = "/", .headers = {{"A", "b\r\nC: d"}}}))
        == errc::malformed);
  CHECK(code_of(c.send({.method = "GET", .target = "/", .headers = {{"content-length", "1"}}}))
        == errc::malformed);
}

TEST_CASE("an early refusal of a large body is the answer and not an error") {
  const auto s = server::start({}, [](request, responder) {});
  client c{"127.0.0.1", (*s)->port(), 5s};
  const auto r = c.send({.method = "POST", .target = "/", .body = std::string(8 << 20, 'x')});
  REQUIRE(r);
  CHECK(r->status == 413);
}
