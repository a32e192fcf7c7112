// LMDB without Troupe: the environment is opened and extended as ours is (safe flags, room
// reserved before a transaction), so what differs is what Troupe adds.

#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/lmdb.hpp>

#include "group_commit.hpp"

#include <cstring>

namespace troupe::bench {

namespace {

struct raw_environment {
  explicit raw_environment(const workload& work)
      : env{lmdb::environment::open(work.dir, 64ULL << 30)} {
    env.reserve(0);
    auto txn = lmdb::transaction::write(env);
    turns = txn.create_database("turns");
    txn.commit();
  }

  lmdb::environment env;
  lmdb::dbi turns = 0;
};

}  // namespace

/// The journal: commit position, then the session's id, the turn's number and the turn.
result raw_sequential(const workload& work) {
  raw_environment raw{work};
  const auto ids = session_ids(work);
  const auto payload = payload_of(work);
  std::uint64_t position = 0;
  return with_waiting_threads(work, [&](std::span<const waiting_turn> turns) {
    raw.env.reserve(turns.size() * (payload.size() + 64));
    auto txn = lmdb::transaction::write(raw.env);
    {
      lmdb::cursor at{txn, raw.turns};
      for (const auto& turn : turns) {
        const auto& id = ids[turn.session];
        auto* out = at.append(internal::be64(++position), 8 + id.size() + payload.size());
        internal::put_le(out, turn.sequence);
        std::memcpy(out + 8, id.data(), id.size());
        std::memcpy(out + 8 + id.size(), payload.data(), payload.size());
      }
    }
    txn.commit();
  });
}

/// Keys that sort by session: each turn goes to another page of the tree.
result raw_per_session(const workload& work) {
  raw_environment raw{work};
  const auto ids = session_ids(work);
  const auto payload = payload_of(work);
  return with_waiting_threads(work, [&](std::span<const waiting_turn> turns) {
    raw.env.reserve(turns.size() * (payload.size() + 4'096));
    auto txn = lmdb::transaction::write(raw.env);
    for (const auto& turn : turns) {
      const auto key = ids[turn.session] + '\0' + internal::be64(turn.sequence);
      std::memcpy(txn.reserve(raw.turns, key, payload.size()), payload.data(), payload.size());
    }
    txn.commit();
  });
}

}  // namespace troupe::bench
