#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/journal_impl.hpp>

#include <algorithm>

/// One entity's changes in their order: from what compaction kept, from the journal by the way each
/// record leads to the one before, and from the tail.
namespace troupe {

using internal::record;
using internal::record_type;

namespace {

unexpected gone(std::uint64_t after, std::uint64_t newest) {
  return unexpected{error{errc::revision_gone,
                          "not all changes behind revision " + std::to_string(after) + " are kept",
                          {},
                          newest}};
}

}  // namespace

/// From the newest back to `after`, then turned around. All are there when the way comes to a
/// change at or before `after`, to the one behind it, or to the entity's first: number 1, a fork's
/// any.
expected<std::vector<journal_store::impl::kept_change>> journal_store::impl::changes_behind(
    lmdb::transaction& txn, std::string_view key, std::uint64_t after) {
  const auto known = read_known(txn, key, internal::verify::checksum);
  if (!known)
    return unexpected{known.error()};
  const auto* entry = index.find(key);
  const auto newest = entry != nullptr ? entry->value.newest.sequence : known->revision;
  if (after > newest)
    return gone(after, newest);

  std::vector<kept_change> out;
  auto at = entry != nullptr ? entry->value.newest.position : known->head.position;
  auto end = after == newest;
  while (!end && at >= first) {
    const auto change = internal::find_change(txn, dbs, at, key);
    if (!change)
      return unexpected{change.error()};
    end = change->sequence <= after;
    if (!end)
      out.push_back({at, change->sequence, false});
    at = change->previous;
  }
  auto sequence = out.empty() ? newest : out.back().sequence - 1;
  for (; !end && at != 0 && sequence > after; --sequence) {
    const auto kept_key = internal::parts_of(key) + internal::be64(sequence);
    const auto bytes = txn.get(dbs.changes, kept_key);
    if (!bytes)
      break;
    const auto change =
        internal::decode_record(kept_key, *bytes, record_type::change, internal::verify::header);
    if (!change)
      return fail(change.error().code,
                  "change " + std::to_string(sequence) + ": " + change.error().message);
    out.push_back({at, sequence, true});
    at = change->previous;
  }
  const auto oldest = out.empty() ? 0 : out.back().sequence;
  const auto begins = std::max<std::uint64_t>(1, known->head.first_revision);
  if (!end && oldest != after + 1 && (at != 0 || oldest == 0 || oldest > begins))
    return gone(after, newest);
  std::reverse(out.begin(), out.end());
  return out;
}

expected<void> journal_store::impl::for_each_change(
    const entity_ref& entity, std::uint64_t after,
    const std::function<bool(const journal_record&)>& next) {
  const auto key =
      internal::entity_key(name_spaces.hash_of(entity.name_space), entity.kind, entity.id);
  settle(key);
  auto txn = lmdb::transaction::read(env);
  const auto all = changes_behind(txn, key, after);
  if (!all)
    return fail(all.error().code, to_string(entity) + ": " + all.error().message, std::string{},
                all.error().current_revision);
  for (const auto& one : *all) {
    const auto kept_key = internal::parts_of(key) + internal::be64(one.sequence);
    auto change = expected<record>{};
    if (one.moved) {
      const auto bytes = txn.get(dbs.changes, kept_key);
      change = bytes ? internal::decode_record(kept_key, *bytes, record_type::change)
                     : fail(errc::damaged, "a kept change is missing");
    } else {
      change = internal::find_change(txn, dbs, one.position, key);
    }
    if (!change)
      return unexpected{change.error()};
    if (!next({one.position, change->sequence, change->epoch, change->shard, entity,
               change->payload}))
      return {};
  }
  return {};
}

}  // namespace troupe
