#include <troupe/persistence/internal/journal_impl.hpp>

namespace troupe {

namespace {

constexpr std::uint64_t page_bytes = 4'096;  // each snapshot may copy a page of the tree

expected<void> check_adopted(const adopted_entity& what) {
  const auto fits = [](const std::string& name) {
    return !name.empty() && name.size() <= max_id_bytes;
  };
  if (!fits(what.entity.id) || !fits(what.entity.name_space))
    return fail(errc::bad_id, "an id and a namespace have 1 to 256 bytes");
  if (what.snapshot.size() > internal::max_payload_bytes)
    return fail(errc::too_large, to_string(what.entity) + ": a snapshot has at most 1 GiB");
  if (what.sequence == 0 || what.snapshot.empty())
    return fail(errc::invalid_value, to_string(what.entity) + " was never written");
  return {};
}

}  // namespace

/// The journal has no record of them: to a reader they are entities whose records were freed.
expected<void> journal_store::impl::adopt(std::span<const adopted_entity> entities) {
  std::uint64_t bytes = 0;
  for (const auto& one : entities) {
    if (auto fine = check_adopted(one); !fine)
      return fine;
    bytes += one.snapshot.size() + page_bytes;
  }
  env.reserve(bytes);
  auto txn = lmdb::transaction::write(env);
  std::vector<std::string> keys;
  keys.reserve(entities.size());
  for (const auto& [entity, sequence, snapshot] : entities) {
    const auto& hash = name_spaces.store(txn, dbs, entity.name_space);
    const auto& key = keys.emplace_back(internal::entity_key(hash, entity.kind, entity.id));
    if (index.find(key) != nullptr || txn.get(dbs.snapshots, key)) {
      name_spaces.aborted();
      return fail(errc::already_exists, to_string(entity) + " is in the store already");
    }
    const internal::record out{.type = internal::record_type::snapshot,
                               .shard = 0,
                               .epoch = epoch,
                               .sequence = sequence,
                               .name_space = hash,
                               .kind = entity.kind,
                               .id = entity.id,
                               .payload = snapshot};
    internal::encode_record(txn.reserve(dbs.snapshots, key, internal::encoded_size(out)), key, out);
  }
  try {
    finish(txn);
  } catch (const lmdb::failure&) {
    name_spaces.aborted();
    throw;
  }
  name_spaces.committed();
  for (std::size_t i = 0; i < keys.size(); ++i)
    index.remember(keys[i], entities[i].sequence);
  return {};
}

}  // namespace troupe
