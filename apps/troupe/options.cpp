#include "troupe/options.hpp"

#include "simulate/command_line.hpp"
#include "troupe/exit_status.hpp"
#include "troupe/help.hpp"
#include "troupe/number_range.hpp"
#include "troupe/serve_flags.hpp"
#include "troupe/text.hpp"
#include "troupe/tool_options.hpp"
#include "troupe/versions.hpp"
#include <CLI/CLI.hpp>

#include <algorithm>
#include <functional>
#include <utility>

namespace troupe::cli {

namespace {

constexpr const char* default_listen = "127.0.0.1:7717";

constexpr const char* overview =
    R"(Keeps the state of AI agents: conversations that outlive their process.

Start with `troupe demo`. `troupe COMMAND --help` has the details of each command.)";

constexpr const char* exit_codes =
    R"(Exit codes: 0 done, 1 failed or not equal, 2 command line, 65 damaged or foreign store,
73 data directory in use, 75 disk, network or not now, 78 refused directory or file system,
130 interrupted)";

}  // namespace

std::string footer(const char* examples) {
  return "Examples:\n" + std::string{examples} + '\n' + exit_codes;
}

namespace {

/// The command line as CLI11 fills it: strings first, what they mean afterwards.
class parser {
public:
  parser() {
    app_.formatter(std::make_shared<help_formatter>());
    app_.require_subcommand(1);
    app_.set_version_flag("--version", version_text());
    app_.set_help_flag("-h,--help", "Show this text");
    app_.failure_message(CLI::FailureMessage::simple);
    app_.add_option("--log-level", log_level_,
                    "trace, debug, info, warn, err or off; logs go to standard error")
        ->check(CLI::IsMember({"trace", "debug", "info", "warn", "err", "off"}))
        ->type_name("LEVEL")
        ->capture_default_str();
    app_.add_option("--log-format", log_format_, "text, or json: one object a line")
        ->check(CLI::IsMember({"text", "json"}))
        ->type_name("FORMAT")
        ->capture_default_str();
    app_.fallthrough();
    app_.footer(exit_codes);
    add_demo();
    add_serve();
    add_replay();
    simulation_.add_to(
        [this](const char* name, const char* what,
               std::function<simulate::simulate_options()> make) {
          return add_command(name, what, [make = std::move(make)]() -> command { return make(); });
        },
        footer);
    add_inspect();
    tools_.add_to([this](const char* name, const char* what, std::function<command()> make) {
      return add_command(name, what, std::move(make));
    });
    add_verify();
    add_token();
    meta_.add_to([this](const char* name, const char* what, std::function<command()> make) {
      return add_command(name, what, std::move(make));
    });
    add_version();
    add_demo_writer();
  }

  [[nodiscard]] const CLI::App& app() const { return app_; }

  /// The words of a command line, without the program's name.
  std::variant<command_line, no_command> run(const std::vector<std::string>& words) {
    std::vector<const char*> all{"troupe"};
    for (const auto& word : words)
      all.push_back(word.c_str());
    return run(static_cast<int>(all.size()), all.data());
  }

  std::variant<command_line, no_command> run(int argc, const char* const* argv) {
    if (argc < 2)
      return no_command{exit_status::usage, app_.help()};
    try {
      app_.parse(argc, argv);
      return command_line{chosen_(), log_level_,
                          log_format_ == "json" ? log_format::json : log_format::text};
    } catch (const CLI::CallForHelp&) {
      return no_command{exit_status::ok, app_.help()};
    } catch (const CLI::CallForVersion&) {
      return no_command{exit_status::ok, version_text() + '\n'};
    } catch (const CLI::Error& fault) {
      const auto extra = app_.remaining(true);
      const bool unexpected = dynamic_cast<const CLI::ExtrasError*>(&fault) != nullptr
                              || dynamic_cast<const CLI::RequiredError*>(&fault) != nullptr
                              || asked(app_).get_require_subcommand_min() > 0;
      const auto what = unexpected && !extra.empty() ? unexpected_words(asked(app_), extra)
                                                     : std::string{fault.what()};
      const bool of_several = dynamic_cast<const CLI::RequiresError*>(&fault) != nullptr
                              || dynamic_cast<const CLI::ExcludesError*>(&fault) != nullptr;
      return no_command{
          exit_status::usage,
          "error: " + escape_controls(what) + "\nTry: " + call_of(asked(app_)) + " --help\n",
          of_several};
    }
  }

private:
  CLI::App* add_command(const char* name, const char* what, std::function<command()> make) {
    auto* sub = app_.add_subcommand(name, what);
    sub->parse_complete_callback([this, make = std::move(make)] { chosen_ = make; });
    return sub;
  }

  void add_listen(CLI::App* sub) {
    sub->add_option("--listen", listen_, "Address to listen on; port 0 picks a free one")
        ->type_name("HOST:PORT")
        ->default_str(default_listen)
        ->check([](const std::string& text) {
          const auto read = parse_listen_address(text);
          return read ? std::string{} : read.error().message;
        });
  }

  CLI::Option* add_data(CLI::App* sub, const char* what, const char* name = "--data") {
    return sub->add_option(name, data_, what)->type_name("DIR")->check([](const std::string& text) {
      return text.empty() ? std::string{"a directory has a name"} : std::string{};
    });
  }

  /// Of a tool, which takes it with the name or without. Not required as CLI11 has it: the name of
  /// a command below would be taken for the directory then.
  void add_store(CLI::App* sub, const char* what) {
    add_data(sub, what, "DIR,--data")->option_text("REQUIRED");
  }

  [[nodiscard]] const std::string& needed_data() const {
    if (data_.empty())
      throw CLI::RequiredError("--data");
    return data_;
  }

  void add_remote_fs(CLI::App* sub) {
    sub->add_flag(
        "--allow-remote-fs", allow_remote_fs_,
        "Open the store on NFS, SMB, 9p, FUSE and the like, which is refused otherwise: a "
        "lock and a sync may not hold there what they hold on a local disk");
  }

  void add_demo() {
    auto* sub = add_command(
        "demo",
        "Show what Troupe is for, in a few seconds: another process writes conversations and is\n"
        "killed; this one opens the store, compares every item, and goes on serving them",
        [this] {
          const auto at = *parse_listen_address(listen_);
          return demo_options{
              .data = optional_data(), .host = at.host, .port = at.port, .once = once_};
        });
    add_data(sub,
             "Where the store goes; default: $XDG_STATE_HOME or ~/.local/state, then troupe/demo");
    add_listen(sub);
    sub->add_flag("--once", once_, "End when everything was compared, instead of serving");
    sub->footer(footer("  troupe demo\n  troupe demo --data /tmp/show --once\n"));
  }

  void add_serve() {
    auto* sub = add_command(
        "serve", "Run a node: the HTTP API over a store, until Ctrl-C or SIGTERM", [this] {
          const auto at = *parse_listen_address(listen_);
          serve_options out{
              .data = data_, .host = at.host, .port = at.port, .allow_remote_fs = allow_remote_fs_};
          serve_flags_.apply(out);
          return out;
        });
    sub->add_option("--config", config_,
                    "Settings file (TOML): any option here without its dashes. An option may stand "
                    "in the environment, too: TROUPE_JOURNAL_TAIL. This command line goes before "
                    "the environment, that before the file")
        ->type_name("FILE");
    add_data(sub, "Directory of the store; made when it is not there")->required();
    add_listen(sub);
    add_remote_fs(sub);
    serve_flags_.add_to(sub);
    sub->footer(
        footer("  troupe serve --data /var/lib/troupe\n"
               "  troupe serve --config /etc/troupe/troupe.toml\n"
               "  troupe serve --data state --listen [::1]:0     # prints the port it picked\n"));
  }

  void add_replay() {
    auto* sub = add_command(
        "replay",
        "Write recorded conversations, every message one durable append, then read everything "
        "back\n"
        "and compare it item by item. An embedded store is closed and opened again in between.\n"
        "FILE has one JSON object a line: {\"id\", \"user\"?, \"messages\": [{...}, ...]}",
        [this] { return chosen_replay(); });
    sub->add_option("FILE", file_, "Recorded conversations")->required()->type_name(" ");
    auto* data =
        add_data(sub, "Directory of the store; default: a temporary one, removed afterwards");
    sub->add_option("--url", url_, "A node to replay to over HTTP, instead of an embedded store")
        ->type_name("http://HOST:PORT")
        ->excludes(data)
        ->check([](const std::string& text) {
          const auto read = http::parse_url(text);
          return read ? std::string{} : read.error().message;
        });
    sub->add_option("--prefix", prefix_, "Put in front of every session's id")->type_name("TEXT");
    sub->add_option("--parallel", parallel_, "Conversations in flight; each is strictly sequential")
        ->type_name("N")
        ->check(CLI::Range(1, 4096))
        ->default_str(std::to_string(default_parallel));
    sub->add_option("--reconnect", reconnect_,
                    "Seconds that a node may be away, with --url: what it did not answer is sent "
                    "again, and made once")
        ->type_name("TIME")
        ->transform(number_range{0, 86'400, "seconds"})
        ->default_str("0");
    auto* resume = sub->add_flag(
        "--resume", resume_,
        "Go on with a replay that ended early, with --url: what it wrote in the last 24 hours is "
        "not written again");
    sub->add_flag("--verify-only", verify_only_,
                  "Write nothing: compare what is there; needs --data or --url")
        ->excludes(resume);
    sub->add_flag("--json", json_, "Print the table as one JSON object");
    sub->footer(
        footer("  troupe replay calls.jsonl\n"
               "  troupe replay calls.jsonl --data state && troupe replay calls.jsonl --data state "
               "--verify-only\n"
               "  troupe replay calls.jsonl --url http://127.0.0.1:7717 --prefix today-\n"));
  }

  void add_inspect() {
    auto* sub = add_command(
        "inspect",
        "Look into a store that no process has open; no record is written. Without a further word: "
        "list",
        [this] {
          return inspect_options{.data = needed_data(),
                                 .what = inspected_,
                                 .json = json_,
                                 .allow_remote_fs = allow_remote_fs_};
        });
    add_store(sub, "Directory of the store");
    add_remote_fs(sub);
    sub->add_flag("--json", json_, "For programs: one JSON object a line");
    sub->require_subcommand(0, 1);
    sub->fallthrough();
    sub->footer(
        footer("  troupe inspect --data state\n  troupe inspect --data state show demo-hello\n"
               "  troupe inspect --data state history demo-hello --last 5\n"
               "  troupe inspect --data state journal --last 20 --json\n"));
    const auto add = [&](const char* name, const char* what, auto make) {
      auto* inner = sub->add_subcommand(name, what);
      inner->parse_complete_callback([this, make] { inspected_ = make(); });
      return inner;
    };
    auto* list = add("list", "Every entity with its revision and whether it is deleted",
                     [this] { return inspect_list{optional_kind(kind_)}; });
    add_kind(list, "Only entities of this kind");
    const auto add_one = [&](const char* name, const char* what, auto make) {
      auto* inner = add(name, what, make);
      inner->add_option("ID", shown_, "The entity's id")->required()->type_name(" ");
      inner->add_option("--namespace", name_space_, "The namespace it is in")
          ->type_name("NAME")
          ->capture_default_str();
      add_kind(inner, "What it is")->default_str("session");
      return inner;
    };
    add_one("show", "One entity as JSON: what it is, its state, its history",
            [this] { return inspect_show{shown_entity()}; });
    auto* history = add_one(
        "history",
        "The items of one entity, oldest first, a line each; --json has their texts whole", [this] {
          return inspect_history{shown_entity(), last_};
        });
    history->add_option("--last", last_, "Only the newest N")->type_name("N");
    auto* journal =
        add("journal",
            "Every change in the order of commits: position, time, revision, bytes, what it did",
            [this] {
              return inspect_journal{from_, to_, last_};
            });
    journal->add_option("--from", from_, "First position")->type_name("N");
    journal->add_option("--to", to_, "Last position")->type_name("N");
    journal->add_option("--last", last_, "Only the newest N of them")->type_name("N");
    add("stats", "Counts and sizes", [] { return inspect_stats{}; });
  }

  void add_verify() {
    auto* sub = add_command(
        "verify",
        "Check all of a store that no process has open: every page, record, checksum and "
        "invariant.\n"
        "Names what is damaged. Reads in a process of its own, which nothing in a file can take "
        "along;\nchanges nothing",
        [this] {
          return verify_options{
              .data = needed_data(), .json = json_, .allow_remote_fs = allow_remote_fs_};
        });
    add_store(sub, "Directory of the store");
    sub->add_flag("--json", json_, "For programs: one JSON object");
    add_remote_fs(sub);
    sub->footer(footer("  troupe verify --data /var/lib/troupe\n"));
  }

  void add_version() {
    add_command("version", "The versions of Troupe, of what it was built with, and of its format",
                [] { return version_options{}; });
  }

  void add_demo_writer() {
    auto* sub = add_command("demo-writer", "", [this] {
      return demo_writer_options{data_, parent_};
    });
    sub->group("");  // hidden
    add_data(sub, "")->required();
    sub->add_option("--parent", parent_)->required();
  }

  void add_token() {
    auto* sub = add_command(
        "token",
        "Access tokens of a store. Once there is one, a node asks everybody for a token, on any "
        "address; a node that runs\nnotices what is changed here within a second",
        [this] {
          return token_command{needed_data(), token_};
        });
    add_store(sub, "Directory of the store; `create` makes it when it is not there");
    sub->require_subcommand(1);
    sub->fallthrough();
    sub->footer(
        footer("  troupe token create --data state --user ann --role writer --expires 90d\n"
               "  troupe token list --data state\n"
               "  troupe token revoke 4f0c5a1e9b7d2386 --data state\n"));
    const auto add = [&](const char* name, const char* what, auto make) {
      auto* inner = sub->add_subcommand(name, what);
      inner->parse_complete_callback([this, make] { token_ = make(); });
      return inner;
    };
    auto* create =
        add("create", "Print a new token: the only time that it is shown; kept is a hash", [this] {
          return token_create{.user = user_,
                              .name_space = name_space_,
                              .held = *api::role_named(role_),
                              .expires = expires_.empty() ? std::nullopt : std::optional{expires_}};
        });
    create->add_option("--user", user_, "Whose entities it is for; an admin needs none")
        ->type_name("USER");
    create->add_option("--namespace", name_space_, "The namespace it is in")
        ->type_name("NAME")
        ->capture_default_str();
    create->add_option("--role", role_, "reader; writer: what is the user's; admin: the namespace")
        ->check(CLI::IsMember({"reader", "writer", "admin"}))
        ->type_name("ROLE")
        ->capture_default_str();
    create->add_option("--expires", expires_, "90d, 12h, 30m or a time of RFC 3339; default: never")
        ->type_name("WHEN");
    add("list", "Id, role, expiry, namespace and user of each, and whether it has expired",
        [] { return token_list{}; });
    auto* revoke = add("revoke", "End a token and the streams that were opened with it",
                       [this] { return token_revoke{shown_}; });
    revoke->add_option("ID", shown_, "The token's id, its second part; or the whole token")
        ->required()
        ->type_name(" ");
  }

  CLI::Option* add_kind(CLI::App* sub, const char* what) {
    return sub->add_option("--kind", kind_, what)
        ->type_name("KIND")
        ->check(CLI::IsMember(kind_names()));
  }

  [[nodiscard]] entity_ref shown_entity() const {
    return {name_space_, optional_kind(kind_).value_or(entity_kind::session), shown_};
  }

  [[nodiscard]] std::optional<std::filesystem::path> optional_data() const {
    return data_.empty() ? std::nullopt : std::optional<std::filesystem::path>{data_};
  }

  command chosen_replay() const {
    if (verify_only_ && data_.empty() && url_.empty())
      throw CLI::ValidationError("--verify-only",
                                 "it compares what is there, so it needs --data or --url");
    if (resume_ && url_.empty())
      throw CLI::ValidationError("--resume", "a node knows what it made once, so it needs --url");
    replay_options out{.file = file_, .data = optional_data()};
    if (!url_.empty())
      out.node = *http::parse_url(url_);
    out.prefix = prefix_;
    out.parallel = parallel_;
    out.reconnect = std::chrono::seconds{reconnect_};
    out.resume = resume_;
    out.verify_only = verify_only_;
    out.json = json_;
    return out;
  }

  CLI::App app_{overview, "troupe"};
  std::function<command()> chosen_;
  std::string log_level_ = "info";
  std::string log_format_ = "text";
  std::string data_;
  bool allow_remote_fs_ = false;
  std::string listen_ = default_listen;
  std::string file_;
  std::string url_;
  std::string prefix_;
  std::size_t parallel_ = default_parallel;
  int reconnect_ = 0;
  bool once_ = false;
  bool resume_ = false;
  bool verify_only_ = false;
  bool json_ = false;
  std::string shown_;
  std::string name_space_ = "default";
  std::uint64_t from_ = 1;
  std::uint64_t to_ = inspect_journal{}.to;
  pid_t parent_ = 0;
  std::string kind_;
  std::size_t last_ = 0;
  decltype(inspect_options::what) inspected_;
  decltype(token_command::what) token_;
  std::string user_;
  std::string role_ = "writer";
  std::string expires_;
  std::string config_;
  tool_options tools_;
  serve_flags serve_flags_;
  meta_options meta_;
  simulate::command_line simulation_;
};

}  // namespace

std::variant<command_line, no_command> read_words(const std::vector<std::string>& words) {
  return parser{}.run(data_first(words));
}

void describe(const std::function<void(const CLI::App&)>& to) {
  const parser all;
  to(all.app());
}

}  // namespace troupe::cli
