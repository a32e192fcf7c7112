#include "simulate/comparison_page.hpp"

#include "simulate/json_writer.hpp"
#include "troupe/table.hpp"
#include "troupe/text.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>

namespace troupe::simulate {

namespace {

using figure = double (*)(const measured&);

double per_s_of(const measured& m) {
  return m.per_s;
}
double alone_of(const measured& m) {
  return m.alone_per_s;
}
double p50_of(const measured& m) {
  return m.p50_us;
}
double p99_of(const measured& m) {
  return m.p99_us;
}
double memory_of(const measured& m) {
  return m.memory_bytes.value_or(0);
}
double disk_of(const measured& m) {
  return m.store_bytes.value_or(0);
}

struct spread {
  double median = 0, low = 0, high = 0;
};

spread spread_of(const compared& who, figure of) {
  std::vector<double> all;
  for (const auto& one : who.rounds)
    all.push_back(of(one));
  if (all.empty())
    return {};
  std::ranges::sort(all);
  const auto half = all.size() / 2;
  return {all.size() % 2 == 1 ? all[half] : (all[half - 1] + all[half]) / 2, all.front(),
          all.back()};
}

std::string us_text(double us) {
  return cli::human_duration(std::chrono::nanoseconds{static_cast<std::int64_t>(us * 1e3)});
}
std::string bytes_text(double x) {
  return x > 0 ? cli::human_bytes(static_cast<std::uint64_t>(x)) : "–";
}

/// "12,300 (11,900 to 12,500)".
std::string with_spread(const spread& s, const std::function<std::string(double)>& show) {
  return show(s.median) + " (" + show(s.low) + " to " + show(s.high) + ')';
}

std::string title_of(const compared& who) {
  if (who.target == "embedded")
    return "Troupe, embedded";
  if (who.target == "node")
    return "Troupe, over HTTP";
  if (who.target == "redis")
    return "Redis";
  if (who.target == "sqlite")
    return "SQLite";
  if (who.target == "postgres")
    return "PostgreSQL";
  if (who.target == "erlang")
    return "Erlang/OTP";
  return who.target == "maps" ? "C++ maps" : "the harness alone";
}

struct column {
  const char* title;
  figure of;
  bool more_is_better;
  std::string (*show)(double);
};

const std::array columns{
    column{"intents/s, many in flight", per_s_of, true, cli::human_rate},
    column{"intents/s, one in flight", alone_of, true, cli::human_rate},
    column{"p50 at a steady rate", p50_of, false, us_text},
    column{"p99 at a steady rate", p99_of, false, us_text},
    column{"memory", memory_of, false, bytes_text},
    column{"on disk", disk_of, false, bytes_text},
};

/// Whether others worked on the machine, too: more was runnable than three for each core.
bool was_busy(const facts& machine) {
  double load = 0, cores = 1;
  for (const auto& [key, text] : machine) {
    if (key == "load average")
      load = std::strtod(text.c_str(), nullptr);
    if (key == "cores")
      cores = std::strtod(text.c_str(), nullptr);
  }
  return load > 3 * cores;
}

/// Why a peer does better in a column, as far as that is known.
std::string reason(const std::string& peer, figure of) {
  if (peer == "maps")
    return "it keeps no journal, no versions and no events, answers on the calling thread, and "
           "loses everything with the process";
  if (peer == "erlang")
    return "a process for each session that holds its state as a term, without journal, versions "
           "and events, and loses everything with the node";
  if (of == memory_of)
    return "it keeps no live objects and no earlier revisions, where an entity that is awake in "
           "Troupe holds its actor and the revisions that are kept for it";
  if (of == disk_of)
    return "Troupe keeps the journal of all changes (256 MiB of it by default, for undo, time "
           "travel and events) beside the snapshots that are folded of it; the others keep the "
           "newest "
           "state";
  const std::string in_troupe =
      "; in Troupe a change passes through two actors, its entity's and the store's, whose threads "
      "wait for a core when the machine is busy, and LMDB syncs the data and then the page that "
      "names them";
  if (peer == "sqlite")
    return "a change passes through one thread beside the caller's, and a durable commit syncs one "
           "log once"
           + in_troupe;
  if (peer == "postgres")
    return "one process does all of a change and many commits share one sync of the log"
           + in_troupe;
  return "one thread reads the request, changes a key or two and syncs one append-only file once "
         "for all that wait"
         + in_troupe;
}

bool is_troupe(const compared& who) {
  return who.target == "embedded" || who.target == "node";
}

/// Whom a peer is held against: of memory the node, which has a process of its own.
const compared* own_of(const comparison_page& page, durability level, figure of) {
  for (const auto& one : page.all)
    if (one.target == (of == memory_of ? "node" : "embedded") && one.level == level
        && one.not_run.empty())
      return &one;
  return nullptr;
}

void add_class(std::string& out, const comparison_page& page, durability level) {
  out += "\n### " + std::string{level_name(level)} + "\n\n| system |";
  for (const auto& one : columns)
    out += ' ' + std::string{one.title} + " |";
  out += "\n| --- |";
  for (std::size_t i = 0; i < columns.size(); ++i)
    out += " --- |";
  out += '\n';
  for (const auto& who : page.all) {
    if (who.level != level)
      continue;
    out += "| " + title_of(who) + " |";
    if (!who.not_run.empty()) {
      out += " not run: " + cli::one_line(who.not_run, 120) + " |" + std::string(5, '|') + '\n';
      continue;
    }
    for (const auto& one : columns) {
      const auto s = spread_of(who, one.of);
      out += ' ' + (s.median > 0 ? with_spread(s, one.show) : std::string{"–"}) + " |";
    }
    out += '\n';
  }
}

std::string worse_than_peers(const comparison_page& page) {
  std::string out;
  for (const auto& who : page.all) {
    if (is_troupe(who) || who.target == "nothing" || !who.not_run.empty())
      continue;
    for (const auto& one : columns) {
      const auto* own = own_of(page, who.level, one.of);
      if (own == nullptr)
        continue;
      const auto theirs = spread_of(who, one.of), ours = spread_of(*own, one.of);
      if (theirs.median <= 0 || ours.median <= 0
          || (one.more_is_better ? theirs.median <= ours.median : theirs.median >= ours.median))
        continue;
      const auto ratio =
          one.more_is_better ? theirs.median / ours.median : ours.median / theirs.median;
      char times[32];
      std::snprintf(times, sizeof times, "%.2f", ratio);
      out += "- **" + title_of(who) + ", " + level_name(who.level) + ", " + one.title
             + "**: " + one.show(theirs.median) + " against " + one.show(ours.median) + " (" + times
             + " times): " + reason(who.target, one.of) + ".\n";
    }
  }
  return out.empty() ? "Nothing in this run.\n" : out;
}

}  // namespace

std::string render_table(const comparison_page& page) {
  cli::table out{{cli::align::left, cli::align::left, cli::align::right, cli::align::right,
                  cli::align::right, cli::align::right, cli::align::right, cli::align::right}};
  out.add({"system", "durability", "many/s", "one/s", "p50", "p99", "memory", "disk"});
  for (const auto& who : page.all) {
    std::vector<std::string> cells{title_of(who), level_name(who.level)};
    for (const auto& one : columns)
      cells.push_back(who.not_run.empty() ? one.show(spread_of(who, one.of).median) : "not run");
    out.add(std::move(cells));
  }
  auto text = out.render();
  for (const auto& who : page.all)
    if (!who.not_run.empty())
      text += "not run: " + title_of(who) + ", " + cli::one_line(who.not_run, 200) + '\n';
  return text;
}

std::string render_page(const comparison_page& page) {
  char steady[32], seconds[32];
  std::snprintf(steady, sizeof steady, "%g", page.steady_per_s);
  std::snprintf(seconds, sizeof seconds, "%g", page.seconds);
  std::string out =
      "# Troupe beside other systems\n\nMade by `troupe simulate compare`, which writes this page. "
      "All systems get the same intents of the profile `"
      + page.profile + "`\n([simulation](../simulation.md)): " + cli::group_digits(page.sessions)
      + " sessions that are there before, then reads and changes as agents make them. Each figure is "
        "the median of "
      + std::to_string(page.rounds) + " rounds of " + seconds
      + " s,\nmade in turns, with the lowest and the highest. *Many in flight* is "
      + std::to_string(page.in_flight)
      + ", as fast as answers come; the *steady rate* is " + steady
      + " intents a second that are due whether the system is\nready or not, and latency counts from "
        "when an intent was due. After each round everything was read back and compared with what "
        "was acknowledged.\n\n## Machine\n\n";
  for (const auto& [key, text] : page.machine)
    out += "- " + key + ": " + text + '\n';
  if (was_busy(page.machine))
    out +=
        "\n**Other programs kept this machine busy meanwhile**: all rates are too low and all "
        "latencies too long, more so where a request passes through several threads. Only ratios "
        "within a table mean something, and they are better measured on a machine of its own.\n";
  out += "\n## Figures\n";
  for (const auto level : {durability::durable, durability::relaxed, durability::memory})
    add_class(out, page, level);
  out +=
      "\n*durable*: synced before the answer. *relaxed*: synced soon after; what is lost with the "
      "power is 50 ms in Troupe, a second in Redis, up to 600 ms in PostgreSQL, and in SQLite\n"
      "what came since its last checkpoint. Memory is told of what has a process of its own. "
      "*memory*: not by itself; without forks, which Troupe "
      "refuses "
      "of what is only in memory. \"The harness alone\" answers "
      "every intent at once and keeps nothing: what the load generator can do.\n\n"
      "## Where a peer is better\n\n"
      + worse_than_peers(page) + "\n## Settings\n\n";
  for (const auto& who : page.all) {
    if (who.rounds.empty())
      continue;
    out += "- " + title_of(who) + ", " + level_name(who.level) + ": ";
    std::string all;
    for (const auto& [key, text] : who.rounds.front().settings)
      all += (all.empty() ? "" : "; ") + (key == "target" ? text : key + " " + text);
    out += all + '\n';
  }
  return out;
}

std::string render_comparison_json(const comparison_page& page) {
  json_writer out;
  out.begin_object()
      .add("schema", "troupe-compare/1")
      .add("profile", page.profile)
      .add("sessions", page.sessions)
      .add("seconds", page.seconds)
      .add("in_flight", page.in_flight)
      .add("steady_per_s", page.steady_per_s)
      .begin_object("machine");
  for (const auto& [key, text] : page.machine)
    out.add(key, text);
  out.end_object().begin_array("systems");
  for (const auto& who : page.all) {
    out.begin_object().add("system", who.target).add("durability", level_name(who.level));
    out.begin_object("settings");
    if (!who.rounds.empty())
      for (const auto& [key, text] : who.rounds.front().settings)
        out.add(key, text);
    out.end_object().add("not_run", who.not_run).begin_array("rounds");
    for (const auto& one : who.rounds)
      out.begin_object()
          .add("per_s", one.per_s)
          .add("busy_p99_us", one.busy_p99_us)
          .add("alone_per_s", one.alone_per_s)
          .add("p50_us", one.p50_us)
          .add("p99_us", one.p99_us)
          .add("memory_bytes", one.memory_bytes)
          .add("store_bytes", one.store_bytes)
          .end_object();
    out.end_array().end_object();
  }
  out.end_array().end_object();
  return out.text();
}

}  // namespace troupe::simulate
