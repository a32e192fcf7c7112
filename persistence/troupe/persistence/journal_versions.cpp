#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>

/// Earlier revisions: the body before one, and the changes up to it.
namespace troupe {

using internal::record;
using internal::record_type;

namespace {

unexpected gone(std::uint64_t revision) {
  return fail(errc::revision_gone, "revision " + std::to_string(revision) + " is not kept");
}

}  // namespace

expected<std::vector<std::uint64_t>> journal_store::impl::versions_of(lmdb::transaction& txn,
                                                                      std::string_view key) {
  std::vector<std::uint64_t> out;
  const auto prefix = internal::parts_of(key);
  lmdb::cursor versions{txn, dbs.versions};
  for (auto at = versions.seek(prefix); at && at->key.starts_with(prefix); at = versions.next()) {
    if (at->key.size() != prefix.size() + 8)
      return fail(errc::damaged, "a version has a key of another length");
    out.push_back(internal::get_be64(at->key.substr(prefix.size())));
  }
  return out;
}

void journal_store::impl::drop_past(lmdb::transaction& txn, std::string_view key) {
  const auto prefix = internal::parts_of(key);
  for (const auto db : {dbs.versions, dbs.changes}) {
    lmdb::cursor all{txn, db};
    for (auto at = all.seek(prefix); at && at->key.starts_with(prefix); at = all.next())
      all.erase();
  }
}

/// A body at or before the revision, then every change up to it: from the tail, from the journal by
/// the way each record leads to the one before, and from what compaction kept.
expected<stored_entity> journal_store::impl::read_at(lmdb::transaction& txn, std::string_view key,
                                                     std::uint64_t revision) {
  const auto known = read_known(txn, key, internal::verify::checksum);
  if (!known)
    return unexpected{known.error()};
  const auto* entry = index.find(key);
  const auto newest = entry != nullptr ? entry->value.newest.sequence : known->revision;
  const auto first_revision = std::max<std::uint64_t>(1, known->head.first_revision);
  if (revision < first_revision || revision > newest)
    return gone(revision);

  stored_entity out;
  if (known->revision != 0 && known->revision <= revision) {
    const auto body = internal::read_body(txn, dbs.snapshots, key);
    if (!body)
      return unexpected{body.error()};
    if (!*body)
      return fail(errc::damaged, "its snapshot is missing");
    if (auto done = internal::add_body(txn, dbs, **body, out); !done)
      return unexpected{done.error()};
  } else if (known->revision != 0) {
    const auto versions = versions_of(txn, key);
    if (!versions)
      return unexpected{versions.error()};
    const auto after = std::upper_bound(versions->begin(), versions->end(), revision);
    const auto from = after == versions->begin() ? 0 : *std::prev(after);
    if (from != revision && std::max(from, first_revision - 1) < known->head.base)
      return gone(revision);
    if (from != 0) {
      const auto body =
          internal::read_body(txn, dbs.versions, internal::parts_of(key) + internal::be64(from));
      if (!body)
        return unexpected{body.error()};
      if (auto done = internal::add_body(txn, dbs, **body, out); !done)
        return unexpected{done.error()};
    } else {
      out.sequence = first_revision - 1;
    }
  }

  if (out.sequence == revision)
    return out;

  // From the newest to the oldest.
  std::vector<std::string> changes;
  const auto add = [&](const record& change) {
    if (change.sequence <= revision && change.sequence > out.sequence)
      changes.emplace_back(change.payload);
  };
  if (entry != nullptr) {
    const auto tail = internal::tail_of(txn, dbs, key, entry->value);
    if (!tail)
      return unexpected{tail.error()};
    for (const auto& change : *tail)
      if (change.sequence > known->revision)
        add(change);
  }
  auto sequence = known->revision;
  for (auto at = known->head.position; sequence > out.sequence && at >= first;) {
    const auto change = internal::find_change(txn, dbs, at, key);
    if (!change)
      return unexpected{change.error()};
    if (change->sequence != sequence)
      return fail(errc::damaged, "journal record " + std::to_string(at) + " holds revision "
                                     + std::to_string(change->sequence) + ", not "
                                     + std::to_string(sequence));
    add(*change);
    --sequence;
    at = change->previous;
  }
  for (; sequence > out.sequence; --sequence) {
    const auto kept_key = internal::parts_of(key) + internal::be64(sequence);
    const auto bytes = txn.get(dbs.changes, kept_key);
    if (!bytes)
      return fail(errc::damaged, "change " + std::to_string(sequence) + " is missing");
    const auto change = internal::decode_record(kept_key, *bytes, record_type::change);
    if (!change)
      return fail(change.error().code,
                  "change " + std::to_string(sequence) + ": " + change.error().message);
    add(*change);
  }
  if (changes.size() != revision - out.sequence)
    return gone(revision);
  out.parts.changes.assign(std::make_move_iterator(changes.rbegin()),
                           std::make_move_iterator(changes.rend()));
  out.sequence = revision;
  return out;
}

}  // namespace troupe
