#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// What `troupe simulate` was asked for. Words as they were typed; `simulate` says what is wrong
/// with them.
namespace troupe::simulate {

struct run_options {
  std::string profile = "chat";  ///< a built-in one, or a TOML file
  std::string target = "embedded";
  std::string data;  ///< empty: a temporary directory, removed afterwards
  std::string token;
  double duration_s = 30;
  double warm_up_s = 2;
  double speed = 1;
  std::uint64_t seed = 1;
  std::size_t in_flight = 0;
  std::optional<std::uint64_t> sessions;  ///< instead of the profile's
  std::string durability;                 ///< likewise
  std::size_t max_live = 100'000;
  double idle_s = 600;
  std::vector<std::string> faults;
  bool check = true;
  bool find_knee = false;
  double p99_ms = 20;
  std::string html = "troupe-simulate.html";
  std::string json;
  std::string intents;
};

struct learn_options {
  std::filesystem::path file;
  std::string name = "learned";
};

struct compare_options {
  std::string profile = "chat";
  std::vector<std::string> peers{"redis", "sqlite", "postgres", "erlang"};
  std::filesystem::path out = "docs/benchmarks";
  std::string data;
  double seconds = 4;
  std::size_t rounds = 3;
  double within_s = 14 * 60;  ///< then: no further round is begun that would end later
  std::uint64_t seed = 1;
};

struct profiles_options {
  std::string show;  ///< the file of this one; empty: the list
};

struct report_options {
  std::vector<std::string> files;  ///< JSON of runs
  std::string html = "troupe-simulate.html";
};

struct simulate_options {
  std::variant<run_options, learn_options, compare_options, profiles_options, report_options> what;
};

/// `troupe simulate`. Answers the exit status: 1 when an invariant is violated. On the main thread.
int simulate(const simulate_options& options);

}  // namespace troupe::simulate
