#include "simulate/result.hpp"

#include "simulate/json_writer.hpp"
#include "troupe/table.hpp"
#include "troupe/text.hpp"
#include "troupe/version.hpp"
#include <sys/utsname.h>

#include <fstream>
#include <thread>

namespace troupe::simulate {

namespace {

using cli::group_digits;
using cli::human_bytes;
using cli::human_duration;
using cli::human_rate;

std::string ns_text(std::uint64_t ns) {
  return human_duration(std::chrono::nanoseconds{static_cast<std::int64_t>(ns)});
}

double us(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e3;
}

void add_facts(json_writer& out, std::string_view name, const facts& all) {
  out.begin_object(name);
  for (const auto& [key, text] : all)
    out.add(key, text);
  out.end_object();
}

void add_latency(json_writer& out, std::string_view name, const histogram& h) {
  out.begin_object(name)
      .add("count", h.total())
      .add("mean", h.mean() / 1e3)
      .add("p50", us(h.at(0.5)))
      .add("p90", us(h.at(0.9)))
      .add("p99", us(h.at(0.99)))
      .add("p999", us(h.at(0.999)))
      .add("max", us(h.highest()))
      .end_object();
}

void add_sample(json_writer& out, const sample& one, const sample* before) {
  const auto per_s = [&](std::uint64_t n) {
    return one.seconds > 0 ? static_cast<double>(n) / one.seconds : 0;
  };
  std::optional<double> batch, hibernated;
  if (one.state.live)
    hibernated = std::max(0.0, static_cast<double>(one.known) - *one.state.live);
  if (before != nullptr && one.state.commits && before->state.commits && one.state.changes
      && before->state.changes && *one.state.commits > *before->state.commits)
    batch = (*one.state.changes - *before->state.changes)
            / (*one.state.commits - *before->state.commits);
  out.begin_object()
      .add("at_s", one.at_s)
      .add("per_s", per_s(one.done))
      .add("failed_per_s", per_s(one.failed))
      .add("p50_us", us(one.p50_ns))
      .add("p99_us", us(one.p99_ns))
      .add("max_us", us(one.highest_ns))
      .add("on_the_way", one.on_the_way)
      .add("late", one.late)
      .add("memory_bytes", one.state.memory_bytes)
      .add("live", one.state.live)
      .add("hibernated", hibernated)
      .add("stored", one.state.stored)
      .add("store_bytes", one.state.store_bytes)
      .add("changes_in_commit", batch)
      .end_object();
}

void add_load(json_writer& out, const load_result& load) {
  out.begin_object("load")
      .add("seconds", load.seconds)
      .add("sent", load.sent)
      .add("answered", load.done)
      .add("failed", load.failed)
      .add("per_s", load.per_second())
      .add("cache_lookups", load.lookups)
      .add("cache_hits", load.hits)
      .add("cut_off", load.cut_off);
  add_latency(out, "latency_us", load.latency);
  add_latency(out, "service_us", load.service);
  out.begin_array("actions");
  for (std::size_t i = 0; i < action_count; ++i) {
    const auto& h = load.by_action.at(i);
    if (h.total() == 0)
      continue;
    out.begin_object().add("action", to_string(static_cast<action>(i)));
    add_latency(out, "latency_us", h);
    out.end_object();
  }
  out.end_array().begin_array("histogram");
  for (const auto& bucket : load.latency.buckets())
    out.begin_object().add("up_to_us", us(bucket.up_to_ns)).add("count", bucket.count).end_object();
  out.end_array().begin_array("samples");
  const sample* before = nullptr;
  for (const auto& one : load.samples) {
    add_sample(out, one, before);
    before = &one;
  }
  out.end_array().begin_array("errors");
  for (const auto& text : load.errors)
    out.add("", text);
  out.end_array().end_object();
}

void add_step(json_writer& out, std::string_view name, const knee_step& step) {
  out.begin_object(name)
      .add("speed", step.speed)
      .add("due_per_s", step.per_s)
      .add("answered_per_s", step.answered_per_s)
      .add("p99_us", us(step.p99_ns))
      .add("failed", step.failed)
      .add("kept", step.kept)
      .end_object();
}

std::string first_line_with(const char* file, std::string_view name) {
  std::ifstream in{file};
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name))
      if (const auto colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "unknown";
}

std::string text_of_file(const char* file) {
  std::ifstream in{file};
  std::string out;
  std::getline(in, out);
  return out;
}

void add_load_rows(cli::table& out, const run_result& result) {
  const auto& load = *result.load;
  out.add({"intents", group_digits(load.sent) + " in " + std::to_string(load.samples.size())
                          + " samples, " + group_digits(load.failed) + " failed"});
  out.add({"rate", human_rate(load.per_second()) + "/s"});
  const auto row = [](const histogram& h) {
    return "p50 " + ns_text(h.at(0.5)) + "  p90 " + ns_text(h.at(0.9)) + "  p99 "
           + ns_text(h.at(0.99)) + "  p99.9 " + ns_text(h.at(0.999)) + "  max "
           + ns_text(h.highest());
  };
  out.add({"latency", row(load.latency)});
  out.add({"from sending", row(load.service)});
  if (load.lookups > 0)
    out.add({"cache hits", std::to_string(100 * load.hits / load.lookups) + " % of "
                               + group_digits(load.lookups)});
  for (auto at = load.samples.rbegin(); at != load.samples.rend(); ++at) {
    const auto& state = at->state;
    if (!state.memory_bytes && !state.live)
      continue;
    std::string text;
    const auto add = [&](const std::optional<double>& x, const char* what, bool bytes) {
      if (x)
        text += (text.empty() ? "" : ", ")
                + (bytes ? human_bytes(static_cast<std::uint64_t>(*x))
                         : group_digits(static_cast<std::uint64_t>(*x)))
                + what;
    };
    add(state.memory_bytes, " in memory", true);
    add(state.store_bytes, " in the store", true);
    add(state.live, " live", false);
    out.add({"at the end", text});
    break;
  }
}

}  // namespace

bool run_result::good() const noexcept {
  bool faults_done = true;
  for (const auto& fault : faults)
    faults_done = faults_done && !fault.failed;
  return !interrupted && faults_done && (!check || (check->complete && check->violations == 0))
         && (!load || (load->violations.empty() && !load->cut_off));
}

facts machine_facts() {
  utsname system{};
  ::uname(&system);
#ifdef NDEBUG
  const char* build = "optimised";
#else
  const char* build = "with assertions: not for measuring";
#endif
  auto memory = first_line_with("/proc/meminfo", "MemTotal");
  memory.erase(0, memory.find_first_not_of(' '));
  return {{"processor", first_line_with("/proc/cpuinfo", "model name")},
          {"cores", std::to_string(std::thread::hardware_concurrency())},
          {"memory", memory},
          {"system", std::string{system.sysname} + ' ' + system.release},
          {"load average", text_of_file("/proc/loadavg").substr(0, 14)},
          {"troupe", TROUPE_VERSION},
          {"build", build}};
}

std::string render_table(const run_result& result) {
  cli::table out{{cli::align::left, cli::align::left}};
  out.add({"profile", result.what.name + ": " + result.what.about});
  for (const auto& [key, text] : result.target)
    out.add({key, text});
  out.add({"seed", std::to_string(result.seed)});
  if (result.what.sessions > 0)
    out.add({"filled", group_digits(result.what.sessions) + " sessions in "
                           + human_duration(std::chrono::nanoseconds{
                               static_cast<std::int64_t>(result.fill_s * 1e9)})});
  if (result.load)
    add_load_rows(out, result);
  if (result.knee) {
    const auto& best = result.knee->best;
    char limit[32];
    std::snprintf(limit, sizeof limit, "%g", result.knee->p99_limit_ms);
    out.add({"knee", best ? human_rate(best->answered_per_s) + "/s at p99 " + ns_text(best->p99_ns)
                                + ", below " + limit + " ms"
                          : std::string{"no rate kept p99 below "} + limit + " ms"});
  }
  if (!result.faults.empty()) {
    std::size_t failed = 0;
    for (const auto& fault : result.faults)
      failed += fault.failed ? 1 : 0;
    out.add(
        {"faults", group_digits(result.faults.size())
                       + (failed > 0 ? ", " + group_digits(failed) + " could not be done" : "")});
  }
  if (const auto& check = result.check) {
    out.add({"checked", cli::plural(check->subjects, "subject") + " with "
                            + cli::plural(check->items, "item")
                            + (check->changes ? ", " + cli::plural(*check->changes, "event") : "")
                            + (check->complete ? "" : ", not all")});
    out.add({"violations", group_digits(check->violations)});
  }
  auto text = out.render();
  if (result.check)
    for (const auto& one : result.check->first)
      text += "  " + cli::one_line(one, 200) + '\n';
  if (result.load)
    for (std::size_t i = 0; i < std::min<std::size_t>(3, result.load->errors.size()); ++i)
      text += "  failed: " + cli::one_line(result.load->errors[i], 200) + '\n';
  return text + (result.interrupted ? "interrupted: this is what was done until then\n" : "");
}

std::string render_json(const run_result& result) {
  json_writer out;
  out.begin_object()
      .add("schema", "troupe-simulate/1")
      .add("profile", result.what.name)
      .add("about", result.what.about)
      .add("workload", to_toml(result.what))
      .add("seed", result.seed)
      .add("speed", result.speed)
      .add("duration_s", result.duration_s)
      .add("sessions", result.what.sessions)
      .add("fill_s", result.fill_s)
      .add("unknown", result.unknown);
  add_facts(out, "target", result.target);
  add_facts(out, "machine", result.machine);
  if (result.load)
    add_load(out, *result.load);
  if (const auto& knee = result.knee) {
    out.begin_object("knee").add("p99_limit_us", knee->p99_limit_ms * 1e3);
    if (knee->best)
      add_step(out, "best", *knee->best);
    out.begin_array("steps");
    for (const auto& step : knee->steps)
      add_step(out, {}, step);
    out.end_array().end_object();
  }
  out.begin_array("faults");
  for (const auto& fault : result.faults)
    out.begin_object()
        .add("kind", fault.kind)
        .add("at_s", fault.at_s)
        .add("took_s", fault.took_s)
        .add("note", fault.note)
        .add("failed", fault.failed)
        .end_object();
  out.end_array();
  if (const auto& check = result.check) {
    out.begin_object("check")
        .add("subjects", check->subjects)
        .add("items", check->items)
        .add("events",
             check->changes ? std::optional{static_cast<double>(*check->changes)} : std::nullopt)
        .add("seconds", check->seconds)
        .add("complete", check->complete)
        .add("violations", check->violations)
        .begin_array("first");
    for (const auto& one : check->first)
      out.add("", one);
    out.end_array().end_object();
  }
  out.add("interrupted", result.interrupted).add("ok", result.good()).end_object();
  return out.text();
}

}  // namespace troupe::simulate
