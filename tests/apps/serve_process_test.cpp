#include "http/client.hpp"
#include "support/scripted_endpoint.hpp"
#include "support/served_node.hpp"
#include "support/temp_directory.hpp"
#include "support/tls_peer.hpp"
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

/// `troupe serve` as a process: its listeners, its signals.

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

int status(std::uint16_t port, const std::string& target, const std::string& token = {}) {
  http::client client{"127.0.0.1", port, 20s};
  http::request asked{.method = "GET", .target = target};
  if (!token.empty())
    asked.headers.push_back({"Authorization", "Bearer " + token});
  const auto got = client.send(asked);
  return got ? got->status : 0;
}

std::string run(std::vector<std::string> words) {
  words.insert(words.begin(), TROUPE_BINARY);
  child_process tool{words};
  const auto line = tool.read_line();
  CHECK(tool.wait() == 0);
  return line.value_or("");
}

/// Asks until it is so: at most five seconds.
template <class F>
bool soon(F holds) {
  for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms))
    if (holds())
      return true;
  return false;
}

}  // namespace

TEST_CASE("tokens that come while a node runs are asked for after SIGHUP") {
  const temp_directory directory;
  served_node n{TROUPE_BINARY, directory.store().string()};
  CHECK(status(n.port(), "/v1/stats") == 200);
  const auto token = run({"token", "create", "--data", n.store(), "--user", "ann"});
  n.signal(SIGHUP);
  CHECK(soon([&] { return status(n.port(), "/v1/stats") == 401; }));
  CHECK(status(n.port(), "/v1/stats", token) == 200);
  run({"token", "revoke", token.substr(7, 16), "--data", n.store()});
  n.signal(SIGHUP);
  CHECK(soon([&] { return status(n.port(), "/v1/stats", token) == 401; }));
  CHECK(n.stop() == 0);
}

TEST_CASE("a stop signal that is repeated at once is one") {
  const temp_directory directory;
  served_node n{TROUPE_BINARY, directory.store().string()};
  for (int i = 0; i < 50; ++i, std::this_thread::sleep_for(1ms))
    n.signal(SIGTERM);
  CHECK(n.stop() == 0);
}

TEST_CASE("a second signal ends the notice and a third one the requests in flight") {
  const temp_directory directory;
  served_node n{TROUPE_BINARY,
                directory.store().string(),
                {"--drain-notice", "600", "--drain-timeout", "600"}};
  plain_socket slow{n.port()};
  REQUIRE(slow.send("POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"));
  CHECK(soon([&] { return status(n.port(), "/readyz") == 200; }));
  n.signal(SIGTERM);
  CHECK(soon([&] { return status(n.port(), "/readyz") == 503; }));
  n.signal(SIGTERM);
  CHECK(status(n.port(), "/healthz") == 200);
  std::this_thread::sleep_for(1100ms);  // a repeat is one within a second
  n.signal(SIGTERM);
  CHECK(soon([&] { return !plain_socket{n.port()}.connected(); }));
  n.signal(SIGTERM);
  std::this_thread::sleep_for(1100ms);
  CHECK(n.stop() == 128 + SIGTERM);
}

TEST_CASE("config show tells each setting with its value and who says it") {
  const temp_directory directory;
  const auto file = (directory.path() / "troupe.toml").string();
  std::ofstream{file} << "data = \"x\"\nidle = 5\nmax-live = 2\n";
  child_process tool{{"/usr/bin/env", "TROUPE_MAX_LIVE=3", TROUPE_BINARY, "config", "show", file}};
  std::set<std::string> rows;
  while (const auto line = tool.read_line()) {
    std::istringstream words{*line};
    std::string name, value, from;
    words >> name >> value >> from;
    rows.insert(name + ' ' + value + ' ' + from);
  }
  CHECK(tool.wait() == 0);
  CHECK(rows.contains("idle 5 " + file + ":2"));
  CHECK(rows.contains("max-live 3 TROUPE_MAX_LIVE"));
  CHECK(rows.contains("quota 0 default"));
  CHECK(rows.contains("log-level info default"));
  CHECK(rows.contains("allow-remote-fs false default"));
}

TEST_CASE("settings that name files which are not there end a start with 2") {
  const temp_directory directory;
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"--tls-cert", "nochain.pem", "--tls-key", "nokey.pem"},
           {"--responder", "openai", "--openai-model", "m", "--openai-key-file", "nokey"}}) {
    std::vector<std::string> all{TROUPE_BINARY, "serve", "--data", directory.store().string()};
    all.insert(all.end(), words.begin(), words.end());
    CHECK(child_process{all}.wait() == 2);
    CHECK_FALSE(fs::exists(directory.store() / "data.mdb"));
  }
}

TEST_CASE("a node over TLS shows another certificate after SIGHUP and goes on") {
  const temp_directory files;
  const auto certificate = files.path() / "cert.pem", key = files.path() / "key.pem";
  write_certificate(certificate, key, "first");
  served_node n{TROUPE_BINARY,
                (files.path() / "store").string(),
                {"--tls-cert", certificate.string(), "--tls-key", key.string()}};
  tls_peer before{n.port()};
  CHECK(before.certificate_name() == "first");
  write_certificate(certificate, key, "second");
  n.signal(SIGHUP);
  CHECK(soon([&] { return tls_peer{n.port()}.certificate_name() == "second"; }));
  before.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(before.answer().find(R"({"status":"ok"})") != std::string::npos);
  CHECK(n.stop() == 0);
}

TEST_CASE("operators have an address of their own where a node is told so") {
  const temp_directory directory;
  served_node n{TROUPE_BINARY, directory.store().string(), {"--admin-listen", "127.0.0.1:0"}};
  REQUIRE(n.operators_port() != 0);
  CHECK(status(n.port(), "/metrics") == 404);
  CHECK(status(n.operators_port(), "/metrics") == 200);
  CHECK(status(n.port(), "/v1/stats") == 200);
  CHECK(n.stop() == 0);
}

TEST_CASE("a node without tokens has no address for operators beyond its own machine") {
  const temp_directory directory;
  child_process node{{TROUPE_BINARY, "serve", "--data", directory.store().string(), "--listen",
                      "127.0.0.1:0", "--admin-listen", "0.0.0.0:0"}};
  CHECK(node.wait() == 2);
}

TEST_CASE("a node with tokens takes so many connections of one user") {
  const temp_directory directory;
  served_node n{TROUPE_BINARY, directory.store().string(), {"--user-connections", "2"}};
  const auto ann = run({"token", "create", "--data", n.store(), "--user", "ann"});
  const auto bob = run({"token", "create", "--data", n.store(), "--user", "bob"});
  n.signal(SIGHUP);
  CHECK(soon([&] { return status(n.port(), "/v1/stats") == 401; }));
  std::vector<plain_socket> open;
  const auto follow = [&](const std::string& token) {
    open.emplace_back(n.port());
    open.back().send("GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token
                     + "\r\n\r\n");
    return open.back().until("\r\n");
  };
  CHECK(follow(ann) == "HTTP/1.1 200 OK\r\n");
  CHECK(follow(ann) == "HTTP/1.1 200 OK\r\n");
  CHECK(follow(ann) == "HTTP/1.1 429 Too Many Requests\r\n");
  CHECK(follow(bob) == "HTTP/1.1 200 OK\r\n");
}

TEST_CASE("a node with tokens takes so many connections of an address that show none") {
  const temp_directory directory;
  served_node n{TROUPE_BINARY, directory.store().string(), {"--address-connections", "2"}};
  std::vector<plain_socket> free, idle;
  for (int i = 0; i < 5; ++i)  // without tokens there is no limit
    free.emplace_back(n.port());
  CHECK(status(n.port(), "/healthz") == 200);
  const auto token = run({"token", "create", "--data", n.store(), "--user", "ann"});
  n.signal(SIGHUP);
  CHECK(soon([&] { return status(n.port(), "/v1/stats") == 401; }));
  const auto ask = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  const auto large =
      "POST /v1/sessions/s/items HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n";
  plain_socket early{n.port()};
  early.send(large);
  CHECK(early.until("\r\n") == "HTTP/1.1 401 Unauthorized\r\n");
  early.rest();
  CHECK(soon([&] {  // those of before have gone
    idle.clear();
    for (int i = 0; i < 2; ++i) {
      idle.emplace_back(n.port());
      idle.back().send(ask);
      if (idle.back().until("\r\n") != "HTTP/1.1 200 OK\r\n")
        return false;
    }
    return true;
  }));
  CHECK(plain_socket{n.port()}.until("\r\n") == "HTTP/1.1 429 Too Many Requests\r\n");
  free.front().send(ask);
  CHECK(free.front().until("\r\n") == "HTTP/1.1 200 OK\r\n");
  CHECK(n.stop() == 0);
}

TEST_CASE("a node listens where it says and nowhere else") {
  const temp_directory directory;
  served_node n{TROUPE_BINARY, directory.store().string(), {"--admin-listen", "127.0.0.1:0"}};
  std::set<std::uint16_t> ports;
  std::set<std::string> own;  // inodes of its sockets
  for (const auto& one : fs::directory_iterator{"/proc/" + std::to_string(n.pid()) + "/fd"}) {
    std::error_code ec;
    const auto to = fs::read_symlink(one, ec).string();
    if (to.starts_with("socket:["))
      own.insert(to.substr(8, to.size() - 9));
  }
  for (const auto* file : {"/tcp", "/tcp6", "/udp", "/udp6"}) {
    std::ifstream in{"/proc/" + std::to_string(n.pid()) + "/net" + file};
    std::string line;
    for (std::getline(in, line); std::getline(in, line);) {
      std::istringstream words{line};
      std::string slot, local, remote, state, skip, inode;
      words >> slot >> local >> remote >> state;
      for (int i = 0; i < 5; ++i)
        words >> skip;
      words >> inode;
      const bool listens = state == "0A" || std::string_view{file}.starts_with("/udp");
      if (listens && own.contains(inode))
        ports.insert(static_cast<std::uint16_t>(
            std::stoul(local.substr(local.rfind(':') + 1), nullptr, 16)));
    }
  }
  CHECK(ports == std::set<std::uint16_t>{n.port(), n.operators_port()});
}

TEST_CASE("what is stored stands in no log and in no core dump") {
  const temp_directory directory;
  const auto log = directory.path() / "log";
  const std::string secret = "planted-secret";
  std::string token_secret;
  {
    // The log of everything, in a file.
    child_process node{
        {"/bin/sh", "-c",
         "exec \"$0\" --log-level trace serve --listen 127.0.0.1:0 --data \"$1\" 2>\"$2\"",
         TROUPE_BINARY, directory.store().string(), log.string()}};
    const auto line = node.read_line().value_or("");
    const auto port = static_cast<std::uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
    std::ifstream limits{"/proc/" + std::to_string(node.pid()) + "/limits"};
    const std::string text{std::istreambuf_iterator<char>{limits}, {}};
    const auto core = text.substr(text.find("Max core file size"));
    CHECK(core.substr(0, core.find('\n')).find(" 0 ") != std::string::npos);
    http::client client{"127.0.0.1", port, 20s};
    const http::header json{"Content-Type", "application/json"};
    const auto send = [&](const char* method, const std::string& target, const std::string& body) {
      const auto got = client.send({.method = method,
                                    .target = target,
                                    .headers = {json,
                                                {"Authorization", "Bearer troupe_" + secret},
                                                {"Idempotency-Key", secret + target}},
                                    .body = body});
      return got ? got->status : 0;
    };
    CHECK(send("PUT", "/v1/sessions/s", "{}") == 201);
    CHECK(send("PUT", "/v1/sessions/s/state/k", '"' + secret + '"') == 200);
    CHECK(send("POST", "/v1/sessions/s/items", R"({"items":[{"x":")" + secret + R"("},1]})")
          == 422);
    CHECK(send("GET", "/v1/stats?access_token=" + secret, "") == 422);
    CHECK(send("GET", "/v1/sessions/" + std::string(300, 'n'), "") == 400);
    const auto token =
        run({"token", "create", "--data", directory.store().string(), "--user", "ann"});
    CHECK(::kill(node.pid(), SIGHUP) == 0);
    CHECK(soon([&] { return status(port, "/v1/stats") == 401; }));
    CHECK(status(port, "/v1/stats?access_token=" + token) == 401);
    CHECK(status(port, "/v1/stats?access_token=" + token, token) == 422);
    CHECK(status(port, "/v1/stats", token.substr(0, token.size() - 1)) == 401);
    token_secret = token.substr(token.rfind('_') + 1, 60);
    CHECK(node.kill(SIGTERM) == 0);
  }
  std::ifstream in{log};
  const std::string logged{std::istreambuf_iterator<char>{in}, {}};
  CHECK(logged.find("/v1/sessions/s") != std::string::npos);
  CHECK(logged.find(secret) == std::string::npos);
  CHECK(token_secret.size() == 60);
  CHECK(logged.find(token_secret) == std::string::npos);
  CHECK(logged.find(std::string(200, 'n') + "... is answered 400") != std::string::npos);
  CHECK(logged.find(std::string(257, 'n')) == std::string::npos);
}

TEST_CASE("no other process of its user reads a node's memory") {
  const temp_directory directory;
  fs::permissions(directory.path(), fs::perms::all);
  const std::string store = directory.store().string();
  // What such a process may not read belongs to root in /proc; so the node is not root here.
  std::vector<std::string> words{TROUPE_BINARY, "serve",    "--data",
                                 store,         "--listen", "127.0.0.1:0"};
  if (::geteuid() == 0)
    words.insert(words.begin(), {"/usr/bin/setpriv", "--reuid", "65534", "--clear-groups"});
  child_process node{words};
  REQUIRE(node.read_line().value_or("").starts_with("listening on "));
  struct stat found {};
  REQUIRE(::stat(("/proc/" + std::to_string(node.pid()) + "/environ").c_str(), &found) == 0);
  CHECK(found.st_uid == 0);
  CHECK(node.kill(SIGTERM) == 0);
}

TEST_CASE("a second node on a directory ends with 73 in another container too") {
  const temp_directory directory;
  served_node n{TROUPE_BINARY, directory.store().string()};
  const std::vector<std::string> second{TROUPE_BINARY, "serve",    "--data",
                                        n.store(),     "--listen", "127.0.0.1:0"};
  CHECK(child_process{second}.wait() == 73);
  const std::vector<std::string> apart{"/usr/bin/unshare", "--map-root-user", "--pid", "--fork"};
  auto words = apart;
  words.push_back("/bin/true");
  if (child_process{words}.wait() != 0) {
    MESSAGE("not done: no process may have a name space of its own here");
  } else {
    words = apart;
    words.insert(words.end(), second.begin(), second.end());
    CHECK(child_process{words}.wait() == 73);
  }
  CHECK(status(n.port(), "/healthz") == 200);
  CHECK(n.stop() == 0);
}

TEST_CASE("a directory that holds something else or is open to others ends a start by its code") {
  const temp_directory directory;
  const auto start = [&] {
    child_process node{
        {TROUPE_BINARY, "serve", "--data", directory.store().string(), "--listen", "127.0.0.1:0"}};
    return node.read_line() ? -1 : node.wait();  // -1: it serves
  };
  fs::create_directory(directory.store());
  fs::permissions(directory.store(), fs::perms::owner_all);
  const auto file = directory.store() / "data.mdb";
  std::ofstream{file} << std::string(10'000, 'x');
  CHECK(start() == 65);
  fs::permissions(directory.store(), fs::perms::others_read, fs::perm_options::add);
  CHECK(start() == 78);
  fs::remove_all(directory.store());
  { served_node made{TROUPE_BINARY, directory.store().string()}; }
  fs::rename(file, directory.path() / "data.mdb");
  fs::create_symlink(directory.path() / "data.mdb", file);
  CHECK(start() == 65);
  fs::remove(file);
  fs::rename(directory.path() / "data.mdb", file);
  fs::resize_file(file, 8'192);
  CHECK(start() == 65);
}

TEST_CASE("a node that stops gives an agent's stream its time and then ends it with an error") {
  std::promise<void> stopping;
  auto is_stopping = stopping.get_future().share();
  scripted_endpoint endpoint{[&](endpoint_peer& peer, std::size_t n) {
    peer.begin_stream().says("Hel");
    if (n == 0)
      is_stopping.wait_for(20s);
    else
      peer.hang(20s);
    peer.says("lo").ends(1, 1);
  }};
  const temp_directory directory;
  served_node n{TROUPE_BINARY,
                directory.store().string(),
                {"--responder", "openai", "--openai-url", endpoint.url(), "--openai-model", "m",
                 "--drain-timeout", "2"}};
  const std::string body = R"({"query":"Hi"})";
  const auto ask = [&](plain_socket& client, const std::string& id) {
    client.send(
        "POST /api/agent/quick HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
        "Content-Type: application/json\r\nX-Request-Id: "
        + id + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    CHECK(client.until("\"Hel\"}\n\n").find("200 OK") != std::string::npos);
  };
  plain_socket quick{n.port()}, slow{n.port()};
  ask(quick, "quick");
  ask(slow, "slow");
  n.signal(SIGTERM);
  CHECK(soon([&] { return !plain_socket{n.port()}.connected(); }));
  stopping.set_value();
  CHECK(quick.rest().find("event: done\n") != std::string::npos);
  const auto cut = slow.rest();
  CHECK(cut.find("event: error\n") != std::string::npos);
  CHECK(cut.find(R"("code":"draining")") != std::string::npos);
  CHECK(cut.find(R"("request_id":"slow")") != std::string::npos);
  CHECK(cut.ends_with("0\r\n\r\n"));
  CHECK(n.stop(0) == 0);  // it ends of its own
}
