#include "simulate/compare.hpp"

#include "simulate/comparison_page.hpp"
#include "simulate/run.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/store_directory.hpp"
#include "troupe/text.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <utility>

namespace troupe::simulate {

namespace {

constexpr std::size_t many = 64;        // intents on their way at once
constexpr double steady_per_s = 1'000;  // due, where latencies are told

struct candidate {
  std::string target;
  durability level;
};

/// Those that are compared: each class of durability has Troupe and the peers that have it.
std::vector<candidate> candidates(const std::vector<std::string>& peers) {
  std::vector<candidate> out{{"embedded", durability::durable}, {"node", durability::durable}};
  const auto wanted = [&](const char* name) { return std::ranges::count(peers, name) > 0; };
  for (const auto* name : {"redis", "sqlite", "postgres"})
    if (wanted(name))
      out.push_back({name, durability::durable});
  out.push_back({"embedded", durability::relaxed});
  for (const auto* name : {"redis", "sqlite", "postgres"})
    if (wanted(name))
      out.push_back({name, durability::relaxed});
  out.push_back({"embedded", durability::memory});
  out.push_back({"maps", durability::memory});
  if (wanted("erlang"))
    out.push_back({"erlang", durability::memory});
  out.push_back({"nothing", durability::memory});
  return out;
}

/// One system once: filled, then with many in flight, with one, and at a steady rate.
class measurement {
public:
  measurement(const workload& what, const compare_options& options, const candidate& who,
              const std::filesystem::path& data)
      : what_{what},
        options_{options} {
    what_.level = who.level;
    if (who.level == durability::memory)
      what_.forks = 0;  // a fork is made of what is committed
    run_.target = who.target;
    run_.in_flight = many;
    run_.seed = options.seed;
    data_ = data;
  }

  expected<measured> make() {
    auto on = open_target(what_, run_, data_);
    if (!on)
      return unexpected{on.error()};
    auto& to = (*on)->to();
    measured out;
    out.settings = to.settings();
    generator wants{what_, options_.seed};
    record books{what_};
    const auto filled = fill(to, books, wants, false);
    if (!filled)
      return unexpected{filled.error()};
    const auto busy = load(to, books, wants, 0, many);
    out.per_s = busy.per_second();
    out.busy_p99_us = static_cast<double>(busy.latency.at(0.99)) / 1e3;
    const auto alone = load(to, books, wants, 0, 1);
    out.alone_per_s = alone.per_second();
    const auto steady = load(to, books, wants, steady_speed(wants), many);
    out.p50_us = static_cast<double>(steady.latency.at(0.5)) / 1e3;
    out.p99_us = static_cast<double>(steady.latency.at(0.99)) / 1e3;
    const auto failed = busy.failed + alone.failed + steady.failed;
    if (failed > 0)
      return fail(errc::internal, std::to_string(failed) + " intents failed: "
                                      + (busy.errors.empty() ? "" : busy.errors.front()));
    const auto now = to.state();
    if (run_.target == "node" || run_.target == "redis" || run_.target == "postgres"
        || run_.target == "erlang")
      out.memory_bytes = now.memory_bytes;  // a process of its own: else it is the generator's, too
    out.store_bytes = now.store_bytes;
    if (run_.target != "nothing") {
      const auto checked = check_all(to, books, nullptr);
      if (checked.violations > 0)
        return fail(errc::internal,
                    "what came back is not what was acknowledged: " + checked.first.front());
    }
    return out;
  }

private:
  /// The speed at which about `steady_per_s` are due, by looking at what the next seconds hold.
  [[nodiscard]] double steady_speed(const generator& wants) const {
    auto ahead = wants;
    const auto first = ahead.next().at_us;
    std::uint64_t count = 0, last = first;
    while (count < 5'000) {
      last = ahead.next().at_us;
      ++count;
    }
    const auto natural = static_cast<double>(count) / (static_cast<double>(last - first) / 1e6);
    return steady_per_s / natural;
  }

  load_result load(driver& to, record& books, generator& wants, double speed,
                   std::size_t in_flight) {
    const auto warm = options_.seconds / 4;
    const auto ns = [](double s) {
      return std::chrono::nanoseconds{static_cast<std::int64_t>(s * 1e9)};
    };
    return run_load(
        to, books, [&]() -> std::optional<intent> { return wants.next(); },
        {.duration = ns(options_.seconds + warm),
         .warm_up = ns(warm),
         .speed = speed,
         .in_flight = in_flight,
         .sample_every = std::chrono::milliseconds{500}},
        [](const sample&) { return !cli::interrupt_scope::requested(); });
  }

  workload what_;
  const compare_options& options_;
  run_options run_;
  std::filesystem::path data_;
};

int complain(const std::string& what, int status) {
  std::fprintf(stderr, "error: %s\n", cli::escape_controls(what).c_str());
  return status;
}

/// All rounds that there is time for, in turns, so that what changes on the machine meanwhile meets
/// everybody.
expected<std::vector<compared>> measure_all(const workload& what, const compare_options& options) {
  std::vector<compared> out;
  for (const auto& who : candidates(options.peers))
    out.push_back({.target = who.target, .level = who.level});
  const auto begun = clock::now();
  double longest_s = 0;
  for (std::size_t round = 0; round < options.rounds; ++round) {
    const auto since_begun = [&] {
      return std::chrono::duration<double>(clock::now() - begun).count();
    };
    const auto at_s = since_begun();
    if (at_s + longest_s > options.within_s) {
      std::fprintf(stderr, "another round would not end within %.0f s: %zu of %zu were made\n",
                   options.within_s, round, options.rounds);
      break;
    }
    for (auto& one : out) {
      if (cli::interrupt_scope::requested())
        return fail(errc::busy, "interrupted; nothing was written");
      if (!one.not_run.empty())
        continue;
      const cli::temporary_directory scratch;
      const auto data = options.data.empty() ? scratch.path() / "data"
                                             : std::filesystem::path{options.data} / "compare";
      std::filesystem::remove_all(data);
      std::filesystem::create_directories(data);
      if (options.data.empty())
        std::filesystem::permissions(scratch.path(), std::filesystem::perms{0711});
      std::fprintf(stderr, "round %zu of %zu: %s, %s\n", round + 1, options.rounds,
                   one.target.c_str(), level_name(one.level));
      auto made = measurement{what, options, {one.target, one.level}, data}.make();
      if (made)
        one.rounds.push_back(*std::move(made));
      else
        one.not_run = made.error().message;
      std::filesystem::remove_all(data);
    }
    longest_s = std::max(longest_s, since_begun() - at_s);
  }
  return out;
}

}  // namespace

int compare(const compare_options& options) {
  const auto what = choose_workload(options.profile);
  if (!what)
    return complain(what.error().message, cli::exit_status::usage);
  for (const auto& name : options.peers)
    if (name != "redis" && name != "sqlite" && name != "postgres" && name != "erlang"
        && name != "maps")
      return complain("there is no peer '" + name + "': redis, sqlite, postgres, erlang",
                      cli::exit_status::usage);
  const cli::interrupt_scope ctrl_c;
  const auto all = measure_all(*what, options);
  if (!all)
    return complain(all.error().message, cli::exit_status::interrupted);
  std::size_t rounds = 0;
  for (const auto& one : *all)
    rounds = std::max(rounds, one.rounds.size());
  const comparison_page page{.profile = what->name,
                             .sessions = what->sessions,
                             .seconds = options.seconds,
                             .rounds = rounds,
                             .in_flight = many,
                             .steady_per_s = steady_per_s,
                             .machine = machine_facts(),
                             .all = *all};
  std::error_code ec;
  std::filesystem::create_directories(options.out, ec);
  std::ofstream text{options.out / "README.md", std::ios::binary | std::ios::trunc};
  text << render_page(page);
  std::ofstream json{options.out / "results.json", std::ios::binary | std::ios::trunc};
  json << render_comparison_json(page) << '\n';
  if (!text.flush() || !json.flush())
    return complain("cannot write to " + options.out.string(), cli::exit_status::io_failure);
  std::fputs(render_table(page).c_str(), stdout);
  std::printf("written: %s and results.json beside it\n", (options.out / "README.md").c_str());
  const bool complete =
      std::ranges::all_of(*all, [](const compared& x) { return x.not_run.empty(); });
  return complete ? cli::exit_status::ok : cli::exit_status::failed;
}

}  // namespace troupe::simulate
