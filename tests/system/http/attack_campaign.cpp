// attack_campaign TROUPE [--connections N] [--only NAME]
//
// What an attack of the threat model costs the others: for each, the p99 of polite clients before
// it and during it, whether health answers within a second behind it, and the node's memory. An
// attack may not raise the p99 beyond three times (and two milliseconds, which a machine with other
// work takes at any time), nor leave more than 64 MiB. Attackers of the slow kind must be cut off
// with their answer. Prints one JSON object for each attack.

#include "support/served_node.hpp"
#include "support/temp_directory.hpp"
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;
using namespace std::chrono_literals;
using testing::child_process;
using testing::plain_socket;
using testing::served_node;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr std::size_t name_spaces = 20;
constexpr double times = 3, spare_ms = 2;
constexpr std::size_t memory_left = 64 << 20;
const http::header json{"Content-Type", "application/json"};

bool failed = false;
void violated(const std::string& what) {
  std::fprintf(stderr, "VIOLATION: %s\n", what.c_str());
  failed = true;
}

std::string run(const std::vector<std::string>& words) {
  child_process tool{words};
  const auto line = tool.read_line();
  if (tool.wait() != 0 || !line)
    std::exit(2);
  return *line;
}

/// A node with a token for each of twenty namespaces, of which the first is the noisy one.
class target {
public:
  explicit target(const std::string& binary) {
    const auto store = directory_.store().string();
    served_node{binary, store}.stop();  // makes the store
    for (std::size_t i = 0; i < name_spaces; ++i)
      tokens_.push_back(run({binary, "token", "create", "--data", store, "--user", "u",
                             "--namespace", "n" + std::to_string(i), "--role", "writer"}));
    node_ = std::make_unique<served_node>(binary, store,
                                          std::vector<std::string>{"--namespace-rate", "2000"});
    for (std::size_t i = 0; i < name_spaces; ++i)
      if (status(i, "PUT", "/v1/sessions/s", "{}") != 201)
        std::exit(2);
  }

  [[nodiscard]] served_node& node() { return *node_; }
  [[nodiscard]] http::header token(std::size_t of) const {
    return {"Authorization", "Bearer " + tokens_[of]};
  }
  [[nodiscard]] std::string head(std::size_t of, const std::string& line) const {
    return line + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + tokens_[of] + "\r\n";
  }

  int status(std::size_t of, const char* method, const std::string& path, std::string body) {
    auto client = node_->client();
    return status(client, of, method, path, std::move(body));
  }
  int status(http::client& client, std::size_t of, const char* method, const std::string& path,
             std::string body) const {
    http::request asked{.method = method, .target = path, .headers = {token(of)}};
    if (!body.empty())
      asked.headers.push_back(json);
    asked.body = std::move(body);
    const auto got = client.send(asked);
    return got ? got->status : 0;
  }

  /// The p99 of four polite clients, each of a namespace of its own, in milliseconds: durable
  /// appends and reads in turn, each after a pause.
  double p99(std::chrono::milliseconds time) {
    std::vector<std::vector<double>> took(4);
    {
      std::vector<std::jthread> clients;
      for (std::size_t c = 0; c < took.size(); ++c)
        clients.emplace_back([&, c] { polite(c + 1, time, took[c]); });
    }
    std::vector<double> all;
    for (const auto& one : took)
      all.insert(all.end(), one.begin(), one.end());
    if (all.size() < 100)
      violated("polite clients had " + std::to_string(all.size()) + " answers only");
    const auto at = all.begin() + static_cast<std::ptrdiff_t>(all.size() * 99 / 100);
    std::nth_element(all.begin(), at, all.end());
    return all.empty() ? 1e9 : *at;
  }

private:
  void polite(std::size_t of, std::chrono::milliseconds time, std::vector<double>& took) {
    auto client = node_->client();
    const auto end = clock_type::now() + time;
    for (int i = 0; clock_type::now() < end; ++i) {
      const auto begun = clock_type::now();
      const auto code = i % 2 == 0
                            ? status(client, of, "PUT", "/v1/sessions/s/state/k", std::to_string(i))
                            : status(client, of, "GET", "/v1/sessions/s/state/k", {});
      if (code != 200)
        violated("a polite client was answered " + std::to_string(code));
      took.push_back(std::chrono::duration<double, std::milli>(clock_type::now() - begun).count());
      std::this_thread::sleep_for(4ms);
    }
  }

  testing::temp_directory directory_;
  std::vector<std::string> tokens_;
  std::unique_ptr<served_node> node_;
};

/// Goes on until it is told to stop; answers how many of its aims it met, of how many.
using attacker = std::function<void(target&, const std::stop_token&)>;

void measure(target& all, const char* name, const attacker& attack) {
  std::vector<double> before, during;
  const auto memory = all.node().memory();
  std::size_t most = 0;
  for (int round = 0; round < 3; ++round) {
    before.push_back(all.p99(2s));
    std::jthread attacking{[&](const std::stop_token& over) { attack(all, over); }};
    std::this_thread::sleep_for(300ms);
    during.push_back(all.p99(4s));
    most = std::max(most, all.node().memory());
    attacking.request_stop();
    attacking.join();
    auto client = all.node().client();
    const auto begun = clock_type::now();
    const auto health = client.send({.method = "GET", .target = "/healthz"});
    if (!health || health->status != 200 || clock_type::now() - begun > 1s)
      violated(std::string{name} + ": health did not answer within a second");
  }
  const auto median = [](std::vector<double> of) {
    std::ranges::sort(of);
    return of[of.size() / 2];
  };
  std::this_thread::sleep_for(500ms);
  const auto after = all.node().memory();
  std::printf(
      "{\"attack\":\"%s\",\"p99_before_ms\":%.3f,\"p99_during_ms\":%.3f,\"memory_before_mib\":"
      "%.1f,\"memory_during_mib\":%.1f,\"memory_after_mib\":%.1f}\n",
      name, median(before), median(during), static_cast<double>(memory) / (1 << 20),
      static_cast<double>(most) / (1 << 20), static_cast<double>(after) / (1 << 20));
  std::fflush(stdout);
  if (median(during) > times * median(before) + spare_ms)
    violated(std::string{name} + ": the p99 of others rose beyond three times");
  if (after > memory + memory_left)
    violated(std::string{name} + ": memory stays above the baseline");
}

/// As many of each address as may be there without a token, and fewer than are refused.
std::vector<plain_socket> connect(target& all, std::size_t count) {
  constexpr std::size_t of_an_address = 90;
  std::vector<plain_socket> out;
  for (std::size_t i = 0; i < count; ++i)
    out.emplace_back(all.node().port(), 15s, 0, static_cast<std::uint8_t>(2 + i / of_an_address));
  return out;
}

/// One byte a second on each of them.
void trickle(const std::vector<plain_socket>& all, const std::stop_token& over) {
  while (!over.stop_requested()) {
    for (const auto& one : all)
      ::send(one.descriptor(), "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    for (int i = 0; i < 10 && !over.stop_requested(); ++i)
      std::this_thread::sleep_for(100ms);
  }
}

/// Those that are slow are told so and cut off: the head has ten seconds, a body ten for 10 KiB.
void expect_cut(target& all, const char* name, std::size_t connections, const std::string& begin) {
  auto slow = connect(all, connections);
  for (const auto& one : slow)
    one.send(begin);
  const auto begun = clock_type::now();
  std::stop_source over;
  std::thread sending{[&] { trickle(slow, over.get_token()); }};
  std::size_t told = 0;
  std::this_thread::sleep_for(11s);
  over.request_stop();
  sending.join();
  for (auto& one : slow)
    told += one.rest().starts_with("HTTP/1.1 408 ");
  const auto took = std::chrono::duration<double>(clock_type::now() - begun).count();
  std::printf("{\"attack\":\"%s\",\"connections\":%zu,\"told_408\":%zu,\"within_s\":%.1f}\n", name,
              connections, told, took);
  std::fflush(stdout);
  if (told != connections || took > 16)
    violated(std::string{name} + ": " + std::to_string(connections - told)
             + " were not told 408 and cut off");
}

/// Of what one address opens without a word a hundred connections stay.
void expect_refused(target& all, std::size_t connections) {
  std::vector<plain_socket> idle;
  for (std::size_t i = 0; i < connections; ++i)
    idle.emplace_back(all.node().port(), 100ms, 0, std::uint8_t{200});
  std::size_t refused = 0;
  std::this_thread::sleep_for(500ms);
  for (const auto& one : idle) {
    pollfd ends{.fd = one.descriptor(), .events = POLLIN, .revents = 0};
    refused += static_cast<std::size_t>(::poll(&ends, 1, 0) == 1);
  }
  std::printf("{\"attack\":\"connections of one address\",\"connections\":%zu,\"refused\":%zu}\n",
              connections, refused);
  std::fflush(stdout);
  if (connections - refused != std::min<std::size_t>(connections, 100))
    violated("of " + std::to_string(connections) + " connections of one address "
             + std::to_string(refused) + " were refused");
}

/// Requests as fast as they are answered, on so many connections of the noisy namespace.
void flood(target& all, const std::stop_token& over, std::size_t connections,
           const std::string& bytes) {
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < connections; ++i)
    threads.emplace_back([&] {
      while (!over.stop_requested()) {
        plain_socket socket{all.node().port(), 5s};
        while (!over.stop_requested() && socket.send(bytes)) {
          const auto head = socket.until("\r\n\r\n");
          const auto at = head.find("Content-Length: ");
          if (at == std::string::npos || head.find("Connection: close") != std::string::npos)
            break;
          if (std::stoul(head.substr(at + 16)) > 0)
            socket.until("}");
        }
      }
    });
}

std::string with_body(const std::string& head, const std::string& type, const std::string& body) {
  return head + "Content-Type: application/" + type
         + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

int main(int argc, char** argv) {
  std::string binary, only;
  std::size_t connections = 500;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--connections" && i + 1 < argc)
      connections = std::strtoul(argv[++i], nullptr, 10);
    else if (word == "--only" && i + 1 < argc)
      only = argv[++i];
    else
      binary = word;
  }
  if (binary.empty()) {
    std::fprintf(stderr, "usage: attack_campaign TROUPE [--connections N] [--only NAME]\n");
    return 2;
  }
  target all{binary};
  all.p99(1s);  // what is asked for the first time costs more
  const auto patch = all.head(0, "PATCH /v1/sessions/s/state");
  const std::string slow_body =
      all.head(0, "POST /v1/sessions/s/items") + "Content-Length: 60000\r\n\r\n";
  const auto slowly = [&](const std::string& begin) -> attacker {
    return [&, begin](target& to, const std::stop_token& over) {
      const auto slow = connect(to, connections);
      for (const auto& one : slow)
        one.send(begin);
      trickle(slow, over);
    };
  };
  const auto flooding = [](std::size_t count, const std::string& bytes) -> attacker {
    return [=](target& to, const std::stop_token& over) { flood(to, over, count, bytes); };
  };
  const std::map<std::string, attacker> attacks = {
      {"slow heads", slowly("GET /v1/stats HTTP/1.1\r\nX: ")},
      {"slow bodies", slowly(slow_body)},
      {"clients that never read",
       [&](target& to, const std::stop_token& over) {
         std::vector<plain_socket> deaf;
         for (std::size_t i = 0; i < 200; ++i) {
           deaf.emplace_back(to.node().port(), 1s, 4'096);
           for (int n = 0; n < 50; ++n)
             ::send(deaf.back().descriptor(), (to.head(0, "GET /openapi.json") + "\r\n").c_str(),
                    to.head(0, "GET /openapi.json").size() + 2, MSG_NOSIGNAL | MSG_DONTWAIT);
         }
         while (!over.stop_requested())
           std::this_thread::sleep_for(50ms);
       }},
      {"depth bombs", flooding(2, with_body(patch, "json", "{\"a\":" + std::string(100'000, '[')))},
      {"msgpack bombs", flooding(2, with_body(patch, "msgpack", "\xdd\xff\xff\xff\xff"))},
      {"announced gibibytes",
       flooding(2, all.head(0, "POST /v1/import") + "Content-Length: 1073741824\r\n\r\n")},
      {"guessed tokens", flooding(2,
                                  "GET /v1/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                                  "troupe_0000000000000000_"
                                      + std::string(64, '0') + "\r\n\r\n")},
      {"a noisy namespace", flooding(64, with_body(all.head(0, "POST /v1/sessions/s/loop-history"),
                                                   "json", R"({"tool":"t","arguments":{}})"))},
  };
  for (const auto& [name, attack] : attacks)
    if (only.empty() || only == name)
      measure(all, name.c_str(), attack);
  if (only.empty() || only == "connections")
    expect_refused(all, connections);
  if (only.empty() || only == "slow heads")
    expect_cut(all, "slow heads", connections, "GET /v1/stats HTTP/1.1\r\nX: ");
  if (only.empty() || only == "slow bodies")
    expect_cut(all, "slow bodies", connections, slow_body);
  if (const auto code = all.node().stop(); code != 0)
    violated("SIGTERM ended the node with " + std::to_string(code));
  return failed ? 1 : 0;
}
