#include "support/temp_directory.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/options.hpp"
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
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
    return cli::read_command_line(static_cast<int>(words.size()), words.data(), variables);
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

/// What `troupe config check` prints of a file.
std::string checked(const std::string& file) {
  const testing::temp_directory dir;
  const auto to = (dir.path() / "out").string();
  std::fflush(stdout);
  const int before = ::dup(STDOUT_FILENO);
  const int out = ::open(to.c_str(), O_WRONLY | O_CREAT, 0600);
  ::dup2(out, STDOUT_FILENO);
  cli::check_config({file});
  std::fflush(stdout);
  ::dup2(before, STDOUT_FILENO);
  ::close(before);
  ::close(out);
  std::ifstream in{to};
  return {std::istreambuf_iterator<char>{in}, {}};
}

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
  CHECK(node.settings_again()->log_level == "info");
  CHECK(node.settings_again()->changed.empty());
  t.file("data = \"x\"\nlog-level = \"debug\"\n");
  CHECK(node.settings_again()->log_level == "debug");
  CHECK(node.settings_again()->changed.empty());
  CHECK(fixed.settings_again()->log_level == "err");
  t.file("log-level = \"loud\"\n");
  const auto fault = node.settings_again();
  REQUIRE_FALSE(fault);
  CHECK(fault.error().message.find(":1: --log-level: ") != std::string::npos);
  CHECK(std::ranges::count(fault.error().message, '\n') == 0);
}

TEST_CASE("a look at the settings of a running node names those that ask for a restart") {
  told t;
  const auto file = t.file("data = \"x\"\nidle = 5\nquota = 0\n");
  const auto node = t.options({"serve", "--config", file.c_str(), "--max-live=9"});
  t.file("data = \"x\"\nidle = 6\nlisten = \"[::1]:1\"\nmax-live = 3\nlog-level = \"err\"\n");
  const auto now = node.settings_again();
  REQUIRE(now);
  CHECK(now->log_level == "err");
  CHECK(now->changed == std::vector<std::string>{"idle", "listen", "quota"});
}

TEST_CASE("a mistyped setting is told with the nearest one in all three places") {
  told t;
  CHECK(t.fault({"serve", "--data=x", "--journal-tial", "5"})
            .find("there is no option '--journal-tial': is it `--journal-tail`?")
        != std::string::npos);
  t.variables["TROUPE_JOURNAL_TIAL"] = "5";
  CHECK(t.fault({"serve", "--data=x"}).find("is it `TROUPE_JOURNAL_TAIL`?") != std::string::npos);
  CHECK(t.fault({"serve", "--config", t.file("journal-tial = 5\n").c_str()})
            .find("is it `journal-tail`?")
        != std::string::npos);
}

TEST_CASE("a variable that is like no setting is logged and does not keep a node from starting") {
  told t;
  t.variables = {{"TROUPE_SERVICE_HOST", "10.0.0.1"},
                 {"TROUPE_PORT", "tcp://10.0.0.1:7717"},
                 {"TROUPE_MAX_LIVE", "3"}};
  const auto line = t.line({"serve", "--data=x"});
  CHECK(line.warnings
        == std::vector<std::string>{"the variable TROUPE_PORT is no setting",
                                    "the variable TROUPE_SERVICE_HOST is no setting"});
  CHECK(t.line({"verify", "x"}).warnings.empty());
}

TEST_CASE("a number that is none is refused with what is expected") {
  told t;
  const auto says = [&](std::vector<const char*> words, std::string_view what) {
    words.insert(words.begin(), {"serve", "--data=x"});
    const auto text = t.fault(words);
    CHECK_MESSAGE(text.find(what) != std::string::npos, text);
  };
  says({"--idle=ten minutes"}, "a whole number of seconds");
  says({"--journal-tail", "64M"}, "a whole number of bytes, digits alone and without a unit");
  says({"--idle=1.5"}, "a whole number of seconds");
  says({"--idle=99999999999999999999"}, "is not from 0 to 1,000,000,000 seconds");
  says({"--quota=10"}, "10 is not 0, nor from 8,388,608 to");
  CHECK(t.options({"serve", "--data=x", "--quota=0"}).quota_bytes == 0);
  CHECK(t.options({"serve", "--data=x", "--quota=8388608"}).quota_bytes == 8'388'608);
  CHECK(t.fault({"serve", "--config", t.file("listen = 127.0.0.1:1\n").c_str()})
            .find("text stands in quotes")
        != std::string::npos);
}

TEST_CASE("what is said of an endpoint is refused without its responder") {
  told t;
  CHECK(t.fault({"serve", "--data=x", "--openai-model=m"})
            .find("--openai-model requires --responder openai")
        != std::string::npos);
  CHECK(t.fault({"serve", "--data=x", "--responder=openai"})
            .find("--responder openai requires --openai-model")
        != std::string::npos);
  const auto both = t.options({"serve", "--data=x", "--responder=openai", "--openai-model=m"});
  CHECK(both.agents.model == "m");
  CHECK(cli::check_config({t.file("responder = \"openai\"\n")}) == cli::exit_status::usage);
  CHECK(cli::check_config({t.file("responder = \"openai\"\nopenai-model = \"m\"\n")})
        == cli::exit_status::ok);
  CHECK(cli::check_config({t.file("openai-model = \"m\"\n")}) == cli::exit_status::usage);
}

TEST_CASE("config check reads the files that a setting names") {
  told t;
  const auto key = t.dir.path() / "key";
  const auto file = t.file("responder = \"openai\"\nopenai-model = \"m\"\nopenai-key-file = \""
                           + key.string() + "\"\n");
  const auto options = t.options({"serve", "--data=x", "--config", file.c_str()});
  const auto absent = check_files(options);
  REQUIRE_FALSE(absent);
  CHECK(absent.error().message == "cannot read " + key.string() + ": No such file or directory");
  CHECK(cli::check_config({file}) == cli::exit_status::usage);
  std::ofstream{key} << "\n";
  CHECK(check_files(options).error().message.find("has no key") != std::string::npos);
  std::ofstream{key} << "secret\n";
  CHECK(check_files(options));
  CHECK(cli::check_config({file}) == cli::exit_status::ok);
}

TEST_CASE("config check tells every mistake with its line and none that follows from another") {
  told t;
  const auto file = t.file(
      "idel = 3\n"
      "tls-cert = \"/c\"\n"
      "allow-remote-fs = \"yes\"\n"
      "listen = 127.0.0.1:1\n"
      "idle = 5\n"
      "max-live = 1\n"
      "idle = 6\n"
      "[serve]\n"
      "quota = 1\n"
      "openai-model = \"m\n"
      "openai-url\n"
      "reserve =\n"
      "openai-key-file = \"/k\"\n");
  const auto text = checked(file);
  CAPTURE(text);
  const auto says = [&](int line, const std::string& what) {
    return text.find(file + ':' + std::to_string(line) + ": " + what) != std::string::npos;
  };
  CHECK(says(1, "there is no setting `idel`: is it `idle`?\n"));
  CHECK(says(2, "--tls-cert requires --tls-key\n"));
  CHECK(says(3, "`allow-remote-fs` is true or false, without quotes\n"));
  CHECK(says(4, ""));
  CHECK(text.find("text stands in quotes: name = \"text\"\n") != std::string::npos);
  CHECK(says(7, "`idle` stands in line 5 already: leave one of them out\n"));
  CHECK(says(8, "`serve` is a table"));
  CHECK(says(9, "--quota: "));
  CHECK(says(10, "the quote is not closed: name = \"text\"\n"));
  CHECK(says(11, "a line is `name = value`, or a comment behind `#`\n"));
  CHECK(says(12, "the value is missing: name = value\n"));
  CHECK(says(13, "--openai-key-file requires --responder openai\n"));
  CHECK(std::ranges::count(text, '\n') == 11);
}

TEST_CASE("a value that cannot be used is told once and not what would need it") {
  told t;
  const auto text = checked(t.file("responder = \"other\"\nopenai-model = \"m\"\n"));
  CHECK_MESSAGE(text.find(":1: --responder: ") != std::string::npos, text);
  CHECK(std::ranges::count(text, '\n') == 1);
}

TEST_CASE("config check names the variables that are no settings") {
  told t;
  const auto file = t.file("data = \"x\"\n");
  ::setenv("TROUPE_SOMETHING_ELSE", "1", 1);
  const auto text = checked(file);
  ::unsetenv("TROUPE_SOMETHING_ELSE");
  CHECK(text.find("warning: the variable TROUPE_SOMETHING_ELSE is no setting\n")
        != std::string::npos);
  CHECK(text.find("no mistake") != std::string::npos);
  t.variables = {{"TROUPE_IDEL", "1"}};
  CHECK(t.fault({"serve", "--data=x"}).find("is it `TROUPE_IDLE`?") != std::string::npos);
}

TEST_CASE("config check is one of the exit codes and takes the packaged file") {
  told t;
  CHECK(cli::check_config({t.file("data = \"x\"\n")}) == cli::exit_status::ok);
  CHECK(cli::check_config({t.file("dat = 1\n")}) == cli::exit_status::usage);
  CHECK(cli::check_config({TROUPE_TEST_DIR "/../apps/packaging/troupe.toml"})
        == cli::exit_status::ok);
}

TEST_CASE("settings that need each other are right together and told when one is missing") {
  told t;
  const auto both = t.file("data = \"x\"\ntls-cert = \"/c\"\ntls-key = \"/k\"\n");
  CHECK(t.options({"serve", "--config", both.c_str()}).tls.has_value());
  const auto unread = check_files(t.options({"serve", "--config", both.c_str()}));
  REQUIRE_FALSE(unread);
  CHECK(unread.error().message == "cannot read /c: No such file or directory");
  const auto one = t.file("data = \"x\"\ntls-cert = \"/c\"\n");
  CHECK(cli::check_config({one}) == cli::exit_status::usage);
  CHECK(t.fault({"serve", "--config", one.c_str()}).find("--tls-key") != std::string::npos);
  CHECK(t.options({"serve", "--config", one.c_str(), "--tls-key=/k"}).tls.has_value());
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
    const auto bash = cli::completion_of(app, "bash");
    CHECK(bash.find("' serve --responder') words='builtin openai'") != std::string::npos);
    CHECK(bash.find("' serve --log-level') words='trace debug info warn err off'")
          != std::string::npos);
    CHECK(bash.find("' token create --role') words='") != std::string::npos);
    CHECK(bash.find("' completion') words='bash zsh fish ") != std::string::npos);
    CHECK(manual.find("demo\\-writer") == std::string::npos);
  });
}
