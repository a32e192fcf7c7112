#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>
#include <ranges>

namespace troupe {

using internal::newest_change;
using internal::record;
using internal::record_type;

/// A batch on its way, into the log or (`journal`) in a transaction. What it did to the index is
/// taken back unless it is committed.
struct journal_store::impl::batch {
  struct appended_change {
    internal::tail_index::node* entry;
    newest_change before;
  };

  impl& self;
  std::optional<lmdb::transaction> txn;  // of one for the log: to read, when it must
  std::optional<lmdb::cursor> journal;
  std::vector<appended_change> appended;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t logs;
  bool writing = false;         // beyond what a refusal may leave behind
  std::optional<error> spoilt;  // half of a request is written: nothing may be committed

  batch(impl& owner, bool to_log) : self{owner}, logs{owner.logs} {
    if (to_log)
      return;
    txn.emplace(owner.begin_write());
    journal.emplace(*txn, owner.dbs.journal);
  }
  batch(const batch&) = delete;
  batch& operator=(const batch&) = delete;
  ~batch() {
    self.name_spaces.aborted();
    self.wal.give_up();
    for (const auto& [entry, before] : appended | std::views::reverse)
      self.index.take_back(*entry, before);
  }

  lmdb::transaction& reading() {
    if (!txn)
      txn.emplace(lmdb::transaction::read(self.env));
    return *txn;
  }

  /// Room for the next record.
  char* add(std::string_view key, std::size_t size) {
    return journal ? journal->append(key, size) : self.wal.add(size);
  }

  void commit() {
    if (journal) {
      journal.reset();
      if (logs != self.logs)
        internal::write_number(*txn, self.dbs.meta, internal::meta_key::logs, logs);
      self.finish(*txn);
      self.name_spaces.committed();
    } else {
      write_log();
    }
    self.position += records;
    self.committed += appended.size();
    self.tail_bytes += bytes;
    self.journalled += bytes;
    self.logs = logs;
    ++self.commits;
    appended.clear();
  }

  /// What a write that failed has left on disk is for the next start to find out, unless it is
  /// nothing.
  void write_log() {
    try {
      self.wal.write(self.position + 1);
    } catch (const lmdb::failure& what) {
      if (what.kind() != lmdb::failure_kind::full)
        self.stop(errc::outcome_unknown, what.what());
      throw;
    }
  }
};

namespace {

expected<void> check_request(const commit_request& request) {
  const auto fits = [](const std::string& name) {
    return !name.empty() && name.size() <= max_id_bytes;
  };
  if (!fits(request.entity.id) || !fits(request.entity.name_space))
    return fail(errc::bad_id, "an id and a namespace have 1 to 256 bytes");
  if (request.payload.size() > internal::max_payload_bytes)
    return unexpected{
        error{errc::too_large, "a change has at most 1 GiB", {}, {}, internal::max_payload_bytes}};
  return {};
}

std::uint64_t bytes_of(std::span<const commit_request> requests, bool all) {
  std::uint64_t sum = 0;
  for (const auto& request : requests) {
    if (!all && request.frees)
      continue;
    sum += internal::record_header_bytes + request.entity.id.size() + request.payload.size();
    if (request.base) {
      sum += request.base->header.size() + request.base->body.size();
      for (const auto chunk : request.base->chunks)  // where none is shared
        sum += chunk.size();
    }
  }
  return sum;
}

/// A fork's first change may be any later one than what its id held before.
expected<void> check_follows(const commit_request& request, std::uint64_t stored) {
  if (request.base ? request.sequence > stored : request.sequence == stored + 1)
    return {};
  return unexpected{error{errc::store_failed,
                          "change " + std::to_string(request.sequence) + " of "
                              + to_string(request.entity) + " does not follow the stored revision "
                              + std::to_string(stored)
                              + ": the write before it failed, or somebody else wrote",
                          {},
                          stored}};
}

error no_room() {
  return {errc::store_full,
          "the store is full but for the reserve that deletions need; delete something, or give "
          "it a greater quota or disk"};
}

}  // namespace

bool journal_store::impl::is_stored(const std::string& name_space) {
  if (name_spaces.is_stored(name_space))
    return true;
  auto txn = lmdb::transaction::read(env);
  return name_spaces.find_stored(txn, dbs, name_space);
}

/// Whether a batch needs nothing of LMDB but what it will take up later, for which there is room
/// whatever else is written, and is none so large that it is better written once.
bool journal_store::impl::goes_to_log(std::span<const commit_request> requests,
                                      std::uint64_t bytes) {
  std::size_t room = 0;
  for (const auto& x : requests) {
    if (x.base || x.pin || !is_stored(x.entity.name_space))
      return false;
    // Twice, as a set has a head and an id of its own.
    room += 2 * (internal::record_header_bytes + x.entity.id.size()) + x.payload.size();
  }
  return room <= options.log_bytes / 4 && env.has_room_behind(bytes + wal.bytes())
         && wal.make_room(requests.size(), room);
}

/// A damaged page on the way to an entity is no fault of the others in its batch.
expected<void> journal_store::impl::append_alone(batch& to, std::span<const commit_request> group,
                                                 std::vector<expected<commit_receipt>>& results) {
  try {
    return append(to, group, results);
  } catch (const lmdb::failure& what) {
    if (what.kind() != lmdb::failure_kind::damaged || to.writing)
      throw;
    return fail(errc::damaged, to_string(group.front().entity) + ": " + what.what());
  }
}

/// The hot path: one append at the journal's end. Only an entity that nothing in memory knows is
/// looked up on disk. A group is written only when nothing of it is refused.
expected<void> journal_store::impl::append(batch& to, std::span<const commit_request> group,
                                           std::vector<expected<commit_receipt>>& results) {
  struct ready {
    std::string key;
    internal::tail_index::node* known;
    newest_change before;
    record what;
    bool by_state;
  };
  std::vector<ready> out;
  out.reserve(group.size());
  std::size_t inner_bytes = 0;
  for (const auto& request : group) {
    if (auto fine = check_request(request); !fine)
      return fine;
    const auto& hash = to.journal ? name_spaces.store(*to.txn, dbs, request.entity.name_space)
                                  : name_spaces.hash_of(request.entity.name_space);
    auto key = internal::entity_key(hash, request.entity.kind, request.entity.id);
    if (std::any_of(out.begin(), out.end(), [&](const ready& x) { return x.key == key; }))
      return fail(errc::store_failed, "a set names " + to_string(request.entity) + " twice");
    auto* known = index.find(key);
    newest_change before;
    if (known != nullptr) {
      before = known->value.newest;
    } else {
      const auto newest = newest_of(to.reading(), key, internal::verify::checksum);
      if (!newest)
        return unexpected{newest.error()};
      before = *newest;
    }
    if (auto fine = check_follows(request, before.sequence); !fine)
      return fine;
    const record what{.type = record_type::change,
                      .shard = 0,
                      .epoch = epoch,
                      .sequence = request.sequence,
                      .previous = before.position,
                      .name_space = hash,
                      .kind = request.entity.kind,
                      .id = request.entity.id,
                      .payload = request.payload};
    inner_bytes += internal::encoded_size(what);
    out.push_back({std::move(key), known, before, what, request.by_state});
  }
  to.writing = true;
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (group[i].base)
      if (auto done = begin_fork(to, out[i].key, out[i].what.name_space, group[i]); !done) {
        to.spoilt = {errc::store_failed, to_string(group[i].entity) + " cannot be forked from "
                                             + to_string(group[i].parent) + ": "
                                             + done.error().message};
        return done;
      }
    if (const auto& pin = group[i].pin) {
      const auto& hash = name_spaces.store(*to.txn, dbs, pin->first.name_space);
      internal::write_number(*to.txn, dbs.pins,
                             internal::entity_key(hash, pin->first.kind, pin->first.id),
                             pin->second);
    }
  }

  const auto at = position + to.records + 1;
  const auto key = internal::be64(at);
  auto size = inner_bytes;
  if (out.size() == 1) {
    internal::encode_record(to.add(key, size), key, out.front().what);
  } else {
    std::string payload(inner_bytes, '\0');
    auto* inner = payload.data();
    for (const auto& one : out) {
      internal::encode_record(inner, key, one.what);
      inner += internal::encoded_size(one.what);
    }
    auto what = out.front().what;
    what.type = record_type::set;
    what.payload = payload;
    size = internal::encoded_size(what);
    internal::encode_record(to.add(key, size), key, what);
  }
  for (auto& one : out) {
    auto& entry = index.append(one.known, one.key, {one.what.sequence, at}, one.by_state,
                               journalled + to.bytes);
    to.appended.push_back({&entry, one.before});
    results.emplace_back(commit_receipt{at});
  }
  ++to.records;
  to.bytes += size;
  to.writing = false;
  return {};
}

/// The fork's own first body: its parent's, which shares the parent's chunks. Of an earlier life of
/// its id the answers are kept, those that are not folded yet too, and nothing else.
expected<void> journal_store::impl::begin_fork(batch& to, std::string_view key,
                                               const internal::namespace_hash& hash,
                                               const commit_request& request) {
  auto& txn = *to.txn;
  const auto& base = *request.base;
  const auto& parent_hash = name_spaces.store(txn, dbs, request.parent.name_space);
  const auto parent_key = internal::entity_key(parent_hash, request.parent.kind, request.parent.id);
  const auto before = read_known(txn, key, internal::verify::checksum);
  if (!before)
    return unexpected{before.error()};
  const auto parent = read_known(txn, parent_key, internal::verify::checksum);
  if (!parent)
    return unexpected{parent.error()};
  const auto shared = internal::read_body(txn, dbs.snapshots, parent_key);
  if (!shared)
    return unexpected{shared.error()};

  const record what{.epoch = epoch,
                    .sequence = request.sequence - 1,
                    .name_space = hash,
                    .kind = request.entity.kind,
                    .id = request.entity.id,
                    .payload = {}};
  if (const auto* tail = index.find(key)) {
    forget_fold();  // which may have folded this tail upon the body that goes
    const auto stored = internal::read_entity(txn, dbs, key, &tail->value);
    if (!stored)
      return unexpected{stored.error()};
    const auto made = fold(request.entity.kind, stored->parts);
    if (!made)
      return unexpected{made.error()};
    if (auto done = write_answers(txn, key, what, made->answers); !done)
      return done;
  }
  internal::entity_head head{.position = before->head.position,
                             .base = request.sequence - 1,
                             .first_revision = request.sequence,
                             .logs = parent->head.logs};
  if (auto done = internal::hold_logs(txn, dbs, head.logs); !done)
    return done;
  if (auto done = internal::release_logs(txn, dbs, before->head.logs); !done)
    return done;
  // Of the earlier life, which held these logs, nothing is promised.
  const auto prefix = internal::parts_of(key);
  for (const auto database : {dbs.versions, dbs.changes}) {
    lmdb::cursor earlier{txn, database};
    for (auto at = earlier.seek(prefix); at && at->key.starts_with(prefix); at = earlier.next())
      earlier.erase();
  }
  const auto chunks =
      internal::place_chunks(txn, dbs, internal::unplaced(base.chunks),
                             *shared ? (**shared).chunks : internal::chunk_list{}, head, to.logs);
  if (!chunks)
    return unexpected{chunks.error()};
  drop_past(txn, key);
  txn.erase(dbs.pins, key);
  write_body(txn, dbs.snapshots, key, what, encode(*chunks), base.body);
  write_known(txn, key, what, head, base.header);
  return {};
}

std::vector<expected<commit_receipt>> journal_store::impl::commit(
    std::span<const commit_request> requests) {
  auto results = attempt(requests, lmdb::purpose::add);
  const bool full = std::ranges::all_of(
      results, [](const auto& x) { return !x && x.error().code == errc::store_full; });
  // What adds found no room in one piece, though there is enough: what frees goes on without it.
  const bool frees = std::ranges::any_of(requests, [](const auto& x) { return x.frees; });
  return full && frees && !failure ? attempt(requests, lmdb::purpose::free) : results;
}

std::vector<expected<commit_receipt>> journal_store::impl::attempt(
    std::span<const commit_request> requests, lmdb::purpose what_for) {
  std::vector<expected<commit_receipt>> results;
  results.reserve(requests.size());
  error why;
  try {
    const auto bytes = bytes_of(requests, true);
    env.reserve(bytes + wal.bytes(), what_for);
    const bool room =
        what_for == lmdb::purpose::add && env.has_room(bytes_of(requests, false) + wal.bytes());
    if (what_for == lmdb::purpose::add && !room)
      env.reserve(bytes + wal.bytes());
    batch current{*this, room && goes_to_log(requests, bytes)};
    for (auto rest = requests; !rest.empty();) {
      const auto group =
          rest.first(std::min<std::size_t>(rest.size(), std::size_t{1} + rest.front().together));
      const bool goes = room || std::ranges::all_of(group, &commit_request::frees);
      auto done = goes ? append_alone(current, group, results) : unexpected{no_room()};
      if (!done)
        results.resize(results.size() + group.size(), unexpected{done.error()});
      rest = rest.subspan(group.size());
    }
    if (!current.spoilt) {
      if (!current.appended.empty()) {
        current.commit();
        mark_in_time();
      }
      return results;
    }
    why = *current.spoilt;
  } catch (const lmdb::failure& what) {
    if (failure)
      why = {errc::outcome_unknown, failure->message};
    else if (what.kind() == lmdb::failure_kind::fatal)
      why = stop(errc::store_failed, what.what());  // before the commit: nothing was written
    else
      why = {code_of(what), what.what()};
  }
  for (auto& result : results)
    if (result)
      result = unexpected{why};
  results.resize(requests.size(), unexpected{why});
  return results;
}

}  // namespace troupe
