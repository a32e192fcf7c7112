#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

namespace troupe {

using internal::decode_record;
using internal::record;
using internal::record_type;

namespace {

unexpected at_record(std::uint64_t at, const error& what) {
  return fail(what.code, "journal record " + std::to_string(at) + ": " + what.message);
}

unexpected at_snapshot(std::string_view key, const error& what) {
  return fail(what.code, "snapshot of " + std::string{key.substr(17)} + ": " + what.message);
}

std::string key_of(const record& of) {
  return internal::entity_key(of.name_space, of.kind, of.id);
}

}  // namespace

expected<record> journal_store::impl::read_change(std::uint64_t at, std::string_view bytes) {
  auto out = decode_record(internal::be64(at), bytes, record_type::change);
  return out ? out : at_record(at, out.error());
}

expected<void> journal_store::impl::replay() {
  auto found = internal::find_layout(env);
  if (!found)
    return unexpected{found.error()};
  dbs = *found;
  auto txn = lmdb::transaction::read(env);
  const auto stored_watermark = internal::read_number(txn, dbs.meta, internal::meta_key::watermark);
  if (!stored_watermark)
    return unexpected{stored_watermark.error()};
  const auto stored_epoch = internal::read_number(txn, dbs.meta, internal::meta_key::epoch);
  if (!stored_epoch)
    return unexpected{stored_epoch.error()};
  const auto stored_first = internal::read_number(txn, dbs.meta, internal::meta_key::first);
  if (!stored_first)
    return unexpected{stored_first.error()};
  const auto stored_covered = internal::read_number(txn, dbs.meta, internal::meta_key::covered);
  if (!stored_covered)
    return unexpected{stored_covered.error()};
  position = watermark = *stored_watermark;
  first = *stored_first;
  covered = *stored_covered;
  epoch = *stored_epoch;

  lmdb::cursor journal{txn, dbs.journal};
  if (const auto oldest = journal.first();
      first > watermark + 1
      || (oldest ? oldest->key != internal::be64(first) : first != watermark + 1))
    return fail(errc::damaged, "the journal does not begin at record " + std::to_string(first));
  for (auto at = journal.seek(internal::be64(watermark + 1)); at; at = journal.next()) {
    if (at->key.size() != 8 || internal::get_be64(at->key) != position + 1)
      return fail(errc::damaged, "journal record " + std::to_string(position + 1) + " is missing");
    const auto change = read_change(++position, at->value);
    if (!change)
      return unexpected{change.error()};
    tail_bytes += at->value.size();
    const auto key = key_of(*change);
    auto* known = index.find(key);
    auto newest = index.sequence(key);
    if (!newest) {
      // Only the head, so that a start does not read snapshots: one that is damaged is the error of
      // its entity, when it is loaded.
      const auto snapshot = stored_sequence(txn, key, internal::verify::header);
      if (!snapshot)
        return unexpected{snapshot.error()};
      index.remember(key, *snapshot);
      newest = *snapshot;
    }
    if (change->sequence <= *newest && known == nullptr)
      continue;  // its snapshot covers it
    if (change->sequence != *newest + 1)
      return at_record(position,
                       {errc::damaged, "change " + std::to_string(change->sequence) + " of "
                                           + std::string{change->id} + " follows revision "
                                           + std::to_string(*newest)});
    index.append(known, key, change->sequence, position);
  }
  if (const auto last = journal.last(); last && internal::get_be64(last->key) > position)
    return fail(errc::damaged, "the journal has records behind a gap");
  return {};
}

/// A snapshot whose key was damaged stands where it stood: one of the two neighbours of its true
/// key is then stored under a key that is not its own.
expected<void> journal_store::impl::check_absent(lmdb::transaction& txn, std::string_view key) {
  lmdb::cursor snapshots{txn, dbs.snapshots};
  const auto fine = [](const lmdb::entry& neighbour) -> expected<void> {
    const auto snapshot = decode_record(neighbour.key, neighbour.value, record_type::snapshot,
                                        internal::verify::header);
    if (snapshot && key_of(*snapshot) == neighbour.key)
      return {};
    return fail(errc::damaged, "a snapshot beside its place is damaged, and may be its own");
  };
  const auto behind = snapshots.seek(key);
  if (behind)
    if (auto done = fine(*behind); !done)
      return done;
  const auto before = behind ? snapshots.prior() : snapshots.last();
  return before ? fine(*before) : expected<void>{};
}

expected<std::uint64_t> journal_store::impl::stored_sequence(lmdb::transaction& txn,
                                                             std::string_view key,
                                                             internal::verify depth) {
  const auto bytes = txn.get(dbs.snapshots, key);
  if (!bytes) {
    if (auto absent = check_absent(txn, key); !absent)
      return unexpected{absent.error()};
    return 0;
  }
  const auto snapshot = decode_record(key, *bytes, record_type::snapshot, depth);
  if (!snapshot)
    return at_snapshot(key, snapshot.error());
  return snapshot->sequence;
}

expected<stored_entity> journal_store::impl::read_entity(lmdb::transaction& txn,
                                                         std::string_view key,
                                                         const internal::tail_entry* tail) {
  stored_entity out;
  if (const auto bytes = txn.get(dbs.snapshots, key)) {
    const auto snapshot = decode_record(key, *bytes, record_type::snapshot);
    if (!snapshot)
      return at_snapshot(key, snapshot.error());
    out.snapshot = snapshot->payload;
    out.sequence = snapshot->sequence;
  } else if (auto absent = check_absent(txn, key); !absent) {
    return unexpected{absent.error()};
  }
  if (tail == nullptr)
    return out;
  out.changes.reserve(tail->positions.size());
  for (const auto at : tail->positions) {
    const auto bytes = txn.get(dbs.journal, internal::be64(at));
    if (!bytes)
      return at_record(at, {errc::damaged, "it is missing"});
    const auto change = read_change(at, *bytes);
    if (!change)
      return unexpected{change.error()};
    if (key_of(*change) != key || change->sequence != out.sequence + 1)
      return at_record(at, {errc::damaged, "it is not the change that the index says"});
    out.changes.emplace_back(change->payload);
    out.sequence = change->sequence;
  }
  return out;
}

expected<stored_entity> journal_store::impl::load(const entity_ref& entity) {
  const auto key =
      internal::entity_key(name_spaces.hash_of(entity.name_space), entity.kind, entity.id);
  if (entity.id.empty() || entity.id.size() > max_id_bytes)
    return fail(errc::bad_id, "an id has 1 to 256 bytes");
  auto txn = lmdb::transaction::read(env);
  const auto* known = index.find(key);
  auto out = read_entity(txn, key, known == nullptr ? nullptr : &known->second);
  if (!out)
    return unexpected{error{out.error().code, to_string(entity) + ": " + out.error().message}};
  if (known == nullptr)
    index.remember(key, out->sequence);  // so that the next commit finds it in memory
  return out;
}

expected<void> journal_store::impl::for_each_entity(
    const std::function<bool(const entity_ref&, std::uint64_t)>& next) {
  auto txn = lmdb::transaction::read(env);
  const auto tails = index.sorted();
  auto tail = tails.begin();
  lmdb::cursor snapshots{txn, dbs.snapshots};
  const auto hand_out = [&](std::string_view key, std::uint64_t sequence) -> expected<bool> {
    internal::namespace_hash hash{};
    std::copy_n(key.begin(), hash.size(), hash.begin());
    auto name = name_spaces.name_of(txn, dbs, hash);
    if (!name)
      return at_snapshot(key, name.error());
    const auto kind = static_cast<entity_kind>(static_cast<unsigned char>(key[hash.size()]));
    return next({std::move(*name), kind, std::string{key.substr(hash.size() + 1)}}, sequence);
  };
  for (auto at = snapshots.first(); at || tail != tails.end();) {
    expected<bool> more = true;
    if (!at || (tail != tails.end() && (*tail)->first < at->key)) {
      more = hand_out((*tail)->first, (*tail)->second.sequence);
      ++tail;
    } else {
      const auto snapshot =
          at->key.size() < 18
              ? fail(errc::damaged, "its key is too short")
              : decode_record(at->key, at->value, record_type::snapshot, internal::verify::header);
      if (!snapshot)
        return at_snapshot(at->key.size() < 18 ? std::string_view{"?????????????????"} : at->key,
                           snapshot.error());
      const bool both = tail != tails.end() && (*tail)->first == at->key;
      more = hand_out(at->key, both ? (*tail)->second.sequence : snapshot->sequence);
      if (both)
        ++tail;
      at = snapshots.next();
    }
    if (!more)
      return unexpected{more.error()};
    if (!*more)
      break;
  }
  return {};
}

expected<void> journal_store::impl::for_each_record(
    std::uint64_t from, std::uint64_t to, const std::function<bool(const journal_record&)>& next) {
  auto txn = lmdb::transaction::read(env);
  lmdb::cursor journal{txn, dbs.journal};
  auto expected_here = std::max(from, first);
  for (auto at = journal.seek(internal::be64(from)); at && expected_here <= to;
       at = journal.next(), ++expected_here) {
    const auto here = internal::get_be64(at->key);
    if (here != expected_here)
      return at_record(expected_here, {errc::damaged, "it is missing"});
    const auto change = read_change(here, at->value);
    if (!change)
      return unexpected{change.error()};
    auto name = name_spaces.name_of(txn, dbs, change->name_space);
    if (!name)
      return at_record(here, name.error());
    if (!next({here,
               change->sequence,
               change->epoch,
               change->shard,
               {std::move(*name), change->kind, std::string{change->id}},
               change->payload}))
      break;
  }
  return {};
}

}  // namespace troupe
