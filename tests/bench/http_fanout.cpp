// http_fanout TROUPE [--subscribers N] [--rate R] [--seconds S]
//
// What it costs a node to tell N subscribers of `GET /v1/events` R changes a second: CPU of the
// node as a share of one core, with the commits that cause the changes, and how long a change takes
// to the last subscriber. One JSON object. Every subscriber must be told every change.

#include "support/served_node.hpp"
#include "support/temp_directory.hpp"
#include <fcntl.h>
#include <sys/epoll.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;
using namespace std::chrono_literals;
using testing::plain_socket;
using testing::served_node;
using clock_type = std::chrono::steady_clock;

namespace {

/// Seconds of CPU that a process has used.
double cpu_of(pid_t pid) {
  std::ifstream in{"/proc/" + std::to_string(pid) + "/stat"};
  std::string line;
  std::getline(in, line);
  std::istringstream words{line.substr(line.rfind(')') + 2)};
  std::string skip;
  for (int i = 0; i < 11; ++i)
    words >> skip;
  double user = 0, system = 0;
  words >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// Reads all streams on one thread and counts the events of each.
class audience {
public:
  explicit audience(std::size_t size) : told_(size) {}

  void join(served_node& node) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t i = 0; i < told_.size(); ++i) {
      sockets_.emplace_back(node.port());
      auto& one = sockets_.back();
      one.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
      if (one.until("retry: 1000\n\n").empty())
        std::exit(2);
      ::fcntl(one.descriptor(), F_SETFL, O_NONBLOCK);
      epoll_event what{.events = EPOLLIN, .data = {.u64 = i}};
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, one.descriptor(), &what);
    }
    reader_ = std::jthread{[this](const std::stop_token& over) { read(over); }};
  }

  [[nodiscard]] std::uint64_t least() const {
    std::uint64_t out = ~std::uint64_t{0};
    for (const auto& one : told_)
      out = std::min(out, one.load());
    return out;
  }

private:
  void read(const std::stop_token& over) {
    std::array<epoll_event, 256> ready{};
    std::array<char, 65'536> part{};
    while (!over.stop_requested()) {
      const int n = ::epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), 50);
      for (int i = 0; i < n; ++i) {
        const auto which = ready[static_cast<std::size_t>(i)].data.u64;
        const auto size = ::recv(sockets_[which].descriptor(), part.data(), part.size(), 0);
        if (size <= 0)
          continue;
        const std::string_view text{part.data(), static_cast<std::size_t>(size)};
        std::uint64_t events = 0;  // "data: " is never cut in two by a node that writes whole parts
        for (auto at = text.find("data: "); at != text.npos; at = text.find("data: ", at + 1))
          ++events;
        told_[which] += events;
      }
    }
  }

  std::vector<std::atomic<std::uint64_t>> told_;
  std::vector<plain_socket> sockets_;
  int epoll_ = -1;
  std::jthread reader_;
};

}  // namespace

int main(int argc, char** argv) {
  std::string binary;
  std::size_t subscribers = 1'000, rate = 20, seconds = 10;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return std::strtoul(argv[++i], nullptr, 10); };
    if (word == "--subscribers" && i + 1 < argc)
      subscribers = number();
    else if (word == "--rate" && i + 1 < argc)
      rate = number();
    else if (word == "--seconds" && i + 1 < argc)
      seconds = number();
    else
      binary = word;
  }
  if (binary.empty() || rate == 0) {
    std::fprintf(stderr, "usage: http_fanout TROUPE [--subscribers N] [--rate R] [--seconds S]\n");
    return 2;
  }
  const testing::temp_directory directory;
  served_node node{binary, directory.store().string()};
  auto client = node.client();
  const auto put = [&](const std::string& path, std::string body) {
    const auto got = client.send({.method = "PUT",
                                  .target = path,
                                  .headers = {{"Content-Type", "application/json"}},
                                  .body = std::move(body)});
    if (!got || got->status >= 300)
      std::exit(2);
  };
  put("/v1/sessions/s", "{}");
  audience all{subscribers};
  all.join(node);

  const auto count = rate * seconds;
  std::vector<double> took;
  const auto before = cpu_of(node.pid());
  const auto begun = clock_type::now();
  for (std::size_t n = 1; n <= count; ++n) {
    const auto due = begun + n * 1'000'000us / rate;
    std::this_thread::sleep_until(due);
    const auto sent = clock_type::now();
    put("/v1/sessions/s/state/k", std::to_string(n));
    while (all.least() < n) {
      if (clock_type::now() > sent + 5s) {
        std::fprintf(stderr, "a subscriber was not told change %zu\n", n);
        return 1;
      }
      std::this_thread::sleep_for(200us);
    }
    took.push_back(std::chrono::duration<double, std::milli>(clock_type::now() - sent).count());
  }
  const auto wall = std::chrono::duration<double>(clock_type::now() - begun).count();
  const auto cpu = cpu_of(node.pid()) - before;
  std::ranges::sort(took);
  std::printf(
      "{\"name\":\"http_fanout\",\"subscribers\":%zu,\"events_per_s\":%.1f,\"core_share\":%.3f,"
      "\"to_the_last_p50_ms\":%.2f,\"to_the_last_p99_ms\":%.2f,\"wanted\":0.4}\n",
      subscribers, static_cast<double>(count) / wall, cpu / wall, took[took.size() / 2],
      took[took.size() * 99 / 100]);
}
