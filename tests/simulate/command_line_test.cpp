#include "troupe/exit_status.hpp"
#include "troupe/number_range.hpp"
#include "troupe/options.hpp"
#include <doctest/doctest.h>

#include <chrono>
#include <iterator>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::simulate;

namespace {

std::variant<cli::command_line, cli::no_command> read(std::vector<const char*> words) {
  words.insert(words.begin(), {"troupe", "simulate"});
  return cli::read_command_line(static_cast<int>(words.size()), words.data());
}

template <class Options>
Options options_of(std::vector<const char*> words) {
  const auto line = read(std::move(words));
  REQUIRE(std::holds_alternative<cli::command_line>(line));
  const auto* what = std::get_if<simulate_options>(&std::get<cli::command_line>(line).what);
  REQUIRE(what != nullptr);
  REQUIRE(std::holds_alternative<Options>(what->what));
  return std::get<Options>(what->what);
}

std::string refusal(std::vector<const char*> words) {
  const auto line = read(std::move(words));
  REQUIRE(std::holds_alternative<cli::no_command>(line));
  CHECK(std::get<cli::no_command>(line).status == cli::exit_status::usage);
  return std::get<cli::no_command>(line).text;
}

}  // namespace

TEST_CASE("simulate runs the chat profile for half a minute unless it is told otherwise") {
  const auto plain = options_of<run_options>({});
  CHECK(plain.profile == "chat");
  CHECK(plain.target == "embedded");
  CHECK(plain.duration_s == 30);
  CHECK(plain.speed == 1);
  CHECK(plain.check);
  CHECK_FALSE(plain.find_knee);
  CHECK_FALSE(plain.sessions);
  CHECK(plain.faults.empty());
  const auto full = options_of<run_options>(
      {"--profile",    "million-idle", "--duration", "1h",        "--speed",
       "60",           "--fault",      "kill=50",    "--fault",   "pause@3s",
       "--target",     "node",         "--sessions", "7",         "--no-check",
       "--find-knee",  "--p99",        "5",          "--warm-up", "250ms",
       "--durability", "relaxed",      "--json",     "-"});
  CHECK(full.duration_s == 3'600);
  CHECK(full.speed == 60);
  CHECK(full.warm_up_s == 0.25);
  CHECK(full.faults == std::vector<std::string>{"kill=50", "pause@3s"});
  CHECK(full.sessions == 7);
  CHECK_FALSE(full.check);
  CHECK(full.find_knee);
  CHECK(full.p99_ms == 5);
  CHECK(full.durability == "relaxed");
  CHECK(full.json == "-");
}

TEST_CASE("simulate's other commands take their files and peers") {
  CHECK(options_of<learn_options>({"learn", "f.jsonl"}).file == "f.jsonl");
  CHECK(options_of<profiles_options>({"profiles"}).show.empty());
  CHECK(options_of<profiles_options>({"profiles", "chat"}).show == "chat");
  const auto compare = options_of<compare_options>({"compare", "--peers", "redis,sqlite"});
  CHECK(compare.peers == std::vector<std::string>{"redis", "sqlite"});
  CHECK(compare.out == "docs/benchmarks");
  CHECK(options_of<compare_options>({"compare"}).peers.size() == 4);
  CHECK(options_of<report_options>({"report", "a", "b"}).files.size() == 2);
}

TEST_CASE("simulate refuses words that mean nothing") {
  CHECK(refusal({"--duration", "soon"}).find("a duration is wanted") != std::string::npos);
  CHECK(refusal({"--durability", "safe"}).find("durability") != std::string::npos);
  CHECK(refusal({"--speed", "-1"}).find("speed") != std::string::npos);
  CHECK(refusal({"learn"}).find("FILE") != std::string::npos);
  CHECK(refusal({"reprot"}).find("reprot") != std::string::npos);
}

TEST_CASE("a duration is a number of seconds or has its unit and is the same everywhere") {
  using cli::parse_seconds;
  CHECK(parse_seconds("90") == 90);
  CHECK(parse_seconds("1.5s") == 1.5);
  CHECK(parse_seconds("250ms") == 0.25);
  CHECK(parse_seconds("2m") == 120);
  CHECK(parse_seconds("1h") == 3'600);
  CHECK(parse_seconds("2d") == 172'800);
  for (const auto* none : {"", "s", "1x", "-1s", "1 s", "nan", "1sm"})
    CHECK_FALSE_MESSAGE(parse_seconds(none).has_value(), none);
  CHECK(options_of<run_options>({"--duration", "5"}).duration_s == 5);
  const auto words = {"troupe", "serve", "--data=x", "--idle=10m", "--drain-notice=2m"};
  const auto line = cli::read_command_line(5, std::data(words));
  REQUIRE(std::holds_alternative<cli::command_line>(line));
  const auto node = std::get<serve_options>(std::get<cli::command_line>(line).what);
  CHECK(node.idle == std::chrono::minutes{10});
  CHECK(node.drain_notice == std::chrono::minutes{2});
}
