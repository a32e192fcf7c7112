// SQLite with the tables that agents' libraries use, sessions and messages, and what they add for
// the rest. WAL; one writer that takes all changes that wait into one transaction, as its
// documentation advises, and a few readers beside it.

#include "simulate/peers/item_text.hpp"
#include "simulate/peers/peers.hpp"

#ifndef TROUPE_SIMULATE_SQLITE

namespace troupe::simulate {

expected<std::unique_ptr<driver>> open_sqlite(const workload&, const peer_options&) {
  return fail(errc::not_supported, "built without SQLite: install libsqlite3-dev and build again");
}

}  // namespace troupe::simulate

#else

#include "simulate/metrics_text.hpp"
#include "simulate/pool.hpp"
#include "simulate/troupe_commands.hpp"
#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <map>

namespace troupe::simulate {

namespace {

constexpr const char* schema = R"(
CREATE TABLE sessions(session_id TEXT PRIMARY KEY, owner TEXT, created_at INTEGER, updated_at INTEGER,
  last INTEGER DEFAULT 0, count INTEGER DEFAULT 0, prompt_tokens INTEGER DEFAULT 0,
  completion_tokens INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE TABLE messages(id INTEGER PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions, message TEXT NOT NULL);
CREATE INDEX messages_of_session ON messages(session_id, id);
CREATE TABLE checkpoints(session_id TEXT, name TEXT, last_message INTEGER, last INTEGER, count INTEGER,
  PRIMARY KEY(session_id, name)) WITHOUT ROWID;
CREATE TABLE nodes(workflow TEXT, node TEXT, status TEXT, result TEXT, PRIMARY KEY(workflow, node)) WITHOUT ROWID;
CREATE TABLE cache(key TEXT PRIMARY KEY, output TEXT) WITHOUT ROWID;
)";

struct close_database {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
};
struct end_statement {
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};

/// One connection and its prepared statements. One thread.
class database {
public:
  explicit database(const std::string& file) {
    sqlite3* raw = nullptr;
    sqlite3_open_v2(file.c_str(), &raw,
                    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    db_.reset(raw);
    sqlite3_busy_timeout(raw, 30'000);
  }

  /// Binds texts in their order, runs, and gives each row's columns to `row`. False: refused.
  bool run(const char* sql, std::initializer_list<std::string_view> texts,
           const std::function<void(sqlite3_stmt*)>& row = {}) {
    auto& statement = prepared_[sql];
    if (!statement) {
      sqlite3_stmt* raw = nullptr;
      sqlite3_prepare_v3(db_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
      statement.reset(raw);
    }
    int index = 0;
    for (const auto text : texts)
      sqlite3_bind_text(statement.get(), ++index, text.data(), static_cast<int>(text.size()),
                        SQLITE_STATIC);
    int code = 0;
    while ((code = sqlite3_step(statement.get())) == SQLITE_ROW)
      if (row)
        row(statement.get());
    sqlite3_reset(statement.get());
    return code == SQLITE_DONE;
  }
  bool script(const char* sql) {
    return sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK;
  }
  [[nodiscard]] std::string fault() const { return sqlite3_errmsg(db_.get()); }

private:
  std::unique_ptr<sqlite3, close_database> db_;
  std::map<const char*, std::unique_ptr<sqlite3_stmt, end_statement>> prepared_;
};

std::string_view column(sqlite3_stmt* row, int index) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, index));
  return text == nullptr
             ? std::string_view{}
             : std::string_view{text, static_cast<std::size_t>(sqlite3_column_bytes(row, index))};
}

constexpr const char* insert_session =
    "INSERT INTO sessions(session_id, owner, created_at, updated_at) VALUES(?1, ?2, ?3, ?3) "
    "ON CONFLICT DO NOTHING";
constexpr const char* insert_message = "INSERT INTO messages(session_id, message) VALUES(?1, ?2)";
constexpr const char* touch = "UPDATE sessions SET updated_at = ?2 WHERE session_id = ?1";

/// A change, inside a transaction.
bool change(database& db, const intent& what, const workload& of) {
  const auto id = name_of(what.whom);
  const auto n = std::to_string(what.first);
  const auto now = std::to_string(what.at_us);
  bool good = true;
  const auto add_items = [&] {
    for (std::uint32_t i = 0; i < what.count; ++i)
      good = good && db.run(insert_message, {id, json_item(what, i, of)});
  };
  switch (what.what) {
    case action::seed:
      good = db.run(insert_session, {id, std::to_string(what.other), now});
      add_items();
      return good;
    case action::create: return db.run(insert_session, {id, std::to_string(what.other), now});
    case action::append: add_items(); return good && db.run(touch, {id, now});
    case action::note:
      if (what.first == 1 && what.whom.kind != subject_kind::session)
        good = db.run(insert_session, {id, "", now});
      return good
             && db.run(
                 "UPDATE sessions SET last = ?2, count = count + 1, updated_at = ?3 WHERE "
                 "session_id = ?1",
                 {id, n, now});
    case action::record_usage:
      return db.run(
          "UPDATE sessions SET prompt_tokens = prompt_tokens + ?2, completion_tokens = "
          "completion_tokens + ?3 WHERE session_id = ?1",
          {id, std::to_string(what.count), std::to_string(what.count / 4)});
    case action::checkpoint:
      return db.run(
          "INSERT INTO checkpoints SELECT s.session_id, ?2, (SELECT max(id) FROM messages "
          "WHERE session_id = ?1), s.last, s.count FROM sessions s WHERE session_id = ?1",
          {id, n});
    case action::fork: {
      const auto parent = name_of({subject_kind::session, what.other});
      return db.run(
                 "INSERT INTO sessions SELECT ?1, owner, ?3, ?3, last, count, prompt_tokens, "
                 "completion_tokens FROM sessions WHERE session_id = ?2",
                 {id, parent, now})
             && db.run(
                 "INSERT INTO messages(session_id, message) SELECT ?1, message FROM messages "
                 "WHERE session_id = ?2 ORDER BY id",
                 {id, parent});
    }
    case action::team_message:
      if (what.first == 1)
        good = db.run(insert_session, {id, "", now});
      return good && db.run(insert_message, {id, text_of(what.whom, what.first, what.bytes)})
             && db.run(touch, {id, now});
    case action::workflow_step: {
      const auto at = (what.first - 1) % steps_in_round;
      if (what.first == 1)
        good = db.run(insert_session, {id, "", now});
      if (at > 0)
        return db.run("UPDATE nodes SET status = ?3, result = ?4 WHERE workflow = ?1 AND node = ?2",
                      {id, node_of_step(what.first), at % 2 == 1 ? "running" : "done",
                       at % 2 == 1 ? "" : text_of(what.whom, what.first, what.bytes)});
      good = good && db.run("DELETE FROM nodes WHERE workflow = ?1", {id});
      for (std::uint32_t i = 0; i < workflow_nodes; ++i)
        good = good
               && db.run("INSERT INTO nodes(workflow, node, status) VALUES(?1, ?2, 'pending')",
                         {id, node_of_step(what.first + 1 + 2 * i)});
      return good;
    }
    default: return true;
  }
}

/// All that waits in one transaction; answered when it is synced.
class writer {
public:
  writer(const std::string& file, const workload& of, const char* synchronous)
      : db_{file},
        of_{of} {
    db_.script("PRAGMA journal_mode=WAL");
    db_.script((std::string{"PRAGMA synchronous="} + synchronous).c_str());
    made_ = db_.script(schema);
    thread_ = std::thread{[this] { work(); }};
  }
  ~writer() {
    {
      const std::lock_guard lock{mutex_};
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  [[nodiscard]] bool made() const { return made_; }

  /// `what` of a cache: the result is kept.
  void send(const intent& what, driver::callback done) {
    const std::lock_guard lock{mutex_};
    waiting_.emplace_back(what, std::move(done));
    changed_.notify_one();
  }

private:
  void work() {
    std::vector<std::pair<intent, driver::callback>> batch;
    std::unique_lock lock{mutex_};
    while (true) {
      changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
      if (waiting_.empty())
        return;
      std::swap(batch, waiting_);
      lock.unlock();
      commit(batch);
      batch.clear();
      lock.lock();
    }
  }

  void commit(std::vector<std::pair<intent, driver::callback>>& batch) {
    bool good = db_.run("BEGIN IMMEDIATE", {});
    for (const auto& [what, done] : batch)
      good = good
             && (what.what == action::cache_lookup
                     ? db_.run("INSERT OR REPLACE INTO cache VALUES(?1, ?2)",
                               {name_of(what.whom), text_of(what.whom, 1, what.bytes)})
                     : change(db_, what, of_));
    const auto why = good ? std::string{} : db_.fault();
    good = good && db_.run("COMMIT", {});
    if (!good)
      db_.run("ROLLBACK", {});
    for (const auto& [what, done] : batch)
      done(good ? answer{} : answer{.what = outcome::refused, .why = why});
  }

  database db_;
  const workload& of_;
  bool made_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<intent, driver::callback>> waiting_;
  bool ended_ = false;
  std::thread thread_;
};

class reader final : public connection {
public:
  explicit reader(const std::string& file) : db_{file} { db_.script("PRAGMA mmap_size=268435456"); }

  answer perform(const intent& what) override {
    const auto id = name_of(what.whom);
    std::size_t bytes = 0;
    const auto look = [&](sqlite3_stmt* row) { bytes += column(row, 0).size(); };
    bool good = true;
    if (what.what == action::read_history)
      good = db_.run(
          "SELECT message FROM messages WHERE session_id = ?1 ORDER BY id DESC LIMIT "
          "CAST(?2 AS INTEGER)",
          {id, std::to_string(what.count)}, look);
    else if (what.what == action::read_all)
      good = db_.run("SELECT message FROM messages WHERE session_id = ?1 ORDER BY id", {id}, look);
    else if (what.what == action::read_state)
      good = db_.run("SELECT last, count FROM sessions WHERE session_id = ?1", {id}, look);
    else if (what.what == action::cache_lookup)
      good = db_.run("SELECT output FROM cache WHERE key = ?1", {id}, look);
    return {.what = good ? outcome::acknowledged : outcome::refused,
            .hit = bytes > 0,
            .why = good ? "" : db_.fault()};
  }

private:
  database db_;
};

class sqlite final : public driver {
public:
  sqlite(const workload& what, const peer_options& options)
      : what_{what},
        data_{options.data},
        file_{(options.data / "sessions.sqlite").string()},
        writer_{file_, what_, synchronous()},
        own_{file_} {
    std::vector<std::unique_ptr<connection>> readers;
    for (int i = 0; i < 4; ++i)
      readers.push_back(std::make_unique<reader>(file_));
    readers_ = std::make_unique<connection_pool>(std::move(readers));
  }
  [[nodiscard]] bool made() const { return writer_.made(); }

  void send(const intent& what, callback done) override {
    if (is_write(what.what))
      return writer_.send(what, std::move(done));
    if (what.what != action::cache_lookup)
      return readers_->send(what, std::move(done));
    readers_->send(what, [this, what, done = std::move(done)](answer found) {
      if (found.hit || found.what != outcome::acknowledged)
        return done(std::move(found));
      writer_.send(what, done);
    });
  }

  expected<contents> read_back(const subject& whom) override {
    const auto id = name_of(whom);
    contents out;
    const auto number = [](sqlite3_stmt* row, int index) {
      return static_cast<std::uint64_t>(sqlite3_column_int64(row, index));
    };
    own_.run("SELECT last, count FROM sessions WHERE session_id = ?1", {id},
             [&](sqlite3_stmt* row) {
               out.exists = true;
               out.last = number(row, 0);
               out.count = number(row, 1);
             });
    own_.run("SELECT message FROM messages WHERE session_id = ?1 ORDER BY id", {id},
             [&](sqlite3_stmt* row) {
               out.items.push_back(whom.kind == subject_kind::session
                                       ? text_of_json_item(column(row, 0))
                                       : std::string{column(row, 0)});
             });
    own_.run("SELECT count(*) FROM checkpoints WHERE session_id = ?1", {id},
             [&](sqlite3_stmt* row) { out.checkpoints = number(row, 0); });
    own_.run("SELECT node, status, result FROM nodes WHERE workflow = ?1 ORDER BY node", {id},
             [&](sqlite3_stmt* row) {
               out.nodes.push_back({std::string{column(row, 0)}, std::string{column(row, 1)},
                                    std::string{column(row, 2)}});
             });
    return out;
  }

  target_state state() override {
    return {.memory_bytes = bytes_of_process(::getpid()),
            .store_bytes = bytes_below(data_.string())};
  }

  facts settings() const override {
    return {{"target", std::string{"SQLite "} + sqlite3_libversion() + ", in this process"},
            {"durability", std::string{"synchronous="} + synchronous()},
            {"settings",
             "WAL, one writer that commits all that waits together, 4 readers, prepared "
             "statements; tables sessions, messages (index session_id, id), checkpoints, "
             "nodes, cache"}};
  }

private:
  [[nodiscard]] const char* synchronous() const {
    return what_.level == durability::durable   ? "FULL"
           : what_.level == durability::relaxed ? "NORMAL"
                                                : "OFF";
  }

  const workload what_;
  const std::filesystem::path data_;
  const std::string file_;
  writer writer_;
  database own_;
  std::unique_ptr<connection_pool> readers_;
};

}  // namespace

expected<std::unique_ptr<driver>> open_sqlite(const workload& what, const peer_options& options) {
  auto out = std::make_unique<sqlite>(what, options);
  if (!out->made())
    return fail(errc::not_supported, "SQLite cannot make its tables in " + options.data.string());
  return out;
}

}  // namespace troupe::simulate

#endif
