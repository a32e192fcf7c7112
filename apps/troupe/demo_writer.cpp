#include "troupe/demo_writer.hpp"

#include <troupe/state/json.hpp>

#include "troupe/child_process.hpp"
#include "troupe/demo_data.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/replay.hpp"
#include "troupe/replay_embedded.hpp"
#include "troupe/serve.hpp"
#include "troupe/text.hpp"
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace troupe::cli {

namespace {

int report(const std::string& what, int status) {
  std::fprintf(stderr, "error: %s\n", escape_controls(what).c_str());
  return status;
}

}  // namespace

std::string to_line(const demo_written& what) {
  return to_json(value::map({{"items", what.items},
                             {"earlier", what.earlier},
                             {"elapsed", what.elapsed.count()},
                             {"p50", what.p50.count()},
                             {"p99", what.p99.count()},
                             {"last", what.last_acknowledgement.time_since_epoch().count()}}));
}

expected<demo_written> demo_written_from(std::string_view line) {
  const auto read = value_from_json(line);
  if (!read)
    return unexpected{read.error()};
  const auto number = [&](const char* name) {
    const auto found = read->view().find(name);
    return found ? found->as_int64().value_or(0) : 0;
  };
  using std::chrono::nanoseconds;
  return demo_written{
      .items = static_cast<std::uint64_t>(number("items")),
      .earlier = static_cast<std::uint64_t>(number("earlier")),
      .elapsed = nanoseconds{number("elapsed")},
      .p50 = nanoseconds{number("p50")},
      .p99 = nanoseconds{number("p99")},
      .last_acknowledgement = std::chrono::steady_clock::time_point{nanoseconds{number("last")}}};
}

int demo_writer(const demo_writer_options& options) {
  if (!die_with_parent(options.parent))
    return report("this command is for `troupe demo` itself", exit_status::usage);
  const auto file = read_conversations(demo_conversations, {});
  const auto& told = file.conversations;
  auto target = embedded_target::open(options.data, default_parallel);
  if (!target)
    return report(target.error().message, exit_status::of_open(target.error().code));
  const auto counts = (*target)->count_items(told, [](std::uint64_t) { return true; });
  if (!counts)
    return report(counts.error().message, exit_status::of_request(counts.error().code));

  replay_plan plan{message_counts(told)};
  for (std::size_t i = 0; i < told.size(); ++i)
    plan.begin_behind(i, (*counts)[i]);
  demo_written out;
  for (std::size_t i = 0; i < told.size(); ++i)
    out.earlier += std::min((*counts)[i], told[i].messages.size());
  const auto written = write_with_progress(**target, told, plan);
  out.last_acknowledgement = plan.last_acknowledgement();
  if (const auto failed = plan.failed())
    return report("session " + told[failed->conversation].id + ": " + failed->why.message,
                  exit_status::of_request(failed->why.code));
  out.items = written.items;
  out.elapsed = written.elapsed;
  out.p50 = written.p50;
  out.p99 = written.p99;
  std::printf("%s\n", to_line(out).c_str());
  std::fflush(stdout);
  for (;;)  // nothing is closed from here on
    ::pause();
}

}  // namespace troupe::cli
