// PostgreSQL with the same tables as SQLite has here: prepared statements, one statement (so one
// round trip and one commit) for each change, a pool of connections; the server commits in groups
// by itself. The server is ours, on a socket in its folder.

#include "simulate/peers/item_text.hpp"
#include "simulate/peers/peers.hpp"

#ifndef TROUPE_SIMULATE_POSTGRES

namespace troupe::simulate {

expected<std::unique_ptr<driver>> open_postgres(const workload&, const peer_options&) {
  return fail(errc::not_supported, "built without PostgreSQL: install libpq-dev and build again");
}

}  // namespace troupe::simulate

#else

#include "simulate/metrics_text.hpp"
#include "simulate/peers/server_process.hpp"
#include "simulate/pool.hpp"
#include "simulate/troupe_commands.hpp"
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace troupe::simulate {

namespace {

constexpr const char* schema = R"(
CREATE TABLE sessions(session_id text PRIMARY KEY, owner text, created_at bigint, updated_at bigint,
  last bigint DEFAULT 0, count bigint DEFAULT 0, prompt_tokens bigint DEFAULT 0,
  completion_tokens bigint DEFAULT 0) WITH (fillfactor = 70);
CREATE TABLE messages(session_id text NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY, message text NOT NULL,
  PRIMARY KEY(session_id, id));
CREATE TABLE checkpoints(session_id text, name text, last_message bigint, last bigint, count bigint,
  PRIMARY KEY(session_id, name));
CREATE TABLE nodes(workflow text, node text, status text, result text, PRIMARY KEY(workflow, node));
CREATE TABLE cache(key text PRIMARY KEY, output text);
)";

struct prepared {
  const char* name;
  const char* sql;
};
constexpr std::array statements{
    prepared{
        "create",
        "INSERT INTO sessions(session_id, owner, created_at, updated_at) VALUES($1, $2, $3, $3) "
        "ON CONFLICT DO NOTHING"},
    prepared{"append1",
             "WITH m AS (INSERT INTO messages(session_id, message) VALUES($1, $3)) "
             "UPDATE sessions SET updated_at = $2 WHERE session_id = $1"},
    prepared{"append2",
             "WITH m AS (INSERT INTO messages(session_id, message) VALUES($1, $3), ($1, $4)) "
             "UPDATE sessions SET updated_at = $2 WHERE session_id = $1"},
    prepared{
        "seed",
        "WITH s AS (INSERT INTO sessions(session_id, owner, created_at, updated_at) VALUES($1, "
        "$2, 0, 0)) INSERT INTO messages(session_id, message) SELECT $1, m FROM unnest($3::text[]) "
        "WITH ORDINALITY AS all_of(m, n) ORDER BY n"},
    prepared{"history",
             "SELECT message FROM messages WHERE session_id = $1 ORDER BY id DESC LIMIT $2"},
    prepared{"all", "SELECT message FROM messages WHERE session_id = $1 ORDER BY id"},
    prepared{
        "note",
        "INSERT INTO sessions AS s(session_id, created_at, updated_at, last, count) VALUES($1, "
        "$3, $3, $2, 1) ON CONFLICT (session_id) DO UPDATE SET last = $2, count = s.count + 1, "
        "updated_at = $3"},
    prepared{"state", "SELECT last, count FROM sessions WHERE session_id = $1"},
    prepared{"usage",
             "UPDATE sessions SET prompt_tokens = prompt_tokens + $2, completion_tokens = "
             "completion_tokens + $3 WHERE session_id = $1"},
    prepared{"checkpoint",
             "INSERT INTO checkpoints SELECT session_id, $2, (SELECT max(id) FROM messages WHERE "
             "session_id = $1), last, count FROM sessions WHERE session_id = $1"},
    prepared{
        "fork",
        "WITH s AS (INSERT INTO sessions SELECT $1, owner, $3, $3, last, count, prompt_tokens, "
        "completion_tokens FROM sessions WHERE session_id = $2) INSERT INTO messages(session_id, "
        "message) SELECT $1, message FROM messages WHERE session_id = $2 ORDER BY id"},
    prepared{"message",
             "WITH m AS (INSERT INTO messages(session_id, message) VALUES($1, $3)) INSERT INTO "
             "sessions(session_id, created_at, updated_at) VALUES($1, $2, $2) ON CONFLICT "
             "(session_id) DO UPDATE SET updated_at = $2"},
    prepared{
        "define",
        "WITH s AS (INSERT INTO sessions(session_id) VALUES($1) ON CONFLICT DO NOTHING), d AS "
        "(DELETE FROM nodes WHERE workflow = $1) INSERT INTO nodes(workflow, node, status) SELECT "
        "$1, n, 'pending' FROM unnest($2::text[]) AS n"},
    prepared{"node", "UPDATE nodes SET status = $3, result = $4 WHERE workflow = $1 AND node = $2"},
    prepared{"nodes", "SELECT node, status, result FROM nodes WHERE workflow = $1 ORDER BY node"},
    prepared{"cached", "SELECT output FROM cache WHERE key = $1"},
    prepared{"cache",
             "INSERT INTO cache VALUES($1, $2) ON CONFLICT (key) DO UPDATE SET output = $2"},
};

/// A text array as a literal; items are JSON, so quotes and backslashes are escaped.
std::string array_of(const std::vector<std::string>& texts) {
  std::string out = "{";
  for (const auto& text : texts) {
    out += out.size() > 1 ? ",\"" : "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\')
        out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + '}';
}

struct end_result {
  void operator()(PGresult* r) const { PQclear(r); }
};
using result = std::unique_ptr<PGresult, end_result>;

class postgres_connection final : public connection {
public:
  postgres_connection(const std::string& where, const workload& of)
      : of_{of},
        connection_{PQconnectdb(where.c_str()), &PQfinish} {}

  [[nodiscard]] bool connected() const { return PQstatus(connection_.get()) == CONNECTION_OK; }
  [[nodiscard]] std::string fault() const { return PQerrorMessage(connection_.get()); }
  bool script(const char* sql) {
    const result done{PQexec(connection_.get(), sql)};
    return PQresultStatus(done.get()) == PGRES_COMMAND_OK;
  }
  bool prepare() {
    for (const auto& [name, sql] : statements) {
      const result done{PQprepare(connection_.get(), name, sql, 0, nullptr)};
      if (PQresultStatus(done.get()) != PGRES_COMMAND_OK)
        return false;
    }
    return true;
  }

  result run(const char* statement, const std::vector<std::string>& parameters) {
    std::vector<const char*> texts;
    for (const auto& one : parameters)
      texts.push_back(one.c_str());
    return result{PQexecPrepared(connection_.get(), statement, static_cast<int>(texts.size()),
                                 texts.data(), nullptr, nullptr, 0)};
  }

  answer perform(const intent& what) override {
    if (what.what == action::cache_lookup)
      return look_up(what);
    const auto [name, parameters] = statement_of(what);
    return judge(run(name, parameters));
  }

private:
  answer judge(const result& from) const {
    const auto status = PQresultStatus(from.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
      return {};
    return {.what = outcome::refused, .why = fault()};
  }

  answer look_up(const intent& what) {
    const auto id = name_of(what.whom);
    const auto found = run("cached", {id});
    if (PQntuples(found.get()) > 0)
      return {.hit = true};
    return judge(run("cache", {id, text_of(what.whom, 1, what.bytes)}));
  }

  std::pair<const char*, std::vector<std::string>> statement_of(const intent& what) const {
    const auto id = name_of(what.whom);
    const auto n = std::to_string(what.first);
    const auto now = std::to_string(what.at_us);
    std::vector<std::string> items;
    if (what.what == action::append || what.what == action::seed)
      for (std::uint32_t i = 0; i < what.count; ++i)
        items.push_back(json_item(what, i, of_));
    switch (what.what) {
      case action::seed: return {"seed", {id, std::to_string(what.other), array_of(items)}};
      case action::create: return {"create", {id, std::to_string(what.other), now}};
      case action::append:
        return items.size() == 1
                   ? std::pair<const char*, std::vector<std::string>>{"append1",
                                                                      {id, now, items[0]}}
                   : std::pair<const char*, std::vector<std::string>>{
                       "append2", {id, now, items[0], items[1]}};
      case action::read_history: return {"history", {id, std::to_string(what.count)}};
      case action::read_all: return {"all", {id}};
      case action::note: return {"note", {id, n, now}};
      case action::read_state: return {"state", {id}};
      case action::record_usage:
        return {"usage", {id, std::to_string(what.count), std::to_string(what.count / 4)}};
      case action::checkpoint: return {"checkpoint", {id, n}};
      case action::fork: return {"fork", {id, name_of({subject_kind::session, what.other}), now}};
      case action::team_message:
        return {"message", {id, now, text_of(what.whom, what.first, what.bytes)}};
      case action::workflow_step: {
        const auto at = (what.first - 1) % steps_in_round;
        if (at > 0)
          return {"node",
                  {id, node_of_step(what.first), at % 2 == 1 ? "running" : "done",
                   at % 2 == 1 ? std::string{} : text_of(what.whom, what.first, what.bytes)}};
        std::vector<std::string> nodes;
        for (std::uint32_t i = 0; i < workflow_nodes; ++i)
          nodes.push_back(node_of_step(what.first + 1 + 2 * i));
        return {"define", {id, array_of(nodes)}};
      }
      case action::cache_lookup: break;
    }
    return {"state", {id}};
  }

  const workload& of_;
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

/// The user that a server runs as, which is never root: Debian's `postgres`.
struct account {
  uid_t user = 0;
  gid_t group = 0;
};

class postgres final : public driver {
public:
  postgres(const workload& what, const peer_options& options) : what_{what}, options_{options} {}
  ~postgres() override {
    pool_.reset();
    own_.reset();
    if (server_)
      server_->stop(2);  // SIGINT: at once, cleanly
  }

  expected<void> start(const std::string& bin, account as) {
    const auto folder = options_.data / "server";
    const auto log = options_.data / "postgres.log";
    std::filesystem::create_directories(folder);
    if (as.user != 0) {
      ::chmod(options_.data.c_str(), 0711);
      if (::chown(folder.c_str(), as.user, as.group) != 0)
        return fail(errc::not_supported, "cannot give PostgreSQL its folder");
    }
    const auto data = (folder / "data").string();
    if (run_command({bin + "/initdb", "-D", data, "-A", "trust", "-U", "simulate", "--no-sync",
                     "--encoding=UTF8", "--locale=C"},
                    log, as.user, as.group)
        != 0)
      return fail(errc::not_supported, "initdb failed; its words are in " + log.string());
    std::vector<std::string> command{bin + "/postgres", "-D", data, "-k", folder.string()};
    for (const auto& setting : server_settings()) {
      command.emplace_back("-c");
      command.push_back(setting);
    }
    server_ = std::make_unique<server_process>(command, log, as.user, as.group);
    return connect("host=" + folder.string() + " user=simulate dbname=postgres");
  }

  void send(const intent& what, callback done) override { pool_->send(what, std::move(done)); }
  std::size_t in_flight() const override { return options_.connections; }

  expected<contents> read_back(const subject& whom) override {
    const auto id = name_of(whom);
    const auto number = [](const result& from, int column) {
      return static_cast<std::uint64_t>(std::atoll(PQgetvalue(from.get(), 0, column)));
    };
    contents out;
    if (const auto found = own_->run("state", {id}); PQntuples(found.get()) == 1) {
      out.exists = true;
      out.last = number(found, 0);
      out.count = number(found, 1);
    }
    const auto items = own_->run("all", {id});
    for (int i = 0; i < PQntuples(items.get()); ++i) {
      const std::string text = PQgetvalue(items.get(), i, 0);
      out.items.push_back(whom.kind == subject_kind::session ? text_of_json_item(text) : text);
    }
    const auto checkpoints = own_->run("count_checkpoints", {id});
    out.checkpoints = PQntuples(checkpoints.get()) == 1 ? number(checkpoints, 0) : 0;
    const auto nodes = own_->run("nodes", {id});
    for (int i = 0; i < PQntuples(nodes.get()); ++i)
      out.nodes.push_back({PQgetvalue(nodes.get(), i, 0), PQgetvalue(nodes.get(), i, 1),
                           PQgetvalue(nodes.get(), i, 2)});
    return out;
  }

  target_state state() override {
    return {.memory_bytes = bytes_of_tree(server_->pid()),
            .store_bytes = bytes_below((options_.data / "server").string())};
  }

  facts settings() const override {
    std::string all;
    for (const auto& setting : server_settings())
      all += (all.empty() ? "" : ", ") + setting;
    return {{"target", "PostgreSQL " + version_ + " on a Unix socket"},
            {"durability", server_settings().front()},
            {"settings", all + "; " + std::to_string(options_.connections)
                             + " connections, prepared statements, one statement a change"}};
  }

private:
  [[nodiscard]] std::vector<std::string> server_settings() const {
    const bool durable = what_.level == durability::durable;
    return {durable ? "synchronous_commit=on" : "synchronous_commit=off",
            what_.level == durability::memory ? "fsync=off" : "fsync=on",
            "shared_buffers=512MB",
            "max_connections=" + std::to_string(options_.connections + 10),
            "max_wal_size=4GB",
            "checkpoint_timeout=15min",
            "wal_level=minimal",
            "max_wal_senders=0",
            "jit=off",
            "listen_addresses="};
  }

  expected<void> connect(const std::string& where) {
    const auto log = (options_.data / "postgres.log").string();
    for (int i = 0; i < 1'000; ++i) {
      own_ = std::make_unique<postgres_connection>(where, what_);
      if (own_->connected() || !server_->running())
        break;
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    if (!own_->connected())
      return fail(errc::not_supported, "PostgreSQL did not start; its words are in " + log);
    if (!own_->script(schema) || !own_->prepare()
        || !own_->script(
            "PREPARE count_checkpoints(text) AS SELECT count(*) FROM checkpoints WHERE "
            "session_id = $1"))
      return fail(errc::not_supported, "PostgreSQL refuses its tables: " + own_->fault());
    std::vector<std::unique_ptr<connection>> connections;
    for (std::size_t i = 0; i < options_.connections; ++i) {
      auto one = std::make_unique<postgres_connection>(where, what_);
      if (!one->connected() || !one->prepare())
        return fail(errc::not_supported, "cannot connect to PostgreSQL: " + one->fault());
      connections.push_back(std::move(one));
    }
    pool_ = std::make_unique<connection_pool>(std::move(connections));
    version_ =
        std::to_string(PQlibVersion() / 10'000) + '.' + std::to_string(PQlibVersion() % 10'000);
    return {};
  }

  const workload what_;
  const peer_options options_;
  std::string version_ = "?";
  std::unique_ptr<server_process> server_;
  std::unique_ptr<postgres_connection> own_;
  std::unique_ptr<connection_pool> pool_;
};

}  // namespace

expected<std::unique_ptr<driver>> open_postgres(const workload& what, const peer_options& options) {
  const auto program = find_program(
      {"postgres"},
      {"/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin"});
  if (program.empty())
    return fail(errc::not_supported, "no PostgreSQL server: install Debian's postgresql-15");
  account as;
  if (::getuid() == 0) {
    const auto* found = ::getpwnam("postgres");
    if (found == nullptr)
      return fail(errc::not_supported,
                  "PostgreSQL does not run as root, and there is no user postgres");
    as = {found->pw_uid, found->pw_gid};
  }
  auto out = std::make_unique<postgres>(what, options);
  if (auto ok = out->start(program.substr(0, program.rfind('/')), as); !ok)
    return unexpected{ok.error()};
  return out;
}

}  // namespace troupe::simulate

#endif
