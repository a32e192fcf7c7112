// SQLite as its documentation says to use it for this: WAL, synchronous=FULL, one prepared insert,
// all that waits in one transaction.

#include "group_commit.hpp"

#ifdef TROUPE_BENCH_SQLITE
#include <sqlite3.h>
#endif

#include <memory>
#include <stdexcept>

namespace troupe::bench {

#ifndef TROUPE_BENCH_SQLITE

result sqlite_sequential(const workload&) {
  return unavailable("built without libsqlite3-dev");
}
result sqlite_per_session(const workload&) {
  return unavailable("built without libsqlite3-dev");
}

#else

namespace {

void check(sqlite3* db, int code) {
  if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
    throw std::runtime_error{std::string{"SQLite: "} + sqlite3_errmsg(db)};
}

struct close_database {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
};
struct end_statement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using statement = std::unique_ptr<sqlite3_stmt, end_statement>;

class database {
public:
  explicit database(const std::filesystem::path& file) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(
        file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
        nullptr);
    db_.reset(raw);
    check(raw, code);
  }

  void run(const char* sql) { check(db_.get(), sqlite3_exec(db_.get(), sql, {}, {}, {})); }

  statement prepare(const char* sql) {
    sqlite3_stmt* raw = nullptr;
    check(db_.get(), sqlite3_prepare_v2(db_.get(), sql, -1, &raw, nullptr));
    return statement{raw};
  }

  void step(const statement& what) {
    check(db_.get(), sqlite3_step(what.get()));
    check(db_.get(), sqlite3_reset(what.get()));
  }

private:
  std::unique_ptr<sqlite3, close_database> db_;
};

result appended_to(const char* table, const workload& work) {
  database db{work.dir / "turns.sqlite"};
  db.run("PRAGMA journal_mode=WAL");
  db.run("PRAGMA synchronous=FULL");
  db.run(table);
  const auto begin = db.prepare("BEGIN IMMEDIATE");
  const auto commit = db.prepare("COMMIT");
  const auto insert = db.prepare("INSERT INTO turns(session, sequence, turn) VALUES(?, ?, ?)");
  const auto ids = session_ids(work);
  const auto payload = payload_of(work);
  return with_waiting_threads(work, [&](std::span<const waiting_turn> turns) {
    db.step(begin);
    for (const auto& turn : turns) {
      const auto& id = ids[turn.session];
      sqlite3_bind_text(insert.get(), 1, id.data(), static_cast<int>(id.size()), SQLITE_STATIC);
      sqlite3_bind_int64(insert.get(), 2, static_cast<sqlite3_int64>(turn.sequence));
      sqlite3_bind_blob(insert.get(), 3, payload.data(), static_cast<int>(payload.size()),
                        SQLITE_STATIC);
      db.step(insert);
    }
    db.step(commit);
  });
}

}  // namespace

/// A journal: nothing but a new row at the end, and no way to a session's turns but reading all.
result sqlite_sequential(const workload& work) {
  return appended_to(
      "CREATE TABLE turns(position INTEGER PRIMARY KEY, session TEXT, sequence INTEGER, turn BLOB)",
      work);
}

/// Rows in the order of sessions, so that the turns of one can be read.
result sqlite_per_session(const workload& work) {
  return appended_to(
      "CREATE TABLE turns(session TEXT, sequence INTEGER, turn BLOB, "
      "PRIMARY KEY(session, sequence)) WITHOUT ROWID",
      work);
}

#endif

}  // namespace troupe::bench
