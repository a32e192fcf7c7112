#include <troupe/persistence/internal/journal_impl.hpp>

namespace troupe {

namespace {

constexpr std::uint64_t page_bytes = 4'096;
constexpr std::uint64_t pages = 8;  // that an entity's values may copy

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

/// The journal has no record of them: to a reader they are entities whose changes were freed.
expected<void> journal_store::impl::adopt(std::span<const adopted_entity> entities) {
  std::uint64_t bytes = 0;
  for (const auto& one : entities) {
    if (auto fine = check_adopted(one); !fine)
      return fine;
    bytes += one.snapshot.size() + pages * page_bytes;
  }
  env.reserve(bytes + wal.bytes());
  auto txn = begin_write();
  std::vector<std::string> keys;
  keys.reserve(entities.size());
  auto newest_log = logs;
  const auto give_up = [&](error why) {
    name_spaces.aborted();
    return unexpected{std::move(why)};
  };
  for (const auto& [entity, sequence, snapshot] : entities) {
    const auto& hash = name_spaces.store(txn, dbs, entity.name_space);
    const auto& key = keys.emplace_back(internal::entity_key(hash, entity.kind, entity.id));
    if (index.find(key) != nullptr || txn.get(dbs.entities, key))
      return give_up({errc::already_exists, to_string(entity) + " is in the store already"});
    const auto made = fold(entity.kind, {snapshot, {}, {}});
    if (!made)
      return give_up({made.error().code, to_string(entity) + ": " + made.error().message});
    internal::entity_head head{
        .position = 0, .base = sequence, .first_revision = made->first_revision, .logs = {}};
    const auto chunks = internal::place_chunks(txn, dbs, internal::unplaced(made->parts.chunks), {},
                                               head, newest_log);
    if (!chunks)
      return give_up(chunks.error());
    const internal::record name{.epoch = epoch,
                                .sequence = sequence,
                                .name_space = hash,
                                .kind = entity.kind,
                                .id = entity.id,
                                .payload = {}};
    write_body(txn, dbs.snapshots, key, name, encode(*chunks), made->parts.body);
    write_known(txn, key, name, head, made->parts.header);
  }
  internal::write_number(txn, dbs.meta, internal::meta_key::logs, newest_log);
  try {
    finish(txn);
  } catch (const lmdb::failure&) {
    name_spaces.aborted();
    throw;
  }
  name_spaces.committed();
  for (std::size_t i = 0; i < keys.size(); ++i)
    index.remember(keys[i], {entities[i].sequence, 0});
  logs = newest_log;
  return {};
}

}  // namespace troupe
