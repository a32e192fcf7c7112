#include "simulate/compare.hpp"
#include "simulate/learn.hpp"
#include "simulate/options.hpp"
#include "simulate/profiles.hpp"
#include "simulate/report.hpp"
#include "simulate/run.hpp"
#include "troupe/conversations.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/interrupt.hpp"
#include "troupe/store_directory.hpp"
#include "troupe/table.hpp"
#include "troupe/text.hpp"

#include <cstdio>
#include <fstream>
#include <utility>

namespace troupe::simulate {

namespace {

using cli::exit_status::failed;
using cli::exit_status::interrupted;
using cli::exit_status::io_failure;
using cli::exit_status::ok;
using cli::exit_status::usage;

int complain(const std::string& what, int status) {
  std::fprintf(stderr, "error: %s\n", cli::escape_controls(what).c_str());
  return status;
}

/// A busy node is not a data directory in use.
int complain(const error& why, bool of_node = false) {
  const bool asked_wrong = why.code == errc::malformed || why.code == errc::not_found
                           || why.code == errc::not_supported || why.code == errc::unknown_field
                           || why.code == errc::wrong_type || why.code == errc::invalid_value;
  return complain(why.message, asked_wrong ? usage
                               : of_node   ? cli::exit_status::of_request(why.code)
                                           : cli::exit_status::of_open(why.code));
}

bool write_file(const std::string& name, const std::string& text) {
  if (name == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
    return true;
  }
  std::ofstream out{name, std::ios::binary | std::ios::trunc};
  out << text << '\n';
  return static_cast<bool>(out.flush());
}

expected<workload> workload_of(const run_options& options) {
  auto out = choose_workload(options.profile);
  if (!out)
    return out;
  if (options.sessions)
    out->sessions = *options.sessions;
  if (!options.durability.empty())
    out->level = options.durability == "memory"    ? durability::memory
                 : options.durability == "relaxed" ? durability::relaxed
                                                   : durability::durable;
  return out;
}

int make_run(const run_options& options) {
  const auto what = workload_of(options);
  if (!what)
    return complain(what.error());
  const cli::interrupt_scope ctrl_c;
  std::optional<cli::temporary_directory> scratch;
  if (options.data.empty())
    scratch.emplace();
  const auto data = scratch ? scratch->path() : std::filesystem::path{options.data};
  if (cli::holds_store(data))
    return complain(data.string() + " holds a store already: name a directory that is not there",
                    usage);
  if (scratch && scratch->in_memory())
    std::fputs(
        "note: the temporary directory is in memory, where a sync costs nothing; --data "
        "DIR names a disk\n",
        stderr);
  const auto result = run(*what, options, data);
  if (!result && cli::interrupt_scope::requested())
    return complain(result.error().message, interrupted);
  if (!result)
    return complain(result.error(), options.target.starts_with("http"));
  std::FILE* to = options.json == "-" ? stderr : stdout;
  std::fputs(render_table(*result).c_str(), to);
  const auto json = render_json(*result);
  if (!options.json.empty() && !write_file(options.json, json))
    return complain("cannot write " + options.json, io_failure);
  if (!options.html.empty() && options.html != "none") {
    if (!write_file(options.html, render_report({json})))
      return complain("cannot write " + options.html, io_failure);
    std::fprintf(to, "report: %s\n", options.html.c_str());
  }
  if (result->interrupted)
    return interrupted;
  return result->good() ? ok : failed;
}

int make_report(const report_options& options) {
  std::vector<std::string> runs;
  for (const auto& file : options.files) {
    auto text = cli::read_whole_file(file);
    if (!text)
      return complain(text.error().message, usage);
    if (auto fine = check_result_json(*text); !fine)
      return complain(file + ": " + fine.error().message, failed);
    runs.push_back(*std::move(text));
  }
  if (!write_file(options.html, render_report(runs)))
    return complain("cannot write " + options.html, io_failure);
  std::printf("report: %s\n", options.html.c_str());
  return ok;
}

int show_profiles(const profiles_options& options) {
  const auto all = built_in_profiles();
  if (!options.show.empty()) {
    const auto files = built_in_files();
    for (std::size_t i = 0; i < all.size(); ++i)
      if (all[i].name == options.show) {
        std::fwrite(files.at(i).data(), 1, files.at(i).size(), stdout);
        return ok;
      }
    return complain(built_in_profile(options.show).error());
  }
  cli::table out{{cli::align::left, cli::align::right, cli::align::left}};
  for (const auto& one : all)
    out.add({one.name, cli::group_digits(one.sessions) + " sessions", one.about});
  std::fputs(out.render().c_str(), stdout);
  return ok;
}

int learn_one(const learn_options& options) {
  const auto text = cli::read_whole_file(options.file);
  if (!text)
    return complain(text.error().message, usage);
  const auto learned = learn(*text, options.name);
  if (!learned)
    return complain(options.file.string() + ": " + learned.error().message, failed);
  std::fputs(to_toml(*learned).c_str(), stdout);
  return ok;
}

}  // namespace

int simulate(const simulate_options& options) {
  struct {
    int operator()(const run_options& x) const { return make_run(x); }
    int operator()(const learn_options& x) const { return learn_one(x); }
    int operator()(const compare_options& x) const { return compare(x); }
    int operator()(const profiles_options& x) const { return show_profiles(x); }
    int operator()(const report_options& x) const { return make_report(x); }
  } const runner;
  return std::visit(runner, options.what);
}

}  // namespace troupe::simulate
