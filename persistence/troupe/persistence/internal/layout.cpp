#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/crc32c.hpp>
#include <troupe/persistence/internal/layout.hpp>

#include <array>

namespace troupe::internal {

namespace {

constexpr std::size_t number_bytes = 12;  // the number and its checksum
constexpr std::size_t max_known = 4'096;  // then: all are forgotten, and read or hashed again

struct named {
  const char* name;
  lmdb::dbi databases::*member;
};
constexpr std::array all_databases{
    named{"meta", &databases::meta},           named{"namespaces", &databases::name_spaces},
    named{"journal", &databases::journal},     named{"entities", &databases::entities},
    named{"snapshots", &databases::snapshots}, named{"versions", &databases::versions},
    named{"changes", &databases::changes},     named{"pins", &databases::pins},
    named{"chunks", &databases::chunks},       named{"logs", &databases::logs},
    named{"answers", &databases::answers},     named{"answer_times", &databases::answer_times}};
static_assert(all_databases.size() <= lmdb::max_databases);

unexpected damaged(std::string what) {
  return fail(errc::damaged, std::move(what));
}

}  // namespace

void create_layout(lmdb::environment& env) {
  env.reserve(0);
  auto txn = lmdb::transaction::write(env);
  databases dbs;
  for (const auto& [name, member] : all_databases)
    dbs.*member = txn.create_database(name);
  const auto meta = dbs.meta;
  write_number(txn, meta, meta_key::format, current_store_format);
  write_number(txn, meta, meta_key::watermark, 0);
  write_number(txn, meta, meta_key::first, 1);
  write_number(txn, meta, meta_key::covered, 0);
  write_number(txn, meta, meta_key::epoch, 1);
  write_number(txn, meta, meta_key::logs, 0);
  txn.commit();
}

expected<databases> find_layout(lmdb::environment& env) {
  auto txn = lmdb::transaction::read(env);
  const auto meta = txn.find_database("meta");
  if (!meta)
    return damaged("the file is LMDB's, but no Troupe store");
  const auto format = read_number(txn, *meta, meta_key::format);
  if (!format)
    return unexpected{format.error()};
  if (*format > current_store_format)
    return fail(errc::newer_format, "the store has format " + std::to_string(*format)
                                        + "; this build reads up to "
                                        + std::to_string(current_store_format));
  if (*format < oldest_store_format)
    return damaged("the store has format " + std::to_string(*format)
                   + ", which this build does not read any more: start with a new directory");
  databases out;
  for (const auto& [name, member] : all_databases) {
    const auto found = txn.find_database(name);
    if (!found)
      return damaged("the database " + std::string{name} + " is missing");
    out.*member = *found;
  }
  txn.commit();  // an aborted transaction would close the handles
  return out;
}

expected<std::uint64_t> read_number(lmdb::transaction& txn, lmdb::dbi meta, std::string_view key) {
  const auto value = find_number(txn, meta, key);
  if (!value)
    return damaged("the meta entry " + std::string{key} + " does not match its checksum");
  if (!*value)
    return damaged("meta has no entry " + std::string{key});
  return **value;
}

expected<std::optional<std::uint64_t>> find_number(lmdb::transaction& txn, lmdb::dbi db,
                                                   std::string_view key) {
  const auto value = txn.get(db, key);
  if (!value)
    return std::nullopt;
  if (value->size() != number_bytes
      || get_le<std::uint32_t>(value->data() + 8) != crc32c(value->substr(0, 8), crc32c(key)))
    return damaged("a number does not match its checksum");
  return get_le<std::uint64_t>(value->data());
}

void write_number(lmdb::transaction& txn, lmdb::dbi meta, std::string_view key,
                  std::uint64_t number) {
  std::array<char, number_bytes> value{};
  put_le(value.data(), number);
  put_le(value.data() + 8, crc32c({value.data(), 8}, crc32c(key)));
  txn.put(meta, key, {value.data(), value.size()});
}

name_space_table::known& name_space_table::find(const std::string& name) {
  if (const auto found = by_name_.find(name); found != by_name_.end())
    return found->second;
  if (by_name_.size() >= max_known)
    by_name_.clear();
  auto& out = by_name_.emplace(name, known{hash_namespace(name), false}).first->second;
  remember(out.hash, name);
  return out;
}

const std::string& name_space_table::remember(const namespace_hash& hash, std::string_view name) {
  if (by_hash_.size() >= max_known)
    by_hash_.clear();
  return by_hash_.emplace(std::string{hash.data(), hash.size()}, name).first->second;
}

const namespace_hash& name_space_table::hash_of(const std::string& name) {
  return find(name).hash;
}

const namespace_hash& name_space_table::store(lmdb::transaction& txn, const databases& dbs,
                                              const std::string& name) {
  auto& entry = find(name);
  if (entry.stored)
    return entry.hash;
  const std::string_view key{entry.hash.data(), entry.hash.size()};
  if (!txn.get(dbs.name_spaces, key))
    txn.put(dbs.name_spaces, key, name);
  fresh_.push_back(name);
  return entry.hash;
}

bool name_space_table::find_stored(lmdb::transaction& txn, const databases& dbs,
                                   const std::string& name) {
  auto& entry = find(name);
  if (!entry.stored)
    entry.stored = txn.get(dbs.name_spaces, {entry.hash.data(), entry.hash.size()}).has_value();
  return entry.stored;
}

bool name_space_table::is_stored(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found != by_name_.end() && found->second.stored;
}

void name_space_table::committed() {
  for (const auto& name : fresh_)
    if (const auto found = by_name_.find(name); found != by_name_.end())
      found->second.stored = true;
  fresh_.clear();
}

const std::string* name_space_table::known_name_of(const namespace_hash& hash) const {
  const auto found = by_hash_.find(std::string{hash.data(), hash.size()});
  return found == by_hash_.end() ? nullptr : &found->second;
}

expected<std::string> name_space_table::name_of(lmdb::transaction& txn, const databases& dbs,
                                                const namespace_hash& hash) {
  if (const auto* name = known_name_of(hash))
    return *name;
  const auto value = txn.get(dbs.name_spaces, {hash.data(), hash.size()});
  if (!value)
    return damaged("the name of its namespace is missing");
  if (hash_namespace(*value) != hash)
    return damaged("the name of its namespace does not match its hash");
  return remember(hash, *value);
}

}  // namespace troupe::internal
