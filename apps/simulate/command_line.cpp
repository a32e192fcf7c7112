#include "simulate/command_line.hpp"

#include "troupe/number_range.hpp"
#include <CLI/CLI.hpp>

#include <sstream>
#include <utility>

namespace troupe::simulate {

namespace {

using cli::parse_seconds;

std::string check_seconds(const std::string& text) {
  return parse_seconds(text)
             ? std::string{}
             : "a duration is wanted: 500ms, 30s, 2m, 1h, 1d or a number of seconds";
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in{text};
  for (std::string one; std::getline(in, one, ',');)
    if (!one.empty())
      out.push_back(one);
  return out;
}

constexpr const char* run_examples =
    "  troupe simulate --profile chat --duration 30s\n"
    "  troupe simulate --profile coding-agent --find-knee --p99 10\n"
    "  troupe simulate --profile chat --target node --fault kill=50 --duration 5m\n"
    "  troupe simulate --profile million-idle --duration 1h --speed 60 --idle 10s\n"
    "  troupe simulate learn calls.jsonl > mine.toml && troupe simulate --profile mine.toml\n"
    "  troupe simulate compare --peers redis,sqlite,postgres\n";

}  // namespace

void command_line::add_run(CLI::App* sub) {
  sub->add_option("--profile", run_.profile,
                  "Who wants what: a built-in workload (`troupe simulate profiles`) or a TOML file")
      ->type_name("NAME|FILE")
      ->capture_default_str();
  sub->add_option("--target", run_.target,
                  "embedded: a runtime in this process; node: a node that is started for it, over "
                  "HTTP; http://HOST:PORT: a node that runs;\nor a peer: maps, sqlite, redis, "
                  "postgres, erlang, nothing")
      ->type_name("TARGET")
      ->capture_default_str();
  sub->add_option("--data", run_.data,
                  "Directory of the store; default: a temporary one, removed afterwards")
      ->type_name("DIR");
  sub->add_option("--token", run_.token, "Access token for a node that runs")->type_name("TOKEN");
  sub->add_option("--duration", duration_, "How long the population is watched, in its own time")
      ->type_name("TIME")
      ->check(check_seconds)
      ->capture_default_str();
  sub->add_option("--warm-up", warm_up_, "At the beginning, not in the figures; real time")
      ->type_name("TIME")
      ->check(check_seconds)
      ->capture_default_str();
  sub->add_option("--speed", run_.speed,
                  "So many seconds of the population in one: 60 makes an hour a minute. 0: as fast "
                  "as the target answers")
      ->type_name("FACTOR")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  sub->add_option("--seed", run_.seed, "The same seed gives the same intents")
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--in-flight", run_.in_flight,
                  "Intents on their way at once, or connections; 0: what suits the target")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{0}, std::size_t{100'000}));
  sub->add_option("--sessions", sessions_, "Sessions that are there, instead of the profile's")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}));
  sub->add_option("--durability", run_.durability, "Instead of the profile's")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"memory", "relaxed", "durable"}));
  sub->add_option("--max-live", run_.max_live, "Entities in memory; beyond: some hibernate")
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--idle", idle_, "Unused so long, an entity hibernates; real time")
      ->type_name("TIME")
      ->check(check_seconds)
      ->capture_default_str();
  sub->add_option(
         "--fault", run_.faults,
         "KIND=COUNT, spread over the run by the seed, or KIND@TIME. kill, pause, "
         "full-disk (of a node); clock, crash, fail-commit, slow-commits, slow-subscribers "
         "(embedded)")
      ->type_name("FAULT")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  sub->add_flag("--no-check", no_check_, "Do not read everything back and check it afterwards");
  sub->add_flag("--find-knee", run_.find_knee,
                "Raise the rate until the 99th percentile is above --p99, and tell the highest "
                "that was not");
  sub->add_option("--p99", run_.p99_ms, "What the 99th percentile may be, in milliseconds")
      ->type_name("MS")
      ->check(CLI::Range(0.01, 1e6))
      ->capture_default_str();
  sub->add_option("--html", run_.html, "The report, one file; 'none': no report")
      ->type_name("FILE")
      ->capture_default_str();
  sub->add_option("--json", run_.json, "The result for programs; '-': standard output")
      ->type_name("FILE");
  sub->add_option("--intents", run_.intents, "Write every intent as a line of text")
      ->type_name("FILE");
}

void command_line::add_to(const add_function& add,
                          const std::function<std::string(const char*)>& footer) {
  auto* sub = add(
      "simulate",
      "Load that is like users: a population of sessions, on this runtime, a node or "
      "another system; measures, breaks\nthings on request, checks everything "
      "afterwards and writes a report with plots",
      [this] {
        run_.duration_s = *parse_seconds(duration_);
        run_.warm_up_s = *parse_seconds(warm_up_);
        run_.idle_s = *parse_seconds(idle_);
        run_.check = !no_check_;
        if (sessions_ > 0)
          run_.sessions = sessions_;
        return std::holds_alternative<run_options>(chosen_.what) ? simulate_options{run_} : chosen_;
      });
  add_run(sub);
  sub->require_subcommand(0, 1);
  sub->footer(footer(run_examples));

  auto* learn = sub->add_subcommand(
      "learn",
      "Make a workload of recorded conversations (JSON lines as of `troupe replay`): their "
      "turns, sizes and tools.\nPrints TOML");
  learn->add_option("FILE", file_, "JSON lines {\"id\", \"messages\": [...]}")
      ->required()
      ->type_name(" ");
  learn->add_option("--name", learn_.name, "What it is to be called")->type_name("NAME");
  learn->parse_complete_callback([this] {
    learn_.file = file_;
    chosen_ = {learn_};
  });

  auto* compare = sub->add_subcommand(
      "compare",
      "The same workload on this runtime and on peers, in one go: rates, latencies, "
      "memory and disk, as medians of\nrounds. Writes README.md and results.json");
  compare->add_option("--peers", peers_, "redis, sqlite, postgres, erlang, maps; by commas")
      ->type_name("NAMES")
      ->default_str("redis,sqlite,postgres,erlang");
  compare->add_option("--profile", compare_.profile, "As above")
      ->type_name("NAME|FILE")
      ->capture_default_str();
  compare->add_option("--out", out_, "Where the page and the figures go")
      ->type_name("DIR")
      ->default_str("docs/benchmarks");
  compare->add_option("--data", compare_.data, "A directory on the disk to be measured")
      ->type_name("DIR");
  compare->add_option("--seconds", compare_.seconds, "Of each measurement")
      ->type_name("N")
      ->check(CLI::Range(0.5, 600.0))
      ->capture_default_str();
  compare->add_option("--rounds", compare_.rounds, "Of each measurement, in turns")
      ->type_name("N")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  compare
      ->add_option("--within", within_,
                   "Begin no further round that would end later; the first is made in any case")
      ->type_name("TIME")
      ->check(check_seconds)
      ->capture_default_str();
  compare->parse_complete_callback([this] {
    compare_.within_s = *parse_seconds(within_);
    if (!peers_.empty())
      compare_.peers = split(peers_);
    if (!out_.empty())
      compare_.out = out_;
    chosen_ = {compare_};
  });

  auto* profiles = sub->add_subcommand("profiles", "The built-in workloads");
  profiles->add_option("NAME", profiles_.show, "Print the file of this one")->type_name(" ");
  profiles->parse_complete_callback([this] { chosen_ = {profiles_}; });

  auto* report =
      sub->add_subcommand("report", "One report of several runs side by side, of their JSON");
  report->add_option("FILES", report_.files, "What --json wrote")->required()->type_name(" ");
  report->add_option("--html", report_.html, "The report")
      ->type_name("FILE")
      ->capture_default_str();
  report->parse_complete_callback([this] { chosen_ = {report_}; });
}

}  // namespace troupe::simulate
