// sse_soak TROUPE [--subscribers N] [--reconnects M] [--restarts R] [--seed S] [--no-timing]
//
// Subscribers of `GET {S}/events` that hang up after a few events and come back with the id of the
// last one they dealt with, M times each, while sessions are written to and the node is killed and
// stopped and started again: every change comes once, in order, without a gap, up to the last. Then
// the same writer is timed beside subscribers that never read. Prints the seed, and one JSON
// object.

#include "support/served_node.hpp"
#include "support/temp_directory.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <thread>

using namespace troupe;
using namespace std::chrono_literals;
using testing::plain_socket;
using testing::served_node;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr std::size_t sessions = 10;
const http::header json{"Content-Type", "application/json"};

[[noreturn]] void violated(const std::string& what) {
  std::fprintf(stderr, "VIOLATION: %s\n", what.c_str());
  std::exit(1);
}

std::string path_of(std::size_t session) {
  return "/v1/sessions/s" + std::to_string(session % sessions);
}

/// What everybody follows.
struct course {
  std::uint16_t port = 0;
  std::atomic<std::uint64_t> newest[sessions]{};  // acknowledged revisions
  std::atomic<bool> written = false;              // nothing more comes
  std::atomic<std::uint64_t> told{0}, reconnects{0};
  std::atomic<std::size_t> ready{0};  // subscribers that came back as often as they are to
};

/// One subscriber. A revision that is not the next is a violation, whichever way it is not.
class subscriber {
public:
  subscriber(course& all, std::size_t session, std::uint64_t wanted, std::uint64_t seed)
      : all_{all},
        session_{session},
        wanted_{wanted},
        random_{seed} {}

  void run() {
    while (!done()) {
      const auto before = last_;
      follow(1 + random_() % 12);
      if (last_ == before)
        continue;  // the node was away, or had nothing to tell
      ++all_.reconnects;
      all_.ready += ++came_back_ == wanted_;
    }
  }

private:
  [[nodiscard]] bool done() const {
    return came_back_ >= wanted_ && all_.written && last_ == all_.newest[session_ % sessions];
  }

  /// Until so many events came, or the node has gone.
  void follow(std::uint64_t events) {
    plain_socket socket{all_.port, 2s};
    const auto cursor = last_ == 0 ? std::string{"1-0"} : cursor_;
    if (!socket.connected()
        || !socket.send("GET " + path_of(session_) + "/events HTTP/1.1\r\nHost: localhost\r\n"
                        + "Last-Event-ID: " + cursor + "\r\n\r\n")) {
      std::this_thread::sleep_for(20ms);
      return;
    }
    for (; events > 0 && !done(); --events) {
      const auto head = socket.until("event: ");
      const auto text = head.empty() ? head : socket.until("\n\n");
      if (text.empty())
        return;
      take(text);
    }
  }

  void take(const std::string& text) {
    const auto member = [&](std::string_view name) {
      const auto at = text.find(name);
      return at == std::string::npos
                 ? std::string{}
                 : text.substr(at + name.size(),
                               text.find_first_of(",\n}", at + name.size()) - at - name.size());
    };
    if (!text.starts_with("change\n"))
      violated(path_of(session_) + " was told: " + text);
    const auto revision = std::strtoull(member("\"revision\":").c_str(), nullptr, 10);
    if (revision != last_ + 1)
      violated(path_of(session_) + " was told revision " + std::to_string(revision) + " behind "
               + std::to_string(last_));
    cursor_ = member("id: ");
    last_ = revision;
    ++all_.told;
  }

  course& all_;
  std::size_t session_;
  std::uint64_t wanted_, came_back_ = 0, last_ = 0;
  std::string cursor_;
  std::mt19937_64 random_;
};

/// One change; nothing while the node is away, when it may have been made or not.
std::optional<std::uint64_t> write(http::client& client, std::size_t session, std::uint64_t n) {
  const auto answer = client.send({.method = "PUT",
                                   .target = path_of(session) + "/state/k",
                                   .headers = {json},
                                   .body = std::to_string(n)});
  if (!answer || answer->status == 503)
    return std::nullopt;
  const auto* tag = answer->find_header("ETag");
  if (answer->status != 200 || !tag)
    violated("a write was answered " + std::to_string(answer->status) + ": " + answer->body);
  return std::strtoull(tag->c_str() + 1, nullptr, 10);
}

void create_sessions(served_node& node) {
  auto client = node.client();
  for (std::size_t s = 0; s < sessions; ++s)
    if (const auto made = client.send({.method = "PUT", .target = path_of(s)});
        !made || made->status != 201)
      violated("a session was not made");
}

/// What `GET {S}` says: also what no answer told of.
std::uint64_t revision_of(http::client& client, std::size_t session) {
  const auto info = client.send({.method = "GET", .target = path_of(session)});
  if (!info || info->status != 200)
    violated("no info of " + path_of(session));
  return std::strtoull(info->find_header("ETag")->c_str() + 1, nullptr, 10);
}

/// The p99 of durable writes one by one, in milliseconds.
double p99_of_writes(served_node& node, std::chrono::seconds time) {
  auto client = node.client();
  std::vector<double> took;
  const auto end = clock_type::now() + time;
  for (std::uint64_t n = 0; clock_type::now() < end; ++n) {
    const auto begun = clock_type::now();
    if (!write(client, n % sessions, n))
      violated("the node went away");
    took.push_back(std::chrono::duration<double, std::milli>(clock_type::now() - begun).count());
  }
  const auto at = took.begin() + static_cast<std::ptrdiff_t>(took.size() * 99 / 100);
  std::nth_element(took.begin(), at, took.end());
  return *at;
}

double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of[of.size() / 2];
}

/// Subscribers that never read: alone, beside them, and again, so that both see the same machine.
void time_beside_deaf(served_node& node) {
  std::vector<double> alone, beside;
  for (int round = 0; round < 5; ++round) {
    alone.push_back(p99_of_writes(node, 2s));
    std::vector<plain_socket> deaf;
    for (int i = 0; i < 20; ++i) {
      deaf.emplace_back(node.port(), 20s, 4'096);
      deaf.back().send("GET /v1/events?after=s0-1-0 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    beside.push_back(p99_of_writes(node, 2s));
  }
  std::printf("{\"writer_p99_ms\":%.3f,\"beside_20_that_never_read_p99_ms\":%.3f}\n", median(alone),
              median(beside));
  if (median(beside) > 2 * median(alone))
    violated("subscribers that never read slow a writer down");
}

}  // namespace

int main(int argc, char** argv) {
  std::string binary;
  bool timing = true;
  std::uint64_t subscribers = 200, reconnects = 100, restarts = 10, seed = std::random_device{}();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return std::strtoull(argv[++i], nullptr, 10); };
    if (word == "--subscribers" && i + 1 < argc)
      subscribers = number();
    else if (word == "--reconnects" && i + 1 < argc)
      reconnects = number();
    else if (word == "--restarts" && i + 1 < argc)
      restarts = number();
    else if (word == "--seed" && i + 1 < argc)
      seed = number();
    else if (word == "--no-timing")
      timing = false;
    else
      binary = word;
  }
  if (binary.empty() || subscribers == 0) {
    std::fprintf(stderr,
                 "usage: sse_soak TROUPE [--subscribers N] [--reconnects M] [--restarts R] "
                 "[--seed S] [--no-timing]\n");
    return 2;
  }
  std::printf("sse_soak: seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  std::mt19937_64 random{seed};
  const testing::temp_directory directory;
  served_node node{binary, directory.store().string()};
  create_sessions(node);

  course all;
  all.port = node.port();
  std::vector<std::jthread> threads;
  for (std::uint64_t i = 0; i < subscribers; ++i)
    threads.emplace_back([&all, i, reconnects, s = random()] {
      subscriber{all, i, reconnects, s}.run();
    });
  std::atomic<bool> stop = false;
  std::jthread writer{[&] {
    auto client = node.client();
    for (std::uint64_t n = 0; !stop; ++n)
      if (!write(client, n, n))
        std::this_thread::sleep_for(5ms);
      else if (n % 4 == 0)
        std::this_thread::sleep_for(1ms);
  }};
  const auto enough = subscribers * reconnects;
  for (std::uint64_t made = 0; made < restarts; ++made) {
    while (all.reconnects < enough * (made + 1) / (restarts + 1))
      std::this_thread::sleep_for(5ms);
    node.stop(made % 2 == 0 ? SIGKILL : SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds{random() % 100});
    node.start();
  }
  while (all.ready < subscribers)
    std::this_thread::sleep_for(5ms);
  stop = true;
  writer.join();
  {
    auto client = node.client();
    for (std::size_t s = 0; s < sessions; ++s)
      all.newest[s] = revision_of(client, s);
  }
  all.written = true;
  const auto deadline = clock_type::now() + 60s;
  std::jthread watchdog{[&](const std::stop_token& over) {
    while (!over.stop_requested()) {
      if (clock_type::now() > deadline)
        violated("a subscriber was not told the last change within a minute");
      std::this_thread::sleep_for(50ms);
    }
  }};
  threads.clear();
  watchdog.request_stop();
  watchdog.join();

  const auto number = [](std::uint64_t x) { return static_cast<unsigned long long>(x); };
  std::printf("{\"subscribers\":%llu,\"reconnects\":%llu,\"restarts\":%llu,\"told\":%llu}\n",
              number(subscribers), number(all.reconnects.load()), number(restarts),
              number(all.told.load()));
  std::fflush(stdout);
  if (timing)
    time_beside_deaf(node);
  if (const auto code = node.stop(); code != 0)
    violated("SIGTERM ended the node with " + std::to_string(code));
}
