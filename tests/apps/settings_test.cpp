#include "support/temp_directory.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/options.hpp"
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <vector>

/// What a node is told by file, environment and command line.

using namespace troupe;

namespace {

/// A command line, its environment and its file.
struct told {
  std::map<std::string, std::string> variables{};
  testing::temp_directory dir{};

  std::string file(const std::string& toml) const {
    const auto path = dir.path() / "troupe.toml";
    std::ofstream{path} << toml;
    return path.string();
  }
  [[nodiscard]] auto read(std::vector<const char*> words) const {
    words.insert(words.begin(), "troupe");
    return cli::read_command_line(static_cast<int>(words.size()), words.data(),
                                  [this](const std::string& name) -> std::optional<std::string> {
                                    const auto found = variables.find(name);
                                    return found == variables.end() ? std::nullopt
                                                                    : std::optional{found->second};
                                  });
  }
  [[nodiscard]] cli::command_line line(std::vector<const char*> words) const {
    auto out = read(std::move(words));
    if (const auto* none = std::get_if<cli::no_command>(&out))
      FAIL(none->text);
    return std::get<cli::command_line>(out);
  }
  [[nodiscard]] serve_options options(std::vector<const char*> words) const {
    return std::get<serve_options>(line(std::move(words)).what);
  }
  [[nodiscard]] std::string fault(std::vector<const char*> words) const {
    const auto out = read(std::move(words));
    const auto* none = std::get_if<cli::no_command>(&out);
    return none != nullptr && none->status == cli::exit_status::usage ? none->text : "";
  }
};

}  // namespace

TEST_CASE("the command line goes before the environment and that before the file and the default") {
  told t;
  const auto file = t.file("data = \"/file\"\nmax-live = 3\nidle = 7\n");
  const auto max_live = [&](std::vector<const char*> words) {
    words.insert(words.begin(), "serve");
    return t.options(std::move(words)).max_live;
  };
  CHECK(max_live({"--data=x"}) == 100'000);
  CHECK(max_live({"--config", file.c_str()}) == 3);
  t.variables["SESSION_MAX_CONCURRENT"] = "4";
  CHECK(max_live({"--config", file.c_str()}) == 4);
  t.variables["TROUPE_MAX_LIVE"] = "5";
  CHECK(max_live({"--config", file.c_str()}) == 5);
  CHECK(max_live({"--config", file.c_str(), "--max-live=6"}) == 6);
  CHECK(max_live({"--max-live", "6", "--data=x"}) == 6);
  const auto all = t.options({"serve", "--config", file.c_str()});
  CHECK(all.data == "/file");
  CHECK(all.idle == std::chrono::seconds{7});
}

TEST_CASE("every option of serve may stand in a file and in the environment") {
  const auto all = cli::serve_settings();
  for (const auto* name : {"data", "listen", "journal-tail", "quota", "responder", "log-level"})
    CHECK(std::ranges::count(all, name) == 1);
  for (const auto* none : {"help", "config", "version"})
    CHECK(std::ranges::count(all, none) == 0);
  told t;
  t.variables = {{"TROUPE_DATA", "/d"},
                 {"TROUPE_LISTEN", "127.0.0.1:1"},
                 {"TROUPE_ALLOW_REMOTE_FS", "true"},
                 {"SESSION_MAX_AGE_HOURS", "2"},
                 {"SESSION_HISTORY_LIMIT", "9"}};
  t.variables["TROUPE_CONFIG"] = t.file("log-level = \"debug\"\nlog-format = 'json'\n");
  const auto line = t.line({"serve"});
  const auto& out = std::get<serve_options>(line.what);
  CHECK(out.port == 1);
  CHECK(out.allow_remote_fs);
  CHECK(out.agents.max_age_hours == 2);
  CHECK(out.agents.history_limit == 9);
  CHECK(line.log_level == "debug");
  CHECK(line.format == cli::log_format::json);
}

TEST_CASE("all mistakes of a file are told at once each with its line") {
  told t;
  const auto file = t.file(
      "# a node\ndata = \"x\"\nmax-life = 3\n\njournal-tail = 12\nlisten = \"nowhere\"\n"
      "[section]\nidle = 1\n");
  const auto text = t.fault({"serve", "--config", file.c_str()});
  CAPTURE(text);
  CHECK(text.find(file + ":3: there is no setting `max-life`: is it `max-live`?")
        != std::string::npos);
  CHECK(text.find(file + ":5: --journal-tail: ") != std::string::npos);
  CHECK(text.find(file + ":6: --listen: the address has no port") != std::string::npos);
  CHECK(text.find(file + ":7: `section` is a table") != std::string::npos);
  CHECK(std::ranges::count(text, '\n') == 5);  // and where to look for help
  CHECK(t.fault({"serve", "--config", t.file("data = \n").c_str()}).find(":1: ")
        != std::string::npos);
  CHECK(t.fault({"serve", "--config", "/nowhere/troupe.toml"}).find("cannot be read")
        != std::string::npos);
}

TEST_CASE("a mistake in the environment names the variable") {
  told t;
  t.variables = {{"SESSION_MAX_CONCURRENT", "many"}, {"TROUPE_LISTEN", "nowhere"}};
  const auto text = t.fault({"serve", "--data=x"});
  CHECK(text.find("error: SESSION_MAX_CONCURRENT: --max-live: ") != std::string::npos);
  CHECK(text.find("error: TROUPE_LISTEN: --listen: ") != std::string::npos);
}

TEST_CASE("other commands and help know no file and no environment") {
  told t;
  t.variables = {{"TROUPE_DATA", "/d"}, {"TROUPE_CONFIG", "/nowhere"}};
  CHECK(t.fault({"verify"}).find("--data is required") != std::string::npos);
  const auto help = t.read({"serve", "--help"});
  CHECK(std::get<cli::no_command>(help).status == cli::exit_status::ok);
}

TEST_CASE("a log level is read anew where the file has changed and stays where it was overridden") {
  told t;
  const auto file = t.file("data = \"x\"\nlog-level = \"info\"\n");
  const auto node = t.options({"serve", "--config", file.c_str()});
  const auto fixed = t.options({"serve", "--config", file.c_str(), "--log-level=err"});
  CHECK(node.log_level_now() == "info");
  t.file("data = \"x\"\nlog-level = \"debug\"\n");
  CHECK(node.log_level_now() == "debug");
  CHECK(fixed.log_level_now() == "err");
  t.file("log-level = \"loud\"\n");
  const auto fault = node.log_level_now();
  REQUIRE_FALSE(fault);
  CHECK(fault.error().message.find(":1: --log-level: ") != std::string::npos);
  CHECK(std::ranges::count(fault.error().message, '\n') == 0);
}

TEST_CASE("config check is one of the exit codes and takes the packaged file") {
  told t;
  CHECK(cli::check_config({t.file("data = \"x\"\n")}) == cli::exit_status::ok);
  CHECK(cli::check_config({t.file("dat = 1\n")}) == cli::exit_status::usage);
  CHECK(cli::check_config({TROUPE_TEST_DIR "/../apps/packaging/troupe.toml"})
        == cli::exit_status::ok);
}

TEST_CASE("manual and completion name every command and every option of serve") {
  cli::describe([](const CLI::App& app) {
    const auto manual = cli::manual_of(app);
    for (const auto* shell : {"bash", "zsh", "fish"}) {
      const auto completion = cli::completion_of(app, shell);
      for (const auto& name : cli::serve_settings())
        CHECK_MESSAGE(completion.find(name) != std::string::npos, name);
      CHECK(completion.find("demo-writer") == std::string::npos);
    }
    for (auto name : cli::serve_settings()) {
      for (auto at = name.find('-'); at != std::string::npos; at = name.find('-', at + 2))
        name.insert(at, "\\");
      CHECK_MESSAGE(manual.find("\\-\\-" + name) != std::string::npos, name);
    }
    CHECK(manual.find(".SS troupe token create\n") != std::string::npos);
    CHECK(manual.find("demo") != std::string::npos);
    CHECK(manual.find("demo\\-writer") == std::string::npos);
  });
}
