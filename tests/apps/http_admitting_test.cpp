#include "http/peer_counts.hpp"
#include "support/raw_socket.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// Which connections and which bodies a server takes before it knows more of them than a head.

using namespace troupe;
using namespace troupe::http;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t small = limits{}.small_body;

/// Whoever shows a token is known by it.
std::optional<std::string> token_of(const request& head) {
  const auto* token = head.find_header("Authorization");
  return token != nullptr ? std::optional{*token} : std::nullopt;
}

std::unique_ptr<server> serve_with(server_options options, handler handle = echo) {
  auto started = server::start(std::move(options), std::move(handle));
  REQUIRE(started);
  return std::move(*started);
}

/// The head of a request with a body that waits for leave to come.
std::string announced(std::size_t bytes, const std::string& headers = {}) {
  return post(headers + "Expect: 100-continue\r\nContent-Length: " + std::to_string(bytes)
              + "\r\n");
}

const std::string proof = get("Authorization: x\r\n");

}  // namespace

TEST_CASE("an address has so many connections that are unknown and is told of more") {
  const auto s =
      serve_with({.bounds = {.linger_timeout = 5s, .unknown_connections = 2, .refusals = 1},
                  .peer_of = token_of});
  raw_peer one{s->port()}, two{s->port()};
  CHECK(status_of(one.send(plain_get).answer()) == 200);
  CHECK(status_of(two.send(plain_get).answer()) == 200);
  raw_peer three{s->port()};
  const auto answer = three.answer();
  CHECK(status_of(answer) == 429);
  CHECK(has(answer, "\r\nRetry-After: 1\r\n"));
  CHECK(has(answer, "\r\nConnection: close\r\n"));
  CHECK(has(answer, "\"code\":\"busy\""));
  CHECK(raw_peer{s->port()}.closed());  // not even told
  CHECK(status_of(one.send(plain_get).answer()) == 200);
}

TEST_CASE("a connection that proves who it is gives its place among the unknown to another") {
  const auto s = serve_with({.bounds = {.unknown_connections = 1}, .peer_of = token_of});
  std::vector<std::unique_ptr<raw_peer>> known;
  for (int i = 0; i < 5; ++i) {
    known.push_back(std::make_unique<raw_peer>(s->port()));
    CHECK(status_of(known.back()->send(proof).answer()) == 200);
  }
  raw_peer unknown{s->port()};
  CHECK(status_of(unknown.send(plain_get).answer()) == 200);
  CHECK(status_of(raw_peer{s->port()}.answer()) == 429);
  CHECK(status_of(known[0]->send(plain_get).answer()) == 200);
}

TEST_CASE("a head is proof enough while its body is to come") {
  const auto s = serve_with({.bounds = {.unknown_connections = 1}, .peer_of = token_of});
  raw_peer slow{s->port()};
  slow.send(post("Authorization: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"));
  CHECK(status_of(slow.answer()) == 100);
  raw_peer other{s->port()};
  CHECK(status_of(other.send(plain_get).answer()) == 200);
  CHECK(body_of(slow.send("b").answer()) == "POST /a b");
}

TEST_CASE("an unknown connection that has gone leaves its place to another") {
  const auto s =
      serve_with({.bounds = {.unknown_connections = 1, .refusals = 0}, .peer_of = token_of});
  for (int i = 0; i < 5; ++i) {
    raw_peer peer{s->port()};
    CHECK(status_of(peer.send(get("Connection: close\r\n")).answer()) == 200);
    CHECK(peer.closed());
  }
}

TEST_CASE("where nobody has to prove anything an address has any number of connections") {
  const peer_check all = [](const request&) { return ""; };
  for (const auto& options :
       {server_options{.bounds = {.unknown_connections = 1}, .peer_of = all},
        server_options{.bounds = {.unknown_connections = 1}},
        server_options{.bounds = {.unknown_connections = 0}, .peer_of = token_of}}) {
    const auto s = serve_with(options);
    std::vector<std::unique_ptr<raw_peer>> many;
    for (int i = 0; i < 70; ++i) {  // and so more than are told
      many.push_back(std::make_unique<raw_peer>(s->port()));
      CHECK(status_of(many.back()->send(plain_get).answer()) == 200);
    }
  }
}

TEST_CASE("a user has so many connections and is told of more while others come in") {
  const auto s = serve_with(
      {.bounds = {.unknown_connections = 1, .peer_connections = 2}, .peer_of = token_of});
  raw_peer one{s->port()};
  CHECK(status_of(one.send(proof).answer()) == 200);
  raw_peer two{s->port()};  // one that showed nothing yet at a time
  CHECK(status_of(two.send(post("Authorization: x\r\nContent-Length: 1\r\n", "b")).answer())
        == 200);
  for (const auto& refused : {proof, announced(1, "Authorization: x\r\n")}) {
    raw_peer three{s->port()};
    const auto answer = three.send(refused).answer();
    CHECK(status_of(answer) == 429);
    CHECK(has(answer, "\r\nRetry-After: 1\r\n"));
    CHECK(has(answer, "\r\nConnection: close\r\n"));
    CHECK(has(answer, "\"code\":\"busy\""));
    CHECK(three.closed());
  }
  raw_peer another{s->port()};
  CHECK(status_of(another.send(get("Authorization: y\r\n")).answer()) == 200);
  CHECK(status_of(one.send(proof).answer()) == 200);  // counted once
  CHECK(status_of(two.send(get("Connection: close\r\n")).answer()) == 200);
  CHECK(two.closed());
  raw_peer three{s->port()};
  CHECK(status_of(three.send(proof).answer()) == 200);
}

TEST_CASE("a user has any number of connections where none is named") {
  const auto s = serve_with({.bounds = {.peer_connections = 0}, .peer_of = token_of});
  std::vector<std::unique_ptr<raw_peer>> many;
  for (int i = 0; i < 5; ++i) {
    many.push_back(std::make_unique<raw_peer>(s->port()));
    CHECK(status_of(many.back()->send(proof).answer()) == 200);
  }
}

TEST_CASE("connections are counted by their peers and given back") {
  peer_counts all;
  auto first = all.enter("a");
  CHECK(first.before() == 0);
  CHECK(all.enter("b").before() == 0);
  CHECK(all.enter("a").before() == 1);
  auto moved = std::move(first);
  CHECK_FALSE(first);  // NOLINT(bugprone-use-after-move): that is the question
  CHECK(all.enter("a").before() == 1);
  moved = peer_counts::place{};
  CHECK(all.enter("a").before() == 0);
}

TEST_CASE("an IPv6 address is told by its network and one of IPv4 by itself") {
  CHECK(network_of("192.0.2.1") == "192.0.2.1");
  CHECK(network_of("::ffff:192.0.2.1") == "192.0.2.1");
  CHECK(network_of("2001:db8::1") == network_of("2001:db8::ffff:2"));
  CHECK(network_of("2001:db8::1") != network_of("2001:db8:0:1::1"));
}

TEST_CASE("a large body is refused by its head and not asked for") {
  int handled = 0, asked = 0;
  std::size_t bytes = 0;
  std::string from;
  const auto s =
      serve_with({.admit = [&](const request& head,
                               std::size_t n) -> tl::expected<std::shared_ptr<void>, response> {
                   ++asked;
                   bytes = n;
                   from = head.remote_address;
                   return tl::unexpected(response{.status = 403, .body = "no"});
                 }},
                 [&](request, responder answer) {
                   ++handled;
                   answer({});
                 });
  const auto refused = [&](const std::string& head) {
    raw_peer peer{s->port()};
    const auto answer = peer.send(head).answer();
    CHECK(status_of(answer) == 403);
    CHECK(has(answer, "\r\nConnection: close\r\n"));
    CHECK(body_of(answer) == "no");
    CHECK(peer.closed());
    return bytes;
  };
  CHECK(refused(announced(small + 1)) == small + 1);
  CHECK(from == "127.0.0.1");
  CHECK(refused(post("Content-Length: 900000\r\n", "behind it")) == 900'000);
  CHECK(refused(post("Transfer-Encoding: chunked\r\n", "1\r\n")) == limits{}.body);
  CHECK(handled == 0);
  CHECK(asked == 3);
  raw_peer peer{s->port()};
  CHECK(status_of(peer.send(announced(small)).answer()) == 100);
  CHECK(status_of(peer.send(std::string(small, 'b')).answer()) == 200);
  CHECK(asked == 3);
}

TEST_CASE("what is kept for a large body is kept until its request is answered") {
  held_responders held;
  std::weak_ptr<int> kept;
  const auto s = serve_with(
      {.admit = [&](const request&, std::size_t) -> tl::expected<std::shared_ptr<void>, response> {
        auto room = std::make_shared<int>(0);
        kept = room;
        return room;
      }},
      held.keep());
  raw_peer peer{s->port()};
  CHECK(status_of(peer.send(announced(small + 1)).answer()) == 100);
  CHECK_FALSE(kept.expired());
  peer.send(std::string(small + 1, 'b'));
  auto owed = held.next();
  CHECK_FALSE(kept.expired());
  owed({});
  CHECK(status_of(peer.answer()) == 200);
  CHECK(kept.expired());
}

TEST_CASE("large bodies beyond what all connections have room for are told 503") {
  const auto s = serve_with({.bounds = {.bodies = 5 * small}});
  raw_peer one{s->port()}, other{s->port()};
  CHECK(status_of(one.send(announced(3 * small)).answer()) == 100);
  const auto answer = other.send(announced(3 * small)).answer();
  CHECK(status_of(answer) == 503);
  CHECK(has(answer, "\r\nRetry-After: 1\r\n"));
  CHECK(has(answer, "\"code\":\"busy\""));
  CHECK(other.closed());
  raw_peer little{s->port()}, fits{s->port()};
  CHECK(status_of(little.send(post("Content-Length: 1\r\n", "b")).answer()) == 200);
  CHECK(status_of(fits.send(announced(2 * small)).answer()) == 100);
  CHECK(status_of(one.send(std::string(3 * small, 'b')).answer()) == 200);
  CHECK(status_of(one.send(announced(3 * small)).answer()) == 100);  // there is room again
  CHECK(status_of(raw_peer{s->port()}.send(announced(small + 1)).answer()) == 503);
}

TEST_CASE("a large body that is refused on its way gives its room back") {
  const auto s = serve_with({.bounds = {.body = 2 * small, .bodies = 2 * small}});
  for (int i = 0; i < 3; ++i) {
    raw_peer peer{s->port()};
    peer.send(post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"));
    CHECK(status_of(peer.answer()) == 100);
    CHECK(status_of(peer.send("no chunk\r\n").answer()) == 400);
  }
}
