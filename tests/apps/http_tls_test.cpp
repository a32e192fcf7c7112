#include "support/raw_socket.hpp"
#include "support/temp_directory.hpp"
#include "support/tls_peer.hpp"
#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <future>
#include <optional>
#include <string>

/// The same server over TLS.

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

struct secure_node {
  explicit secure_node(http::handler handle = echo, http::limits bounds = {}) {
    write_certificate(files.certificate, files.key, "first");
    auto started = http::server::start({.bounds = bounds, .tls = files}, std::move(handle));
    REQUIRE_MESSAGE(started, started.error().message);
    server = *std::move(started);
  }

  temp_directory directory;
  http::tls_files files{directory.path() / "cert.pem", directory.path() / "key.pem"};
  std::unique_ptr<http::server> server;
};

/// Says one thing, then nothing until it is let go.
class waiting_stream final : public http::body_stream {
public:
  explicit waiting_stream(std::promise<void>& gone) : gone_{gone} {}
  ~waiting_stream() override { gone_.set_value(); }
  std::optional<std::string> next() override { return std::exchange(first_, {}); }
  std::string heartbeat() override { return "beat"; }

private:
  std::promise<void>& gone_;
  std::string first_ = "first";
};

}  // namespace

TEST_CASE("requests of one connection are answered over TLS 1.2 and 1.3 alike") {
  secure_node n;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    tls_peer peer{n.server->port(), {.newest = version}};
    REQUIRE(peer.connected());
    CHECK(peer.version() == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
    CHECK(peer.certificate_name() == "first");
    CHECK(body_of(peer.send(plain_get).answer()) == "GET /a ");
    const std::string large(500'000, 'x');
    const auto answer =
        peer.send(post("Content-Length: " + std::to_string(large.size()) + "\r\n", large)).answer();
    CHECK(body_of(answer) == "POST /a " + large);
    CHECK(status_of(peer.send(get("Connection: close\r\n")).answer()) == 200);
    CHECK(peer.ended());
  }
}

TEST_CASE("older versions and other protocols and bytes in the clear get no answer") {
  std::atomic<int> handled = 0;
  secure_node n{[&](http::request, http::responder answer) {
    ++handled;
    answer({});
  }};
  CHECK_FALSE(tls_peer{n.server->port(), {.newest = TLS1_1_VERSION}}.connected());
  CHECK_FALSE(tls_peer{n.server->port(), {.alpn = "\x02h2"}}.connected());
  tls_peer both{n.server->port(), {.alpn = "\x02h2\x08http/1.1"}};
  CHECK(both.connected());
  CHECK(both.protocol() == "http/1.1");
  raw_peer clear{n.server->port()};
  CHECK_FALSE(has(clear.send(plain_get).until("HTTP/1.1"), "HTTP/1.1"));
  CHECK(handled == 0);
}

TEST_CASE("a handshake that does not come is cut like a head that does not come") {
  secure_node n{echo, {.head_timeout = 50ms}};
  raw_peer silent{n.server->port()};
  CHECK(silent.closed());
  CHECK(n.server->drain(in(5s)));
}

TEST_CASE("a refusal reaches a peer over TLS that goes on sending") {
  secure_node n{echo, {.body = 10}};
  tls_peer peer{n.server->port()};
  const auto answer =
      peer.send(post("Content-Length: 100000\r\n", std::string(100'000, 'x'))).answer();
  CHECK(status_of(answer) == 413);
  CHECK(peer.ended());
}

TEST_CASE("a stream over TLS is let go when its peer has gone") {
  std::promise<void> gone;
  secure_node n{[&](http::request, http::responder answer) {
    answer.stream({}, std::make_unique<waiting_stream>(gone));
  }};
  {
    tls_peer peer{n.server->port()};
    CHECK(has(peer.send(plain_get).until("first\r\n"), "first"));
  }
  CHECK(gone.get_future().wait_for(5s) == std::future_status::ready);
}

TEST_CASE("a certificate that was replaced is shown from then on and a broken one is not taken") {
  secure_node n;
  tls_peer before{n.server->port()};
  CHECK(before.certificate_name() == "first");
  write_certificate(n.files.certificate, n.files.key, "second");
  CHECK(tls_peer{n.server->port()}.certificate_name() == "first");
  REQUIRE(n.server->reload_tls());
  CHECK(tls_peer{n.server->port()}.certificate_name() == "second");
  CHECK(status_of(before.send(plain_get).answer()) == 200);
  std::ofstream{n.files.certificate} << "no certificate";
  const auto refused = n.server->reload_tls();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::invalid_value);
  CHECK(has(refused.error().message, n.files.certificate.string()));
  CHECK(tls_peer{n.server->port()}.certificate_name() == "second");
}

TEST_CASE("a key of another certificate or for everybody to read refuses the start") {
  secure_node n, other;
  const auto start = [](const http::tls_files& files) {
    return http::server::start({.tls = files}, echo).error();
  };
  CHECK(has(start({n.files.certificate, other.files.key}).message, other.files.key.string()));
  ::chmod(n.files.key.c_str(), 0640);
  CHECK(has(start(n.files).message, "chmod 600"));
  CHECK(has(start({n.files.certificate, n.directory.path() / "none"}).message, "none"));
}
