#include "troupe/replay.hpp"

#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/progress.hpp"
#include "troupe/replay_embedded.hpp"
#include "troupe/replay_remote.hpp"
#include "troupe/serve.hpp"
#include "troupe/store_directory.hpp"
#include "troupe/text.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

namespace troupe::cli {

namespace {

using clock = std::chrono::steady_clock;

int report_error(const std::string& what, int status) {
  std::fprintf(stderr, "error: %s\n", escape_controls(what).c_str());
  return status;
}

int report_faults(const conversation_file& file, const std::filesystem::path& path) {
  for (const auto& fault : file.faults)
    std::fprintf(stderr, "%s\n", describe(fault, path.string()).c_str());
  const bool more = file.faults.size() == max_faults;
  return report_error(plural(file.faults.size(), "malformed line") + (more ? " or more" : "")
                          + "; nothing was written",
                      exit_status::failed);
}

bool keep_going(std::uint64_t) {
  return !interrupt_scope::requested();
}

std::string node_url(const http::endpoint& node) {
  const bool v6 = node.host.find(':') != std::string::npos;
  return "http://" + (v6 ? '[' + node.host + ']' : node.host) + ':' + std::to_string(node.port);
}

/// One run of the command, from options to exit status.
class replay_run {
public:
  replay_run(const replay_options& options, std::vector<conversation> told)
      : options_{options},
        told_{std::move(told)} {
    report_.sessions = told_.size();
    report_.parallel = std::min(options.parallel, told_.size());
    for (const auto& c : told_) {
      report_.items += c.messages.size();
      for (const auto& m : c.messages)
        report_.bytes += m.bytes().size();
    }
  }

  int run() {
    if (const int status = open(); status != exit_status::ok)
      return status;
    if (!options_.verify_only && !options_.resume) {
      if (const int status = refuse_existing(); status != exit_status::ok)
        return status;
    }
    return options_.verify_only ? compare(all_counts()) : write_and_compare();
  }

private:
  int open() {
    if (options_.node) {
      report_.target = node_url(*options_.node);
      target_ =
          std::make_unique<remote_target>(*options_.node, options_.parallel, options_.reconnect);
      return exit_status::ok;
    }
    auto data = options_.data;
    if (!data) {
      scratch_.emplace();
      data = scratch_->path();
      if (scratch_->in_memory())
        std::fprintf(stderr,
                     "note: %s is in memory, where a sync costs nothing; --data DIR shows the "
                     "rates of a disk\n",
                     data->c_str());
    }
    if (options_.verify_only && !holds_store(*data))
      return report_error(data->string() + " holds no store of Troupe; nothing to verify",
                          exit_status::damaged_store);
    report_.target = scratch_ ? "a temporary directory, removed afterwards" : data->string();
    auto opened = embedded_target::open(*data, options_.parallel);
    if (!opened)
      return report_error("cannot open the store: " + opened.error().message,
                          exit_status::of_open(opened.error().code));
    if (options_.verify_only)
      report_.reopened = (*opened)->opened_in();
    target_ = *std::move(opened);
    return exit_status::ok;
  }

  /// Looked at before anything is written, so that a second try meets what the first one met.
  int refuse_existing() {
    if (scratch_)
      return exit_status::ok;
    const auto counts = target_->count_items(told_, keep_going);
    if (!counts)
      return report_error(counts.error().message, exit_status::of_request(counts.error().code));
    const auto there = std::count_if(counts->begin(), counts->end(), [](auto n) { return n > 0; });
    if (there == 0)
      return exit_status::ok;
    const auto first = std::find_if(counts->begin(), counts->end(), [](auto n) { return n > 0; })
                       - counts->begin();
    return report_error(plural(static_cast<std::uint64_t>(there), "session")
                            + " of the file (the first is "
                            + told_[static_cast<std::size_t>(first)].id
                            + ") have items already, and nothing was written; choose another "
                            + (options_.node ? "" : "--data or ") + "--prefix, "
                            + (options_.node ? "go on with an earlier replay with --resume, " : "")
                            + "or compare with --verify-only",
                        exit_status::failed);
  }

  int write_and_compare() {
    replay_plan plan{message_counts(told_)};
    report_.written = write_with_progress(*target_, told_, plan);
    if (const auto failed = plan.failed()) {
      report_.failure =
          one_line("session " + told_[failed->conversation].id + ": "
                       + std::string{to_string(failed->why.code)} + ": " + failed->why.message,
                   500);
      return finish(exit_status::of_request(failed->why.code));
    }
    std::vector<std::optional<std::size_t>> counts(told_.size());
    for (std::size_t i = 0; i < counts.size(); ++i)
      counts[i] = plan.stored(i);
    const auto reopened = target_->reopen();
    if (!reopened) {
      report_.failure =
          escape_controls("the store does not open again: " + reopened.error().message);
      return finish(exit_status::of_open(reopened.error().code));
    }
    report_.reopened = *reopened;
    report_.interrupted = plan.stopped();
    return compare(counts);
  }

  int compare(const std::vector<std::optional<std::size_t>>& counts) {
    auto compared = compare_with_progress(*target_, told_, counts, extra_items::forbidden);
    if (!compared) {
      report_.failure = escape_controls(compared.error().message);
      return finish(exit_status::of_request(compared.error().code));
    }
    report_.interrupted |= !compared->complete;
    const bool mismatches = compared->mismatches > 0;
    report_.compared = *std::move(compared);
    if (mismatches)
      return finish(exit_status::failed);
    return finish(report_.interrupted ? exit_status::interrupted : exit_status::ok);
  }

  int finish(int status) {
    std::fputs(
        options_.json ? (render_json(report_) + '\n').c_str() : render_table(report_).c_str(),
        stdout);
    if (report_.failure)
      std::fprintf(stderr, "error: %s\n", report_.failure->c_str());
    return status;
  }

  [[nodiscard]] std::vector<std::optional<std::size_t>> all_counts() const {
    const auto counts = message_counts(told_);
    return {counts.begin(), counts.end()};
  }

  const replay_options& options_;
  std::vector<conversation> told_;
  std::optional<temporary_directory> scratch_;  // outlives the store in it
  std::unique_ptr<replay_target> target_;
  replay_report report_;
};

}  // namespace

std::vector<std::size_t> message_counts(std::span<const conversation> told) {
  std::vector<std::size_t> out;
  out.reserve(told.size());
  for (const auto& c : told)
    out.push_back(c.messages.size());
  return out;
}

write_result write_with_progress(replay_target& target, std::span<const conversation> told,
                                 replay_plan& plan) {
  progress_display display{"writing", plan.total()};
  if (interrupt_scope::requested())
    plan.stop();
  const auto begin = clock::now();
  target.write(told, plan, [&](std::uint64_t done) {
    display.update(done);
    return keep_going(done);
  });
  display.update(plan.done());
  write_result out{.items = plan.done(), .elapsed = clock::now() - begin};
  for (std::size_t i = 0; i < told.size(); ++i)
    out.sessions += plan.stored(i) ? 1 : 0;
  const auto times = plan.latencies();
  out.p50 = percentile(times, 50);
  out.p99 = percentile(times, 99);
  return out;
}

expected<comparison> compare_with_progress(replay_target& target,
                                           std::span<const conversation> told,
                                           std::span<const std::optional<std::size_t>> counts,
                                           extra_items extra) {
  std::uint64_t total = 0;
  for (const auto& count : counts)
    total += count.value_or(0);
  progress_display display{"comparing", total};
  const bool already =
      interrupt_scope::requested();  // what was done until then is compared nevertheless
  auto out = target.compare(told, counts, extra, [&](std::uint64_t done) {
    display.update(done);
    return already || keep_going(done);
  });
  if (out)
    display.update(out->items);
  return out;
}

int replay(const replay_options& options) {
  auto text = read_whole_file(options.file);
  if (!text)
    return report_error(text.error().message, text.error().code == errc::not_found
                                                  ? exit_status::usage
                                                  : exit_status::io_failure);
  auto file = read_conversations(*text, options.prefix);
  *text = {};  // the conversations have copies
  if (!file.faults.empty())
    return report_faults(file, options.file);
  if (file.conversations.empty())
    return report_error(options.file.string() + " holds no conversation", exit_status::failed);
  const interrupt_scope ctrl_c;
  return replay_run{options, std::move(file.conversations)}.run();
}

}  // namespace troupe::cli
