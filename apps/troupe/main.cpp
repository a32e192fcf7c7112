#include "troupe/exit_status.hpp"
#include "troupe/logging.hpp"
#include "troupe/options.hpp"
#include "troupe/text.hpp"
#include "troupe/versions.hpp"
#include <spdlog/spdlog.h>

#include <cstdio>
#include <exception>
#include <string>

namespace {

using namespace troupe;

struct runner {
  int operator()(const serve_options& options) const { return serve(options); }
  int operator()(const cli::replay_options& options) const { return cli::replay(options); }
  int operator()(const cli::demo_options& options) const { return cli::demo(options); }
  int operator()(const cli::inspect_options& options) const { return cli::inspect(options); }
  int operator()(const cli::backup_command& options) const { return cli::backup(options); }
  int operator()(const cli::restore_command& options) const { return cli::restore(options); }
  int operator()(const cli::compact_command& options) const { return cli::compact(options); }
  int operator()(const cli::migrate_command& options) const { return cli::migrate(options); }
  int operator()(const cli::export_command& options) const { return cli::export_entities(options); }
  int operator()(const cli::import_command& options) const { return cli::import_entities(options); }
  int operator()(const cli::verify_options& options) const { return cli::verify(options); }
  int operator()(const cli::token_command& options) const { return cli::token(options); }
  int operator()(const cli::demo_writer_options& options) const {
    return cli::demo_writer(options);
  }
  int operator()(const cli::config_command& options) const {
    return std::visit(*this, options.what);
  }
  int operator()(const cli::config_check_command& options) const {
    return cli::check_config(options);
  }
  int operator()(const cli::config_show_command& options) const {
    return cli::show_config(options);
  }
  int operator()(const cli::completion_command& options) const {
    cli::describe([&](const CLI::App& app) {
      std::fputs(cli::completion_of(app, options.shell).c_str(), stdout);
    });
    return cli::exit_status::ok;
  }
  int operator()(const cli::manual_command&) const {
    cli::describe([](const CLI::App& app) { std::fputs(cli::manual_of(app).c_str(), stdout); });
    return cli::exit_status::ok;
  }
  int operator()(const simulate::simulate_options& options) const {
    return simulate::simulate(options);
  }
  int operator()(const cli::version_options&) const {
    std::puts(cli::version_text().c_str());
    return cli::exit_status::ok;
  }
};

int run(int argc, char** argv) {
  const auto read = cli::read_command_line(argc, argv, cli::process_environment());
  if (const auto* none = std::get_if<cli::no_command>(&read)) {
    std::fputs(none->text.c_str(), none->status == cli::exit_status::ok ? stdout : stderr);
    return none->status;
  }
  const auto& line = std::get<cli::command_line>(read);
  cli::set_up_logging(line.format, line.log_level);
  for (const auto& one : line.warnings)
    spdlog::warn("{}", one);
  return std::visit(runner{}, line.what);
}

}  // namespace

int main(int argc, char** argv) {
  int status = cli::exit_status::failed;
  try {
    status = run(argc, argv);
  } catch (const std::exception& what) {
    std::fprintf(stderr, "error: %s\n", cli::escape_controls(what.what()).c_str());
  }
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!written && status == cli::exit_status::ok) {
    std::fputs("error: standard output cannot be written\n", stderr);
    return cli::exit_status::io_failure;
  }
  return status;
}
