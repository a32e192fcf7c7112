#include "simulate/run.hpp"

#include "simulate/generator.hpp"
#include "simulate/load_display.hpp"
#include "troupe/conversations.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/progress.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <utility>

namespace troupe::simulate {

namespace {

constexpr std::size_t read_at_once = 64;  // when everything is checked

std::chrono::nanoseconds real(double seconds) {
  return std::chrono::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)};
}

/// How long a run of the population takes on the wall's clock.
double real_seconds(const run_options& options) {
  return options.speed > 0 ? options.duration_s / options.speed : options.duration_s;
}

/// What is answered at a lower level may be lost by it.
durability least_level(const std::string& fault) {
  return fault == "kill" || fault == "fail-commit" ? durability::durable
         : fault == "crash"                        ? durability::relaxed
                                                   : durability::memory;
}

expected<void> check_faults(const std::vector<planned_fault>& plan, const fault_hooks& hooks,
                            const workload& what, const run_options& options) {
  for (const auto& fault : plan) {
    if (!hooks.contains(fault.kind)) {
      std::string names;
      for (const auto& [name, hook] : hooks)
        names += (names.empty() ? "" : ", ") + name;
      return fail(errc::malformed,
                  "there is no fault '" + fault.kind + "' for the target " + options.target
                      + (names.empty() ? "" : "; there are " + names)
                      + (fault.kind == "kill" ? ". A kill needs --target node" : ""));
    }
    const auto least = least_level(fault.kind);
    if (what.level < least)
      return fail(errc::malformed, "a " + fault.kind + " may lose what was acknowledged below "
                                       + level_name(least) + ": use --durability "
                                       + level_name(least));
  }
  return {};
}

}  // namespace

expected<workload> choose_workload(const std::string& profile) {
  if (profile.find('/') == std::string::npos && !profile.ends_with(".toml"))
    return built_in_profile(profile);
  const auto text = cli::read_whole_file(profile);
  if (!text)
    return unexpected{text.error()};
  auto out = parse_workload(*text);
  if (!out)
    return fail(out.error().code, profile + ": " + out.error().message);
  return out;
}

expected<double> fill(driver& to, record& books, const generator& wants, bool with_display) {
  const auto sessions = wants.what().sessions;
  std::uint64_t next = 0;
  load_display shown{"filling", 0, sessions};
  const auto filled = run_load(
      to, books,
      [&]() -> std::optional<intent> {
        return next < sessions ? std::optional{wants.seed_intent(next++)} : std::nullopt;
      },
      {.duration = std::chrono::hours{24},
       .warm_up = {},
       .speed = 0,
       .sample_every = std::chrono::milliseconds{250}},
      [&](const sample& now) {
        if (with_display)
          shown.update(now);
        return now.failed == 0 && !cli::interrupt_scope::requested();
      });
  if (filled.failed > 0)
    return fail(errc::store_failed,
                "the sessions that are to be there before could not all be "
                "made: "
                    + filled.errors.front());
  if (filled.interrupted)
    return fail(errc::outcome_unknown, "interrupted before the sessions were there");
  return filled.seconds;
}

check_result check_all(driver& to, const record& books, event_check* events) {
  check_result out;
  const auto begun = clock::now();
  const auto all = books.subjects();
  cli::progress_display shown{"checking", all.size()};
  const auto look_at = [&](const subject& whom, const expected<contents>& found) {
    auto told = found ? books.check(whom, *found)
                      : std::vector{"unreadable: " + name_of(whom) + ' ' + found.error().message};
    ++out.subjects;
    out.items += found ? found->items.size() : 0;
    out.violations += told.size();
    for (auto& text : told)
      if (out.first.size() < max_violations)
        out.first.push_back(std::move(text));
    if (events != nullptr && found && found->exists)
      events->on_end(name_of(whom), found->revision);
  };
  for (std::size_t from = 0; from < all.size(); from += read_at_once) {
    if (cli::interrupt_scope::requested()) {
      out.complete = false;
      break;
    }
    const auto to_read = std::min(read_at_once, all.size() - from);
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(from);
    const std::vector<subject> some{begin, begin + static_cast<std::ptrdiff_t>(to_read)};
    const auto found = to.read_back_all(some);
    for (std::size_t i = 0; i < some.size(); ++i)
      look_at(some[i], found[i]);
    shown.update(out.subjects);
  }
  if (events != nullptr) {
    out.changes = events->changes();
    out.violations += events->violations().size();
    for (const auto& text : events->violations())
      out.first.push_back(text);
  }
  out.seconds = std::chrono::duration<double>(clock::now() - begun).count();
  return out;
}

knee_result find_knee(driver& to, record& books, generator& wants, const run_options& options) {
  knee_result out{.p99_limit_ms = options.p99_ms};
  const auto step_s = std::clamp(real_seconds(options) / 10, 0.1, 10.0);
  const auto attempt = [&](double speed) {
    load_display shown{"speed " + std::to_string(speed).substr(0, 5), step_s * 1.25};
    const auto load = run_load(
        to, books, [&]() -> std::optional<intent> { return wants.next(); },
        {.duration = real(step_s * 1.25),
         .warm_up = real(step_s * 0.25),
         .speed = speed,
         .in_flight = options.in_flight,
         .sample_every = std::chrono::milliseconds{500}},
        [&](const sample& now) {
          shown.update(now);
          return !cli::interrupt_scope::requested();
        });
    knee_step step{.speed = speed,
                   .per_s = static_cast<double>(load.done) / step_s,
                   .answered_per_s = load.per_second(),
                   .p99_ns = load.latency.at(0.99),
                   .failed = load.failed};
    step.kept = !load.cut_off && static_cast<double>(step.p99_ns) <= options.p99_ms * 1e6
                && step.failed * 1'000 <= load.done && step.answered_per_s >= 0.95 * step.per_s;
    out.steps.push_back(step);
    if (step.kept && (!out.best || step.answered_per_s > out.best->answered_per_s))
      out.best = step;
    return step.kept;
  };
  const auto going = [] { return !cli::interrupt_scope::requested(); };
  double low = 0, high = options.speed > 0 ? options.speed : 1;
  while (going() && attempt(high) && high < 1e6) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < 4 && going(); ++i) {
    const auto middle = low > 0 ? std::sqrt(low * high) : high / 4;
    (attempt(middle) ? low : high) = middle;
  }
  return out;
}

expected<run_result> run(const workload& what, const run_options& options,
                         const std::filesystem::path& data) {
  const auto plan = plan_faults(options.faults, real_seconds(options), options.seed);
  if (!plan)
    return unexpected{plan.error()};
  auto on = open_target(what, options, data);
  if (!on)
    return unexpected{on.error()};
  auto hooks = (*on)->hooks();
  if (auto ok = check_faults(*plan, hooks, what, options); !ok)
    return unexpected{ok.error()};
  std::ofstream log;
  if (!options.intents.empty())
    log.open(options.intents, std::ios::binary | std::ios::trunc);
  if (!options.intents.empty() && !log)
    return fail(errc::store_failed, "cannot write " + options.intents);

  run_result out{.what = what, .seed = options.seed, .speed = options.speed};
  out.duration_s = options.duration_s;
  auto& to = (*on)->to();
  if (auto fresh = to.look(); !fresh)
    return unexpected{fresh.error()};
  out.target = to.settings();
  generator wants{what, options.seed};
  record books{what};
  const auto filled = fill(to, books, wants, true);
  if (!filled)
    return unexpected{filled.error()};
  out.fill_s = *filled;

  event_check events;
  const auto watched = options.check ? to.watch(events) : expected<bool>{false};
  if (!watched)
    return unexpected{watched.error()};
  if (options.find_knee) {
    out.knee = find_knee(to, books, wants, options);
  } else {
    const auto end_us = static_cast<std::uint64_t>(options.duration_s * 1e6);
    load_display shown{what.name, real_seconds(options)};
    fault_injector faults{*plan, std::move(hooks)};
    out.load = run_load(
        to, books,
        [&]() -> std::optional<intent> {
          auto one = wants.next();
          if (options.speed > 0 && one.at_us > end_us)
            return std::nullopt;
          if (log.is_open())
            log << log_line(one) << '\n';
          return one;
        },
        {.duration = options.speed > 0 ? std::chrono::hours{1'000} : real(options.duration_s),
         .warm_up = real(options.warm_up_s),
         .speed = options.speed,
         .in_flight = options.in_flight,
         .sample_every = real(std::clamp(real_seconds(options) / 120, 0.1, 10.0))},
        [&](const sample& now) {
          shown.update(now, faults.count());
          return !cli::interrupt_scope::requested();
        });
    faults.stop();
    out.faults = faults.done();
  }
  out.unknown = books.unknown();
  if (*watched)
    if (auto ok = to.end_watch(); !ok)
      events.on_gap(ok.error().message);
  if (options.check && options.target != "nothing")
    out.check = check_all(to, books, *watched ? &events : nullptr);
  out.machine = machine_facts();
  out.interrupted = cli::interrupt_scope::requested();
  return out;
}

}  // namespace troupe::simulate
