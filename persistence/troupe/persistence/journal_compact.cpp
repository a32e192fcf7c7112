#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

/// Whether an entity promises still what this change of it made. It is asked for once, not for each
/// of its changes: the oldest that it promises only moves on.
expected<bool> journal_store::impl::promises(lmdb::transaction& txn, const std::string& key,
                                             std::uint64_t sequence) {
  if (const auto found = promised_from_.find(key);
      found != promised_from_.end() && sequence < found->second)
    return false;
  const auto known = read_known(txn, key, internal::verify::header);
  if (!known)
    return unexpected{known.error()};
  if (promised_from_.size() >= options.clean_entries)
    promised_from_.clear();
  const auto from = std::max(known->head.base + 1, known->head.first_revision);
  promised_from_.insert_or_assign(key, from);
  return sequence >= from;
}

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
      // Most are promised to nobody: of these no more than the head is looked at.
      const auto changes = internal::changes_in(next, at->value, internal::verify::header);
      if (!changes)
        return unexpected{changes.error()};
      std::vector<std::pair<std::string, std::string>> moved;  // the tree moves when it is written
      for (const auto& change : *changes) {
        const auto key = internal::entity_key(change.name_space, change.kind, change.id);
        const auto promised = promises(txn, key, change.sequence);
        if (!promised)
          return unexpected{promised.error()};
        if (!*promised)
          continue;
        if (moved.empty())
          if (const auto whole = internal::changes_in(next, at->value); !whole)
            return unexpected{whole.error()};
        auto& [kept_key, bytes] = moved.emplace_back();
        kept_key = internal::parts_of(key) + internal::be64(change.sequence);
        bytes.resize(internal::encoded_size(change));
        internal::encode_record(bytes.data(), kept_key, change);
      }
      freed += at->value.size();
      ++next;
      journal.erase();
      for (const auto& [kept_key, bytes] : moved)
        txn.put(dbs.changes, kept_key, bytes);
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
