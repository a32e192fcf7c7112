#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace troupe {

using internal::at_entity;
using internal::at_record;
using internal::decode_record;
using internal::key_of;
using internal::newest_change;
using internal::record;
using internal::record_type;

// The journal ------------------------------------------------------------------------------------

expected<void> journal_store::impl::for_each_record(
    std::uint64_t from, std::uint64_t to, const std::function<bool(const journal_record&)>& next) {
  auto txn = lmdb::transaction::read(env);
  // Whether to go on.
  const auto tell = [&](std::uint64_t here, std::string_view value) -> expected<bool> {
    const auto changes = internal::changes_in(here, value);
    if (!changes)
      return unexpected{changes.error()};
    std::uint32_t part = 0;
    for (const auto& change : *changes) {
      auto name = name_spaces.name_of(txn, dbs, change.name_space);
      if (!name)
        return at_record(here, name.error());
      if (!next({here,
                 change.sequence,
                 change.epoch,
                 change.shard,
                 {std::move(*name), change.kind, std::string{change.id}},
                 change.payload,
                 part++,
                 static_cast<std::uint32_t>(changes->size())}))
        return false;
    }
    return true;
  };
  lmdb::cursor journal{txn, dbs.journal};
  auto here = std::max(from, first);
  const auto end = std::min(to, settled());
  for (auto at = journal.seek(internal::be64(from)); at && here <= end;
       at = journal.next(), ++here) {
    if (internal::get_be64(at->key) != here)
      return at_record(here, {errc::damaged, "it is missing"});
    if (auto more = tell(here, at->value); !more || !*more)
      return more ? expected<void>{} : unexpected{more.error()};
  }
  for (const auto& [at, value] : wal.records())
    if (at >= from && at <= to)
      if (auto more = tell(at, value); !more || !*more)
        return more ? expected<void>{} : unexpected{more.error()};
  return {};
}

// The start --------------------------------------------------------------------------------------

expected<void> journal_store::impl::replay() {
  auto found = internal::find_layout(env);
  if (!found)
    return unexpected{found.error()};
  dbs = *found;
  const auto log = internal::bytes_of_log(directory.path());
  if (!log)
    return unexpected{log.error()};
  const auto logged = read_back(*log);
  if (!logged)
    return unexpected{logged.error()};
  // What the last owner had not brought into LMDB, now that it is known to fit.
  std::uint64_t bytes = 0;
  for (const auto& [at, value] : *logged)
    bytes += value.size();
  if (!logged->empty()) {
    env.reserve(bytes);
    auto txn = lmdb::transaction::write(env);
    {
      lmdb::cursor journal{txn, dbs.journal};
      for (const auto& [at, value] : *logged)
        std::memcpy(journal.append(internal::be64(at), value.size()), value.data(), value.size());
    }
    txn.commit();
  }
  if (!log->empty())
    wal.truncate();
  return {};
}

/// What is in memory, from the journal behind the watermark and what goes behind it from the log,
/// which is answered.
expected<std::vector<internal::logged_record>> journal_store::impl::read_back(
    std::string_view log) {
  auto txn = lmdb::transaction::read(env);
  using number = std::pair<std::string_view, std::uint64_t*>;
  for (const auto& [name, to] :
       {number{internal::meta_key::watermark, &watermark},
        number{internal::meta_key::epoch, &epoch}, number{internal::meta_key::first, &first},
        number{internal::meta_key::covered, &covered}, number{internal::meta_key::logs, &logs}}) {
    const auto stored = internal::read_number(txn, dbs.meta, name);
    if (!stored)
      return unexpected{stored.error()};
    *to = *stored;
  }
  position = watermark;

  lmdb::cursor journal{txn, dbs.journal};
  if (const auto oldest = journal.first();
      first > watermark + 1
      || (oldest ? oldest->key != internal::be64(first) : first != watermark + 1))
    return fail(errc::damaged, "the journal does not begin at record " + std::to_string(first));
  const auto take = [&](std::string_view value) -> expected<void> {
    const auto read = internal::changes_in(++position, value);
    if (!read)
      return unexpected{read.error()};
    const auto before = std::exchange(journalled, journalled + value.size());
    for (const auto& change : *read) {
      const auto key = key_of(change);
      auto* known = index.find(key);
      const auto newest = newest_of(txn, key, internal::verify::header);
      if (!newest)
        return unexpected{newest.error()};
      if (change.sequence <= newest->sequence && known == nullptr)
        continue;  // its snapshot covers it
      if (change.sequence != newest->sequence + 1)
        return at_record(position,
                         {errc::damaged, "change " + std::to_string(change.sequence) + " of "
                                             + std::string{change.id} + " follows revision "
                                             + std::to_string(newest->sequence)});
      index.append(known, key, {change.sequence, position}, false, before);
    }
    tail_bytes = journalled;
    return {};
  };
  for (auto at = journal.seek(internal::be64(watermark + 1)); at; at = journal.next()) {
    if (at->key.size() != 8 || internal::get_be64(at->key) != position + 1)
      return fail(errc::damaged, "journal record " + std::to_string(position + 1) + " is missing");
    if (auto done = take(at->value); !done)
      return unexpected{done.error()};
  }
  if (const auto last = journal.last(); last && internal::get_be64(last->key) > position)
    return fail(errc::damaged, "the journal has records behind a gap");
  auto logged = internal::read_log(log, position);
  for (std::size_t i = 0; logged && i < logged->size(); ++i)
    if (auto done = take((*logged)[i].value); !done)
      return unexpected{done.error()};
  return logged;
}

/// From memory, or from the entity's record and then remembered. A start does not verify what it
/// does not need: a damaged record is the error of its entity, when it is loaded.
expected<newest_change> journal_store::impl::newest_of(lmdb::transaction& txn, std::string_view key,
                                                       internal::verify depth) {
  if (const auto known = index.newest(key))
    return *known;
  const auto stored = read_known(txn, key, depth);
  if (!stored)
    return unexpected{stored.error()};
  const newest_change out{stored->revision, stored->head.position};
  index.remember(key, out);
  return out;
}

// Entities ---------------------------------------------------------------------------------------

/// A record whose key was damaged stands where it stood: one of the two neighbours of its true key
/// is then stored under a key that is not its own.
expected<void> journal_store::impl::check_absent(lmdb::transaction& txn, std::string_view key) {
  lmdb::cursor entities{txn, dbs.entities};
  const auto fine = [](const lmdb::entry& neighbour) -> expected<void> {
    const auto stored = decode_record(neighbour.key, neighbour.value, record_type::entity,
                                      internal::verify::header);
    if (stored && key_of(*stored) == neighbour.key)
      return {};
    return fail(errc::damaged, "a record beside its place is damaged, and may be its own");
  };
  const auto behind = entities.seek(key);
  if (behind)
    if (auto done = fine(*behind); !done)
      return done;
  const auto before = behind ? entities.prior() : entities.last();
  return before ? fine(*before) : expected<void>{};
}

expected<journal_store::impl::known_entity> journal_store::impl::read_known(
    lmdb::transaction& txn, std::string_view key, internal::verify depth) {
  const auto bytes = txn.get(dbs.entities, key);
  if (!bytes) {
    if (auto absent = check_absent(txn, key); !absent)
      return unexpected{absent.error()};
    return known_entity{};
  }
  const auto stored = decode_record(key, *bytes, record_type::entity, depth);
  if (!stored)
    return at_entity("the record", key, stored.error());
  auto header = stored->payload;
  auto head = internal::take_head(header);
  if (!head)
    return at_entity("the record", key, head.error());
  return known_entity{stored->sequence, std::move(*head), std::string{header}};
}

expected<std::vector<std::string>> journal_store::impl::read_answers(lmdb::transaction& txn,
                                                                     std::string_view key) {
  std::vector<std::string> out;
  const auto prefix = internal::parts_of(key);
  lmdb::cursor answers{txn, dbs.answers};
  for (auto at = answers.seek(prefix); at && at->key.starts_with(prefix); at = answers.next()) {
    const auto stored = decode_record(at->key, at->value, record_type::answer);
    if (!stored)
      return at_entity("an answer", key, stored.error());
    out.emplace_back(stored->payload);
  }
  return out;
}

namespace {

template <class Read>
expected<stored_entity> of_entity(const entity_ref& entity, Read read) {
  if (entity.id.empty() || entity.id.size() > max_id_bytes)
    return fail(errc::bad_id, "an id has 1 to 256 bytes");
  expected<stored_entity> out = read();
  if (!out)
    return unexpected{error{out.error().code, to_string(entity) + ": " + out.error().message}};
  return out;
}

}  // namespace

expected<stored_entity> journal_store::impl::load(const entity_ref& entity) {
  return of_entity(entity, [&]() -> expected<stored_entity> {
    const auto key =
        internal::entity_key(name_spaces.hash_of(entity.name_space), entity.kind, entity.id);
    settle(key);
    auto txn = lmdb::transaction::read(env);
    const auto* known = index.find(key);
    auto out = internal::read_entity(txn, dbs, key, known == nullptr ? nullptr : &known->value);
    if (!out)
      return out;
    auto answers = read_answers(txn, key);
    if (!answers)
      return unexpected{answers.error()};
    out->answers = *std::move(answers);
    const auto newest = newest_of(
        txn, key, internal::verify::checksum);  // and so the next commit finds it in memory
    if (!newest)
      return unexpected{newest.error()};
    if (newest->sequence != out->sequence)
      return fail(errc::damaged, "its body is at revision " + std::to_string(out->sequence)
                                     + ", its record at " + std::to_string(newest->sequence));
    return out;
  });
}

expected<stored_entity> journal_store::impl::load_at(const entity_ref& entity,
                                                     std::uint64_t revision) {
  return of_entity(entity, [&] {
    const auto key =
        internal::entity_key(name_spaces.hash_of(entity.name_space), entity.kind, entity.id);
    settle(key);
    auto txn = lmdb::transaction::read(env);
    return read_at(txn, key, revision);
  });
}

}  // namespace troupe
