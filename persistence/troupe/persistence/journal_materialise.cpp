#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <unordered_set>

namespace troupe {

using internal::record;

namespace {

constexpr std::uint64_t page_bytes = 4'096;  // each snapshot may copy a page of the tree

}  // namespace

/// Snapshots of every entity that has a change at positions (watermark, to].
struct journal_store::impl::slice {
  struct snapshot {
    internal::tail_index::node* entry;
    internal::namespace_hash hash;
    entity_kind kind;
    std::string payload;
  };

  std::vector<snapshot> snapshots;
  std::uint64_t to = 0;
  std::uint64_t journal_bytes = 0;
  std::uint64_t snapshot_bytes = 0;
};

/// Reads from the watermark on until the slice is full. An entity is folded at its first record,
/// over its whole tail, so that its later records cost nothing more.
expected<journal_store::impl::slice> journal_store::impl::fold_slice() {
  slice out{.snapshots = {}, .to = watermark};
  std::unordered_set<const void*> folded;
  // What a slice replaces is free two transactions later, so a small one finds room where a large
  // one does not.
  const auto slice_bytes = env.short_of_room() ? options.slice_bytes / 16 : options.slice_bytes;
  auto txn = lmdb::transaction::read(env);
  lmdb::cursor journal{txn, dbs.journal};
  for (auto at = journal.seek(internal::be64(watermark + 1)); at; at = journal.next()) {
    const auto here = out.to + 1;
    const auto work = out.journal_bytes + out.snapshot_bytes + at->value.size();
    if (out.to != watermark && work > slice_bytes)
      break;
    // An entity that cannot be folded stops the watermark in front of its record, after what can be
    // done before it.
    const auto stop_at = [&](const error& what) -> expected<slice> {
      if (out.to != watermark)
        return std::move(out);
      return unexpected{what};
    };
    if (internal::get_be64(at->key) != here)
      return stop_at({errc::damaged, "journal record " + std::to_string(here) + " is missing"});
    const auto change = read_change(here, at->value);
    if (!change)
      return stop_at(change.error());
    const auto key = internal::entity_key(change->name_space, change->kind, change->id);
    auto* entry = index.find(key);
    if (entry != nullptr && entry->second.positions.front() <= here
        && folded.insert(entry).second) {
      auto stored = read_entity(txn, key, &entry->second);
      if (!stored)
        return stop_at(stored.error());
      auto state = fold(change->kind, stored->snapshot, stored->changes);
      if (!state)
        return stop_at({state.error().code, "cannot fold " + std::string{change->id}
                                                + " at journal record " + std::to_string(here)
                                                + ": " + state.error().message});
      out.snapshot_bytes += state->size();
      out.snapshots.push_back({entry, change->name_space, change->kind, std::move(*state)});
    }
    out.journal_bytes += at->value.size();
    out.to = here;
  }
  return out;
}

/// Snapshots and watermark in one transaction: a crash leaves both or none.
expected<void> journal_store::impl::write_slice(slice& what) {
  env.reserve(what.snapshot_bytes + what.snapshots.size() * page_bytes);
  auto txn = lmdb::transaction::write(env);
  for (const auto& [entry, hash, kind, payload] : what.snapshots) {
    if (payload.size() > internal::max_payload_bytes)
      return fail(errc::too_large, "a snapshot has at most 1 GiB");
    const std::string_view key{entry->first};
    const record out{.type = internal::record_type::snapshot,
                     .shard = 0,
                     .epoch = epoch,
                     .sequence = entry->second.sequence,
                     .name_space = hash,
                     .kind = kind,
                     .id = key.substr(hash.size() + 1),
                     .payload = payload};
    internal::encode_record(txn.reserve(dbs.snapshots, key, internal::encoded_size(out)), key, out);
  }
  internal::write_number(txn, dbs.meta, internal::meta_key::watermark, what.to);
  internal::write_number(txn, dbs.meta, internal::meta_key::covered, covered + what.journal_bytes);
  finish(txn);
  for (const auto& snapshot : what.snapshots)
    index.materialised(*snapshot.entry);
  watermark = what.to;
  covered += what.journal_bytes;
  tail_bytes -= what.journal_bytes;
  return {};
}

expected<bool> journal_store::impl::materialise() {
  if (watermark == position)
    return false;
  auto next = fold_slice();
  if (!next)
    return unexpected{next.error()};
  if (auto done = write_slice(*next); !done)
    return unexpected{done.error()};
  return watermark != position;
}

/// Records and the two numbers that tell of them go in one transaction.
expected<bool> journal_store::impl::compact() {
  const auto kept = env.short_of_room() ? 0 : options.covered_bytes;
  if (covered <= kept)
    return false;
  env.reserve(options.slice_bytes);  // for the pages of the trees and of the free list
  auto txn = lmdb::transaction::write(env);
  std::uint64_t freed = 0, next = first;
  {
    lmdb::cursor journal{txn, dbs.journal};
    for (auto at = journal.first();
         at && next <= watermark && freed < options.slice_bytes && covered - freed > kept;
         at = journal.next()) {
      if (internal::get_be64(at->key) != next)
        return fail(errc::damaged, "journal record " + std::to_string(next) + " is missing");
      freed += at->value.size();
      ++next;
      journal.erase();
    }
  }
  if (freed > covered)
    return fail(errc::damaged, "the journal is longer than meta says");
  internal::write_number(txn, dbs.meta, internal::meta_key::first, next);
  internal::write_number(txn, dbs.meta, internal::meta_key::covered, covered - freed);
  finish(txn);
  first = next;
  covered -= freed;
  return covered > kept && first <= watermark;
}

}  // namespace troupe
