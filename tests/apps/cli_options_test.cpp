#include "troupe/exit_status.hpp"
#include "troupe/options.hpp"
#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::cli;

namespace {

std::variant<command_line, no_command> read(std::vector<const char*> words) {
  words.insert(words.begin(), "troupe");
  return read_command_line(static_cast<int>(words.size()), words.data());
}

template <class Options>
Options options_of(std::vector<const char*> words) {
  const auto read_line = read(std::move(words));
  const auto* line = std::get_if<command_line>(&read_line);
  REQUIRE(line != nullptr);
  const auto* options = std::get_if<Options>(&line->what);
  REQUIRE(options != nullptr);
  return *options;
}

no_command refusal(std::vector<const char*> words) {
  const auto read_line = read(std::move(words));
  const auto* none = std::get_if<no_command>(&read_line);
  REQUIRE(none != nullptr);
  return *none;
}

bool is_address(const char* text, const char* host, std::uint16_t port) {
  return parse_listen_address(text) == listen_address{host, port};
}

}  // namespace

TEST_CASE("an address has a host and a port") {
  CHECK(is_address("127.0.0.1:7717", "127.0.0.1", 7717));
  CHECK(is_address("[::1]:0", "::1", 0));
  CHECK(is_address("localhost:65535", "localhost", 65535));
  for (const char* bad : {"", ":", ":80", "a", "a:", "a:x", "a:65536", "a:-1", "a:+1", "a: 1",
                          "::1:80", "[::1]", "[]:1", "[::1:80", "a b:1", "http://a:1", "a\x1b:1"})
    CHECK_MESSAGE(!parse_listen_address(bad), bad);
}

TEST_CASE("serve listens on loopback unless it is told otherwise") {
  const auto plain = options_of<serve_options>({"serve", "--data", "d"});
  CHECK(plain.data == "d");
  CHECK(plain.host == "127.0.0.1");
  CHECK(plain.port == 7717);
  const auto v6 = options_of<serve_options>({"serve", "--data", "d", "--listen", "[::1]:0"});
  CHECK(v6.host == "::1");
  CHECK(v6.port == 0);
}

TEST_CASE("serve takes how many sessions live and for how long") {
  const auto plain = options_of<serve_options>({"serve", "--data", "d"});
  CHECK(plain.max_live == 100'000);
  CHECK(plain.idle == std::chrono::minutes{10});
  const auto small =
      options_of<serve_options>({"serve", "--data", "d", "--max-live", "6", "--idle", "0"});
  CHECK(small.max_live == 6);
  CHECK(small.idle == std::chrono::seconds{0});
}

TEST_CASE("replay takes its file and one target and its numbers") {
  const auto plain = options_of<replay_options>({"replay", "f"});
  CHECK(plain.file == "f");
  CHECK_FALSE(plain.data.has_value());
  CHECK_FALSE(plain.node.has_value());
  CHECK(plain.parallel == 64);
  const auto full = options_of<replay_options>({"replay", "--url", "http://h:1", "--prefix", "p",
                                                "--parallel", "3", "--verify-only", "--json", "f"});
  REQUIRE(full.node.has_value());
  CHECK(full.node->port == 1);
  CHECK(full.prefix == "p");
  CHECK(full.parallel == 3);
  CHECK(full.verify_only);
  CHECK(full.json);
  CHECK_FALSE(full.resume);
  CHECK(options_of<replay_options>({"replay", "--url", "http://h:1", "--resume", "f"}).resume);
}

TEST_CASE("inspect lists unless it is told otherwise and takes its options in any place") {
  CHECK(std::holds_alternative<inspect_list>(
      options_of<inspect_options>({"inspect", "--data", "d"}).what));
  const auto show = options_of<inspect_options>({"inspect", "show", "x", "--data", "d", "--json"});
  CHECK(show.json);
  REQUIRE(std::holds_alternative<inspect_show>(show.what));
  CHECK(std::get<inspect_show>(show.what).entity.id == "x");
  CHECK(std::get<inspect_show>(show.what).entity.name_space == "default");
  const auto history =
      options_of<inspect_options>({"inspect", "--data", "d", "history", "x", "--kind", "team",
                                   "--namespace", "n", "--last", "5"});
  REQUIRE(std::holds_alternative<inspect_history>(history.what));
  CHECK(std::get<inspect_history>(history.what).entity == entity_ref{"n", entity_kind::team, "x"});
  CHECK(std::get<inspect_history>(history.what).last == 5);
  const auto journal = options_of<inspect_options>(
      {"inspect", "--data", "d", "journal", "--from", "3", "--to", "9"});
  REQUIRE(std::holds_alternative<inspect_journal>(journal.what));
  CHECK(std::get<inspect_journal>(journal.what).from == 3);
  CHECK(std::get<inspect_journal>(journal.what).to == 9);
}

TEST_CASE("the tools of a store take their directories in the order of the help") {
  const auto plain = options_of<backup_command>({"backup", "d", "to"});
  CHECK(plain.data == "d");
  CHECK(plain.to == "to");
  CHECK_FALSE(plain.compacting);
  CHECK(plain.bytes_per_second == 0);
  const auto full = options_of<backup_command>({"backup", "d", "to", "--compact", "--rate", "2"});
  CHECK(full.compacting);
  CHECK(full.bytes_per_second == 2 << 20);
  CHECK(options_of<restore_command>({"restore", "b", "d"}).from == "b");
  CHECK(options_of<restore_command>({"restore", "b", "d"}).data == "d");
  CHECK(options_of<compact_command>({"compact", "d"}).journal_kept_bytes == 256 << 20);
  CHECK(options_of<compact_command>({"compact", "d", "--journal-kept", "0"}).journal_kept_bytes
        == 0);
  CHECK(options_of<migrate_command>({"migrate", "d", "--dry-run"}).dry_run);
  CHECK_FALSE(options_of<migrate_command>({"migrate", "d"}).dry_run);
  CHECK(options_of<import_command>({"import", "d", "f"}).data == "d");
  CHECK(options_of<import_command>({"import", "d", "f"}).file == "f");
}

TEST_CASE("every tool takes its directory with the name or without and in any place") {
  for (const auto& words : std::vector<std::vector<const char*>>{{"backup", "--data", "d", "to"},
                                                                 {"backup", "to", "--data", "d"},
                                                                 {"backup", "to", "--data=d"},
                                                                 {"backup", "d", "to"}}) {
    const auto read_one = options_of<backup_command>(words);
    CHECK(read_one.data == "d");
    CHECK(read_one.to == "to");
  }
  CHECK(options_of<restore_command>({"restore", "b", "--data", "d"}).from == "b");
  CHECK(options_of<restore_command>({"restore", "--data", "d", "b"}).data == "d");
  CHECK(options_of<import_command>({"import", "f", "--data", "d"}).file == "f");
  CHECK(options_of<compact_command>({"compact", "--data", "d"}).data == "d");
  CHECK(options_of<migrate_command>({"migrate", "--dry-run", "--data=d"}).data == "d");
  CHECK(options_of<export_command>({"export", "--all", "--data", "d"}).data == "d");
  CHECK(options_of<verify_options>({"verify", "d"}).data == "d");
  CHECK(options_of<inspect_options>({"inspect", "d"}).data == "d");
  CHECK(options_of<inspect_options>({"inspect", "d", "stats"}).data == "d");
  const auto shown = options_of<inspect_options>({"inspect", "d", "show", "x"});
  CHECK(shown.data == "d");
  CHECK(std::get<inspect_show>(shown.what).entity.id == "x");
  const auto gone = options_of<token_command>({"token", "revoke", "i", "d"});
  CHECK(gone.data == "d");
  CHECK(std::get<token_revoke>(gone.what).id == "i");
}

TEST_CASE("help names the whole command and the options of the commands above it") {
  const auto create = refusal({"token", "create", "--help"});
  CHECK(create.status == exit_status::ok);
  CHECK_MESSAGE(create.text.find("Usage: troupe token create ") != std::string::npos, create.text);
  CHECK(create.text.find("--data DIR") != std::string::npos);
  const auto serve_help = refusal({"serve", "--help"}).text;
  CHECK(serve_help.find("Usage: troupe serve ") != std::string::npos);
  CHECK(serve_help.find("--log-level") != std::string::npos);
  CHECK(serve_help.find("--log-format") != std::string::npos);
  CHECK(refusal({"config", "check", "--help"}).text.find("Usage: troupe config check ")
        != std::string::npos);
}

TEST_CASE("a word that fits nowhere is told by itself and with what it is like") {
  CHECK(refusal({"serv", "--data", "d"}).text.find("there is no command 'serv': is it `serve`?")
        != std::string::npos);
  CHECK(refusal({"token", "--data", "d", "lst"}).text.find("is it `list`?") != std::string::npos);
  CHECK(refusal({"verify", "d", "--jsn"}).text.find("there is no option '--jsn': is it `--json`?")
        != std::string::npos);
  CHECK(refusal({"serve", "st9"}).text
        == "error: `troupe serve` has no place for 'st9': a directory is given by `--data st9`\n"
           "Try: troupe serve --help\n");
  CHECK(refusal({"serve", "--qouta", "5"}).text.find("is it `--quota`?") != std::string::npos);
  CHECK(refusal({"migrate", "d", "e"}).text.find("`troupe migrate` has no place for 'e'")
        != std::string::npos);
}

TEST_CASE("the version names the format of the store and that of its records") {
  const auto text = refusal({"--version"}).text;
  CHECK(text.find("\nstore format 3\n") != std::string::npos);
  CHECK(text.find("\nrecord format 2") != std::string::npos);
}

TEST_CASE("an export says what it is of and in which format") {
  const auto all = options_of<export_command>({"export", "d", "--all"});
  CHECK_FALSE(all.session);
  CHECK_FALSE(all.kind);
  CHECK(all.format == export_format::jsonl);
  CHECK(all.output.empty());
  const auto one = options_of<export_command>(
      {"export", "d", "--session", "s", "--namespace", "n", "--format", "markdown", "-o", "f"});
  CHECK(one.session == "s");
  CHECK(one.name_space == "n");
  CHECK(one.format == export_format::markdown);
  CHECK(one.output == "f");
  const auto kind =
      options_of<export_command>({"export", "d", "--kind", "team", "--format", "msgpack"});
  CHECK(kind.kind == entity_kind::team);
  CHECK(kind.format == export_format::msgpack);
}

TEST_CASE("a fault of the command line has status 2 and names the help") {
  const std::vector<std::vector<const char*>> faults{
      {"bogus"},
      {"--bogus"},
      {"serve"},
      {"serve", "--data", ""},
      {"serve", "--data", "d", "--listen", "7717"},
      {"serve", "--data", "d", "--max-live", "0"},
      {"serve", "--data", "d", "--idle", "-1"},
      {"replay"},
      {"replay", "f", "--verify-only"},
      {"replay", "f", "--resume"},
      {"replay", "f", "--url", "http://h:1", "--resume", "--verify-only"},
      {"replay", "f", "--data", "d", "--url", "http://h:1"},
      {"replay", "f", "--url", "https://h"},
      {"replay", "f", "--parallel", "0"},
      {"replay", "f", "g"},
      {"inspect", "list"},
      {"inspect", "--data", "d", "show"},
      {"inspect", "--data", "d", "journal", "--from", "x"},
      {"backup", "d"},
      {"backup", "d", ""},
      {"restore", "b"},
      {"compact"},
      {"compact", "d", "--journal-kept", "-1"},
      {"migrate", "d", "e"},
      {"export", "d"},
      {"export", "d", "--all", "--session", "s"},
      {"export", "d", "--all", "--format", "xml"},
      {"export", "d", "--kind", "thing"},
      {"export", "d", "--all", "--namespace", "n"},
      {"import", "d"},
      {"inspect", "--data", "d", "list", "--kind", "x"},
      {"token", "--data", "d"},
      {"token", "create", "--user", "u"},
      {"token", "create", "--data", "d", "--role", "owner"},
      {"token", "revoke", "--data", "d"},
      {"version", "x"},
      {"--log-level", "loud", "version"}};
  for (const auto& words : faults) {
    const auto none = refusal(words);
    CHECK(none.status == exit_status::usage);
    CHECK_MESSAGE(none.text.starts_with("error: "), none.text);
    CHECK_MESSAGE(none.text.find("--help\n") != std::string::npos, none.text);
  }
  CHECK(refusal({}).status == exit_status::usage);
  CHECK(refusal({"a\x1b[31m"}).text.find('\x1b') == std::string::npos);
}

TEST_CASE("tokens are made and listed and revoked in a directory") {
  const auto plain = options_of<token_command>({"token", "create", "--data", "d", "--user", "u"});
  CHECK(plain.data == "d");
  const auto& made = std::get<token_create>(plain.what);
  CHECK(made.user == "u");
  CHECK(made.name_space == "default");
  CHECK(made.held == api::role::writer);
  CHECK_FALSE(made.expires);
  const auto full = options_of<token_command>(
      {"token", "--data", "d", "create", "--role", "admin", "--namespace", "n", "--expires", "9d"});
  CHECK(std::get<token_create>(full.what).held == api::role::admin);
  CHECK(std::get<token_create>(full.what).name_space == "n");
  CHECK(std::get<token_create>(full.what).expires == "9d");
  const auto listed = options_of<token_command>({"token", "list", "--data", "d"});
  CHECK(std::holds_alternative<token_list>(listed.what));
  const auto gone = options_of<token_command>({"token", "revoke", "i", "--data", "d"});
  CHECK(std::get<token_revoke>(gone.what).id == "i");
}

TEST_CASE("every command has help with its exit codes") {
  for (const char* command : {"demo", "serve", "replay", "inspect", "backup", "restore", "compact",
                              "migrate", "export", "import", "token", "simulate"}) {
    const auto help = refusal({command, "--help"});
    CHECK(help.status == exit_status::ok);
    CHECK_MESSAGE(help.text.find("Exit codes:") != std::string::npos, help.text);
    CHECK_MESSAGE(help.text.find("Examples:") != std::string::npos, help.text);
  }
  CHECK(refusal({"--help"}).text.find("demo-writer") == std::string::npos);
  CHECK(refusal({"--version"}).text.starts_with("troupe "));
  CHECK(refusal({"--version"}).status == exit_status::ok);
}
