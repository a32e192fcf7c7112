// What a sleeping and a live session cost, and how long one takes to wake.

#include <troupe/messages/messages.hpp>

#include "tools.hpp"
#include <caf/actor_system.hpp>
#include <malloc.h>

#include <fstream>

namespace troupe::bench {

namespace {

/// RssAnon of this process, without what the allocator keeps for later: LMDB's map does not count.
double anonymous_bytes() {
  if (has_jemalloc())
    must(mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0) == 0, "jemalloc keeps memory");
  else
    ::malloc_trim(0);
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);)
    if (line.rfind("RssAnon:", 0) == 0)
      return std::stod(line.substr(8)) * 1'024;
  return 0;
}

void use_once(runtime& in, std::size_t sessions) {
  std::counting_semaphore<512> room{512};
  for (std::size_t i = 0; i < sessions; ++i) {
    room.acquire();
    in.execute({session_ref(id_of(i)),
                {troupe::create{},
                 patch_state{{set_key{.key = "n", .data = static_cast<std::int64_t>(i)}}}}},
               [&](const expected<command_result>& answer) {
                 must(answer.has_value(), "a command was refused");
                 room.release();
               });
  }
  for (int i = 0; i < 512; ++i)
    room.acquire();
}

/// The first ones have the store take what it takes once, such as its log.
constexpr std::size_t first_sessions = 20'000, live_sessions = 50'000;

void print_each(const char* subject, double before) {
  char text[96];
  std::snprintf(text, sizeof text, "\"sessions\":%zu,\"bytes_each\":%.0f", live_sessions,
                (anonymous_bytes() - before) / static_cast<double>(live_sessions));
  print("live_idle_session", subject, text);
}

/// What CAF takes for an actor that answers one message.
void measure_bare_actors() {
  init_messages();
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::vector<caf::actor> all;
  double before = 0;
  while (all.size() < first_sessions + live_sessions) {
    if (all.size() == first_sessions)
      before = anonymous_bytes();
    all.push_back(
        system.spawn([]() -> caf::behavior { return {[](std::int64_t n) { return n + 1; }}; }));
  }
  print_each("bare_caf", before);
  for (const auto& one : all)
    caf::anon_send_exit(one, caf::exit_reason::user_shutdown);
}

}  // namespace

void measure_live(const plan& how) {
  {
    const auto node = open(how.dir / "live", 2 * live_sessions);
    use_once(*node, first_sessions);
    const auto before = anonymous_bytes();
    use_once(*node, first_sessions + live_sessions);
    print_each("runtime", before);
  }
  measure_bare_actors();
}

void measure_sleep(const plan& how) {
  const auto node = open(how.dir / "sleep", 1'000);
  use_once(*node, first_sessions);
  const auto before = anonymous_bytes();
  const auto start = clock_type::now();
  use_once(*node, how.sessions);
  const auto took = seconds_since(start);
  const auto after = anonymous_bytes();
  std::vector<double> wake_us;
  for (std::size_t i = 0; i < 2'000; ++i) {
    const auto which = session_ref(id_of((i * 7'919 + 13) % (how.sessions - 2'000)));
    const auto begun = clock_type::now();
    const auto found = node->read(which);
    wake_us.push_back(seconds_since(begun) * 1e6);
    must(found && (**found).live(), "a sleeping session is not there");
  }
  std::ranges::sort(wake_us);
  char text[256];
  std::snprintf(
      text, sizeof text,
      "\"sessions\":%zu,\"used_per_second\":%.0f,\"bytes_each\":%.1f,\"wake_p50_us\":%.0f,"
      "\"wake_p99_us\":%.0f",
      how.sessions, static_cast<double>(how.sessions) / took,
      (after - before) / static_cast<double>(how.sessions - first_sessions),
      wake_us[wake_us.size() / 2], wake_us[wake_us.size() * 99 / 100]);
  print("sleeping_session", "runtime", text);
}

}  // namespace troupe::bench
