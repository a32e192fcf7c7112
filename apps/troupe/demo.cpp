#include "troupe/demo.hpp"

#include "troupe/child_process.hpp"
#include "troupe/demo_data.hpp"
#include "troupe/demo_writer.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/history_view.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/replay.hpp"
#include "troupe/replay_embedded.hpp"
#include "troupe/store_directory.hpp"
#include "troupe/text.hpp"
#include "troupe/version.hpp"
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace troupe::cli {

namespace {

using clock = std::chrono::steady_clock;

constexpr const char* shown_session = "demo-tool-agent";
constexpr const char* tried_session = "demo-hello";

int report(const std::string& what, int status) {
  std::fprintf(stderr, "error: %s\n", escape_controls(what).c_str());
  return status;
}

/// One step of the show: a name in the margin, and lines beside it.
class stage {
public:
  explicit stage(terminal out) : out_{out} {}

  void say(const char* step, const std::string& text) {
    const std::string margin(8 - std::min<std::size_t>(std::string_view{step}.size(), 8), ' ');
    std::printf("%s%s%s%s%s\n", out_.colours ? "\x1b[1m" : "", step, out_.colours ? "\x1b[0m" : "",
                margin.c_str(), text.c_str());
    std::fflush(stdout);
  }
  void more(const std::string& text) { say("", text); }
  [[nodiscard]] const terminal& out() const { return out_; }

private:
  terminal out_;
};

struct killed_writer {
  demo_written told;
  pid_t pid = 0;
};

/// The demo from the directory to the comparison; what comes behind needs no store of ours.
class demo_run {
public:
  explicit demo_run(std::filesystem::path data)
      : data_{std::move(data)},
        stage_{terminal_of(stdout)} {}

  int run() {
    const bool earlier = holds_store(data_);
    std::printf("Troupe %s: conversations that outlive their process\n\n", TROUPE_VERSION);
    stage_.say("store",
               escape_controls(data_.string()) + (earlier ? " (from an earlier run)" : " (new)"));
    if (const int status = write_and_kill(); status != exit_status::ok)
      return status;
    return reopen_and_compare();
  }

private:
  int write_and_kill() {
    auto child = child_process::start(
        {"demo-writer", "--data", data_.string(), "--parent", std::to_string(::getpid())});
    if (!child)
      return report(child.error().message, exit_status::io_failure);
    const auto pid = std::to_string(child->pid());
    const auto line = child->read_line();
    const auto heard = clock::now();
    if (interrupt_scope::requested())
      return report("interrupted; run it again to go on", exit_status::interrupted);
    if (line.empty())
      return writer_ended(child->wait());
    child->kill();
    const auto killed = clock::now();
    const int ended = child->wait();
    const auto written = demo_written_from(line);
    if (!written || !WIFSIGNALED(ended) || WTERMSIG(ended) != SIGKILL)
      return report("the writing process did not do as it was told; please report it",
                    exit_status::failed);
    if (written->items == 0) {
      stage_.say("write", "Process " + pid + " opened the store and found all "
                              + plural(written->earlier, "message") + " there: nothing to write.");
      stage_.say("kill", "It got SIGKILL all the same, with the store open.");
      return exit_status::ok;
    }
    const auto rate =
        write_result{.items = written->items, .elapsed = written->elapsed}.appends_per_second();
    stage_.say("write", "Process " + pid + " wrote " + plural(written->items, "message") + " in "
                            + human_duration(written->elapsed) + ": " + human_rate(rate)
                            + " durable appends a second,");
    stage_.more("each answered after its fsync; p50 " + human_duration(written->p50) + ", p99 "
                + human_duration(written->p99) + "."
                + (written->earlier > 0
                       ? " " + group_digits(written->earlier) + " were there already."
                       : ""));
    const auto since = killed - std::min(written->last_acknowledgement, heard);
    stage_.say("kill", "It got SIGKILL " + human_duration(since)
                           + " after its last acknowledgement: no shutdown, no flush, no goodbye.");
    return exit_status::ok;
  }

  static int writer_ended(int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
      return WEXITSTATUS(status);  // it has said why
    return report("the writing process ended by itself", exit_status::failed);
  }

  int reopen_and_compare() {
    const auto told = read_conversations(demo_conversations, {}).conversations;
    auto target = embedded_target::open(data_, default_parallel);
    if (!target)
      return report("the store does not open again: " + target.error().message,
                    exit_status::of_open(target.error().code));
    const auto lengths = message_counts(told);
    const std::vector<std::optional<std::size_t>> counts{lengths.begin(), lengths.end()};
    const auto compared = compare_with_progress(**target, told, counts, extra_items::allowed);
    if (!compared)
      return report(compared.error().message, exit_status::of_request(compared.error().code));
    if (!compared->complete)
      return report("interrupted", exit_status::interrupted);
    stage_.say("reopen",
               "Process " + std::to_string(::getpid()) + ", this one, opened the store in "
                   + human_duration((*target)->opened_in()) + " and compared every item:");
    stage_.more(plural(compared->sessions, "conversation") + ", " + plural(compared->items, "item")
                + ", " + human_bytes(compared->bytes) + ": "
                + (compared->mismatches == 0 ? "all there, all equal."
                                             : plural(compared->mismatches, "mismatch") + "!"));
    if (compared->extra > 0)
      stage_.more("(and " + plural(compared->extra, "item") + " that you added)");
    for (const auto& what : compared->first)
      stage_.more(what);
    if (compared->mismatches > 0)
      return exit_status::failed;
    return show(**target);
  }

  int show(embedded_target& target) {
    const auto session = target.read(shown_session);
    if (!session)
      return report(session.error().message, exit_status::of_request(session.error().code));
    std::printf("\n");
    stage_.say("history", std::string{shown_session} + ", "
                              + plural((*session)->items.size(), "item")
                              + ", as read back from the store:");
    const auto& out = stage_.out();
    std::fputs(render_history(**session, {.columns = std::min<std::size_t>(out.columns, 120),
                                          .colours = out.colours,
                                          .indent = "        "})
                   .c_str(),
               stdout);
    std::printf("\n");
    std::fflush(stdout);
    return exit_status::ok;
  }

  std::filesystem::path data_;
  stage stage_;
};

void say_what_to_try(const demo_options& options) {
  const bool v6 = options.host.find(':') != std::string::npos;
  const auto address = (v6 ? '[' + options.host + ']' : options.host) + ':'
                       + (options.port == 0 ? "PORT" : std::to_string(options.port));
  const auto url = "http://" + address + "/v1/sessions/" + tried_session + "/items";
  stage stage{terminal_of(stdout)};
  stage.say("serve", "The node stays up until Ctrl-C"
                         + std::string{options.port == 0 ? " (PORT is in the line below)" : ""}
                         + ". In another terminal, read a history and add to it:");
  stage.more("curl '" + url + "?last=2'");
  stage.more("curl '" + url + "' -H 'Content-Type: application/json' \\");
  stage.more(R"(  -d '{"items":[{"role":"user","content":"Noah says blub."}]}')");
}

std::optional<std::filesystem::path> absolute_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || !std::filesystem::path{text}.is_absolute())
    return std::nullopt;
  return text;
}

}  // namespace

std::optional<std::filesystem::path> default_demo_directory() {
  if (const auto state = absolute_from("XDG_STATE_HOME"))
    return *state / "troupe" / "demo";
  if (const auto home = absolute_from("HOME"))
    return *home / ".local" / "state" / "troupe" / "demo";
  return std::nullopt;
}

int demo(const demo_options& options) {
  const auto data = options.data ? options.data : default_demo_directory();
  if (!data)
    return report(
        "neither XDG_STATE_HOME nor HOME names a directory: say where the demo's store goes with "
        "--data DIR",
        exit_status::usage);
  {
    const interrupt_scope ctrl_c;
    if (const int status = demo_run{*data}.run(); status != exit_status::ok || options.once)
      return status;
    if (interrupt_scope::requested())
      return exit_status::interrupted;
  }
  say_what_to_try(options);
  return serve({.data = *data, .host = options.host, .port = options.port});
}

}  // namespace troupe::cli
