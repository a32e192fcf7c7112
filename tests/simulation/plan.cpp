#include "plan.hpp"

namespace troupe::simulation {

plan plan::of(std::uint64_t seed) {
  dice luck{seed};
  plan out{.seed = seed, .liveness = luck.percent(50), .steps = 300 + luck.below(900)};
  out.commands = luck.one_of<std::uint64_t>({60, 120, 200});
  out.reads = luck.one_of<std::uint64_t>({20, 60, 120});
  out.ticks = luck.one_of<std::uint64_t>({10, 40, 100});
  const auto sometimes = [&](std::uint64_t chance, std::uint64_t often) {
    return luck.percent(chance) ? 1 + luck.below(often) : 0;
  };
  if (!luck.percent(10)) {  // else: nothing goes wrong
    out.crashes = sometimes(70, 12);
    out.refused = sometimes(40, 15);
    out.unknown = sometimes(30, 10);
    out.stopped = sometimes(20, 3);
    out.load_failed = sometimes(25, 15);
    out.scope_crashes = luck.percent(8) ? 60 : sometimes(50, 12);  // else: nobody is quarantined
    out.full = luck.percent(20);
  }
  out.slow = sometimes(50, 40);
  out.relaxed = sometimes(50, 50);
  out.memory = sometimes(50, 40);
  out.keyed = luck.one_of<std::uint64_t>({0, 30, 80});
  out.repeated = luck.one_of<std::uint64_t>({10, 50, 90});
  out.in_flight = luck.one_of<std::uint64_t>({1, 4, 12, 30});
  out.entities = luck.one_of<std::uint64_t>({2, 5, 9});
  out.max_live = luck.one_of<std::size_t>({1, 3, 100});
  out.idle_ms = luck.one_of<std::int64_t>({0, 1'000, 5'000});
  out.sets = luck.percent(60) ? luck.one_of<std::uint64_t>({10, 40, 100}) : 0;
  if (out.sets != 0 && out.crashes + out.refused + out.unknown + out.scope_crashes != 0)
    out.set_crashes = sometimes(40, 15);
  out.readers = luck.percent(50) ? 1 + luck.below(4) : 0;
  if (out.readers != 0)
    out.event_steps = luck.one_of<std::uint64_t>({20, 60});
  out.expiring = sometimes(40, 60);
  out.days = luck.percent(15);
  out.children = sometimes(40, 60);
  if (luck.percent(30)) {
    using std::chrono::milliseconds;
    auto& policy = out.clean_up.emplace();
    policy.every = luck.one_of<milliseconds>({milliseconds{1'000}, milliseconds{6'000}});
    policy.what.max_age =
        luck.one_of<milliseconds>({milliseconds{0}, milliseconds{3'000}, milliseconds{20'000}});
    policy.what.kinds = {entity_kind::session, entity_kind::workflow};
  }
  return out;
}

std::string describe(const plan& of) {
  const auto say = [](const char* name, auto n) {
    return ' ' + std::string{name} + '=' + std::to_string(n);
  };
  return std::string{of.liveness ? "liveness" : "safety"} + say("steps", of.steps)
         + say("commands", of.commands) + say("reads", of.reads) + say("ticks", of.ticks)
         + say("crashes", of.crashes) + say("refused", of.refused) + say("unknown", of.unknown)
         + say("stopped", of.stopped) + say("load_failed", of.load_failed)
         + say("scope_crashes", of.scope_crashes) + say("slow", of.slow) + say("full", of.full)
         + say("relaxed", of.relaxed) + say("memory", of.memory) + say("keyed", of.keyed)
         + say("repeated", of.repeated) + say("in_flight", of.in_flight)
         + say("entities", of.entities) + say("max_live", of.max_live) + say("idle_ms", of.idle_ms)
         + say("sets", of.sets) + say("set_crashes", of.set_crashes) + say("readers", of.readers)
         + say("event_steps", of.event_steps) + say("expiring", of.expiring) + say("days", of.days)
         + say("children", of.children)
         + say("clean_every", of.clean_up ? of.clean_up->every.count() : 0)
         + say("max_age", of.clean_up ? of.clean_up->what.max_age.count() : 0);
}

}  // namespace troupe::simulation
