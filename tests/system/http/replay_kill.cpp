// replay_kill TROUPE FILE [--kills N] [--seed S]
//
// `troupe replay --url` of recorded conversations while their node is killed with SIGKILL and
// started again on its port. In turn the replay waits for the node (--reconnect) and sends again
// what was not answered, or is killed with it, once a part is written, and begun anew (--resume).
// Both end with every item there once, in its place and equal: replay compares itself, and once
// more with --verify-only. Prints the seed, and one JSON object.

#include "support/served_node.hpp"
#include "support/temp_directory.hpp"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace troupe;
using namespace std::chrono_literals;
using testing::child_process;
using testing::served_node;

namespace {

[[noreturn]] void violated(const std::string& what) {
  std::fprintf(stderr, "VIOLATION: %s\n", what.c_str());
  std::exit(1);
}

class campaign {
public:
  campaign(std::string binary, std::string file, std::uint64_t seed)
      : binary_{std::move(binary)},
        file_{std::move(file)},
        random_{seed} {}

  void run(std::uint64_t kills) {
    for (std::uint64_t round = 0; kills_ < kills; ++round) {
      prefix_ = "r" + std::to_string(round) + "-";
      if (round % 2 == 0)
        wait_through(1 + random_() % 3);
      else
        begin_anew();
      check(child_process{words({"--verify-only"})}, "a comparison");
    }
    std::printf("{\"kills\":%llu,\"replays\":%llu,\"begun_anew\":%llu,\"mismatches\":0}\n",
                static_cast<unsigned long long>(kills_), static_cast<unsigned long long>(replays_),
                static_cast<unsigned long long>(begun_anew_));
    if (node_.stop() != 0)
      violated("SIGTERM did not end the node well");
  }

private:
  [[nodiscard]] std::vector<std::string> words(std::vector<std::string> more) const {
    std::vector<std::string> out{binary_, "replay",
                                 file_,   "--prefix",
                                 prefix_, "--parallel",
                                 "4",     "--json",
                                 "--url", "http://127.0.0.1:" + std::to_string(node_.port())};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }

  void check(child_process process, const char* what) {
    std::string said;
    while (const auto line = process.read_line())
      said += *line + '\n';
    const auto code = process.wait();
    if (code != 0 || said.find("\"mismatches\":0") == std::string::npos)
      violated(std::string{what} + " ended with " + std::to_string(code) + ": " + said);
    ++replays_;
  }

  void kill_node() {
    node_.stop(SIGKILL);
    ++kills_;
    std::this_thread::sleep_for(std::chrono::milliseconds{random_() % 50});
    node_.start();
  }

  void wait_through(std::uint64_t kills) {
    child_process replay{words({"--reconnect", "60"})};
    for (; kills > 0; --kills) {
      std::this_thread::sleep_for(std::chrono::microseconds{random_() % 60'000});
      kill_node();
    }
    check(std::move(replay), "a replay through kills");
  }

  /// Whether the replay under way has made one: from then on a kill leaves a part of it.
  [[nodiscard]] bool has_session() const {
    const auto answer =
        node_.client().send({.method = "GET", .target = "/v1/sessions?limit=1&prefix=" + prefix_});
    return answer && answer->body.find("\"id\"") != std::string::npos;
  }

  void begin_anew() {
    {
      child_process replay{words({})};
      while (!has_session())
        std::this_thread::sleep_for(1ms);
      std::this_thread::sleep_for(std::chrono::microseconds{random_() % 300'000});
      kill_node();
      begun_anew_ += replay.kill(SIGKILL) != 0;
    }
    check(child_process{words({"--resume"})}, "a replay that was begun anew");
  }

  std::string binary_, file_, prefix_;
  std::mt19937_64 random_;
  testing::temp_directory directory_;
  served_node node_{binary_, directory_.store().string()};
  std::uint64_t kills_ = 0, replays_ = 0, begun_anew_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> names;
  std::uint64_t kills = 50, seed = std::random_device{}();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--kills" && i + 1 < argc)
      kills = std::strtoull(argv[++i], nullptr, 10);
    else if (word == "--seed" && i + 1 < argc)
      seed = std::strtoull(argv[++i], nullptr, 10);
    else
      names.push_back(word);
  }
  if (names.size() != 2) {
    std::fprintf(stderr, "usage: replay_kill TROUPE FILE [--kills N] [--seed S]\n");
    return 2;
  }
  std::printf("replay_kill: %llu kills, seed %llu\n", static_cast<unsigned long long>(kills),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  campaign{names[0], names[1], seed}.run(kills);
}
