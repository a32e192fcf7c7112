#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>

namespace troupe {

/// Records and the two numbers that tell of them go in one transaction, and in the same what an
/// entity promises still of its earlier revisions comes to stand by itself.
expected<bool> journal_store::impl::compact(std::uint64_t keep_from,
                                            std::optional<std::uint64_t> kept_bytes) {
  const auto end = std::min(keep_from, watermark + 1);
  const auto kept = env.short_of_room() ? 0 : kept_bytes.value_or(options.covered_bytes);
  const auto wanted = [&](std::uint64_t at, std::uint64_t freed) {
    return covered - freed > kept && at < end;
  };
  if (!wanted(first, 0))
    return false;
  // What is kept, the pages of the trees and the free list.
  env.reserve(2 * options.slice_bytes + wal.bytes());
  auto txn = begin_write();
  std::uint64_t freed = 0, next = first;
  {
    lmdb::cursor journal{txn, dbs.journal};
    for (auto at = journal.first(); at && wanted(next, freed) && freed < options.slice_bytes;
         at = journal.next()) {
      if (internal::get_be64(at->key) != next)
        return fail(errc::damaged, "journal record " + std::to_string(next) + " is missing");
      const std::string bytes{at->value};  // the tree moves when something is written
      const auto changes = internal::changes_in(next, bytes);
      if (!changes)
        return unexpected{changes.error()};
      for (const auto& change : *changes) {
        const auto key = internal::entity_key(change.name_space, change.kind, change.id);
        const auto known = read_known(txn, key, internal::verify::header);
        if (!known)
          return unexpected{known.error()};
        if (change.sequence <= known->head.base || change.sequence < known->head.first_revision)
          continue;
        const auto kept_key = internal::parts_of(key) + internal::be64(change.sequence);
        internal::encode_record(txn.reserve(dbs.changes, kept_key, internal::encoded_size(change)),
                                kept_key, change);
      }
      freed += bytes.size();
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
  return wanted(first, 0);
}

}  // namespace troupe
