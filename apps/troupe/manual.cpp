#include "troupe/meta_options.hpp"
#include "troupe/settings.hpp"
#include "troupe/versions.hpp"
#include <CLI/CLI.hpp>

namespace troupe::cli {

namespace {

/// Text for roff: nothing in it is a request or an escape.
std::string roff(const std::string& text) {
  std::string out;
  bool begins_line = true;
  for (const char c : text) {
    if (begins_line && (c == '.' || c == '\''))
      out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    begins_line = c == '\n';
  }
  return out;
}

std::string named(const CLI::Option& option) {
  if (!option.nonpositional())
    return option.get_name();
  const auto place = option.get_positional() ? ' ' + option.get_name(true) : std::string{};
  std::string out;
  for (const auto& name : option.get_snames())
    out += '-' + name + ", ";
  for (const auto& name : option.get_lnames())
    out += "--" + name;
  const auto type = option.get_type_name();
  if (!place.empty())
    return out + place + " (or without its name)";
  return option.get_expected_max() == 0 || type.empty() ? out : out + ' ' + type;
}

void add_option(std::string& out, const CLI::Option& option) {
  out += ".TP\n.B " + roff(named(option)) + '\n' + roff(option.get_description());
  if (const auto given = option.get_default_str(); !given.empty())
    out += roff(" Default: " + given + '.');
  out += '\n';
}

void add_command(std::string& out, const CLI::App& app, const std::string& path) {
  out += ".SS troupe " + roff(path) + '\n' + roff(app.get_description()) + '\n';
  for (const auto* option : app.get_options()) {
    if (option->get_name() != "--help")
      add_option(out, *option);
  }
  for (const auto* inner :
       app.get_subcommands([](const auto* x) { return !x->get_group().empty(); }))
    add_command(out, *inner, path + ' ' + inner->get_name());
}

constexpr const char* settings_text =
    R"(.SH SETTINGS
An option of
.B troupe serve
may also stand in the environment, and in the file that \-\-config names:
.B \-\-journal\-tail
is TROUPE_JOURNAL_TAIL there and journal\-tail here. The command line goes before the environment, that
before the file, that before the default.
.B troupe config check
tells every mistake of a file,
.B troupe config show
where each value comes from. SIGHUP has a running node read access tokens, certificate and log level again.
SESSION_MAX_CONCURRENT, SESSION_HISTORY_LIMIT and SESSION_MAX_AGE_HOURS name \-\-max\-live,
\-\-session\-history\-limit and \-\-session\-max\-age\-hours, too.
.SH FILES
.TP
.I /etc/troupe/troupe.toml
Settings of the packaged service.
.TP
.I /var/lib/troupe
Its store, with the access tokens in
.IR tokens .
.SH EXIT STATUS
0 done, 1 failed or not equal, 2 command line or settings, 65 damaged or foreign store, 73 data
directory in use, 75 disk, network or not now, 78 refused directory or file system, 130 interrupted.
)";

}  // namespace

std::string manual_of(const CLI::App& app) {
  std::string out =
      ".TH TROUPE 1 \"\" \"" + roff(version_text().substr(0, version_text().find('\n')))
      + "\"\n.SH NAME\n"
      + "troupe \\- keeps the state of AI agents\n.SH SYNOPSIS\n.B troupe\n.I COMMAND\n"
      + "[OPTIONS]\n.SH DESCRIPTION\n" + roff(app.get_description()) + "\n.SH OPTIONS\n";
  for (const auto* option : app.get_options())
    add_option(out, *option);
  out += ".SH COMMANDS\n";
  for (const auto* inner :
       app.get_subcommands([](const auto* x) { return !x->get_group().empty(); }))
    add_command(out, *inner, inner->get_name());
  return out + settings_text;
}

}  // namespace troupe::cli
