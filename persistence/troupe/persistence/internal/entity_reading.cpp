#include <troupe/persistence/internal/bytes.hpp>
#include <troupe/persistence/internal/chunk_store.hpp>
#include <troupe/persistence/internal/entity_reading.hpp>

#include <algorithm>
#include <ranges>

namespace troupe::internal {

unexpected at_record(std::uint64_t at, const error& what) {
  return fail(what.code, "journal record " + std::to_string(at) + ": " + what.message);
}

unexpected at_entity(std::string_view what, std::string_view key, const error& why) {
  return fail(why.code, std::string{what} + " of "
                            + std::string{key.substr(std::min<std::size_t>(17, key.size()))} + ": "
                            + why.message);
}

std::string key_of(const record& of) {
  return entity_key(of.name_space, of.kind, of.id);
}

namespace {

bool is_of(const record& change, std::string_view key) noexcept {
  const auto hash = change.name_space.size();
  return key.size() == hash + 1 + change.id.size()
         && std::equal(change.name_space.begin(), change.name_space.end(), key.begin())
         && static_cast<entity_kind>(static_cast<unsigned char>(key[hash])) == change.kind
         && key.substr(hash + 1) == change.id;
}

}  // namespace

expected<std::vector<record>> changes_in(std::uint64_t at, std::string_view bytes, verify depth) {
  const auto key = be64(at);
  const auto outer = decode_record(
      key, bytes, type_of(bytes) == record_type::set ? record_type::set : record_type::change,
      depth);
  if (!outer)
    return at_record(at, outer.error());
  if (outer->type == record_type::change)
    return std::vector{*outer};
  const auto inner = split_set(outer->payload);
  if (!inner)
    return at_record(at, inner.error());
  std::vector<record> out;
  for (const auto one : *inner) {
    const auto change = decode_record(key, one, record_type::change, depth);
    if (!change)
      return at_record(at, change.error());
    out.push_back(*change);
  }
  if (out.size() < 2)
    return at_record(at, {errc::damaged, "a set has at least two changes"});
  return out;
}

expected<record> find_change(lmdb::transaction& txn, const databases& dbs, std::uint64_t at,
                             std::string_view key) {
  const auto bytes = txn.get(dbs.journal, be64(at));
  if (!bytes)
    return at_record(at, {errc::damaged, "it is missing"});
  if (type_of(*bytes) == record_type::change) {  // of one there is no list to make
    auto change = decode_record(be64(at), *bytes, record_type::change);
    if (!change)
      return at_record(at, change.error());
    if (is_of(*change, key))
      return change;
  } else {
    const auto changes = changes_in(at, *bytes);
    if (!changes)
      return unexpected{changes.error()};
    for (const auto& change : *changes)
      if (is_of(change, key))
        return change;
  }
  return at_record(at, {errc::damaged, "it is not the change that the index says"});
}

expected<std::vector<record>> tail_of(lmdb::transaction& txn, const databases& dbs,
                                      std::string_view key, const tail_entry& tail) {
  std::vector<record> out;
  for (auto at = tail.newest.position;;) {
    auto change = find_change(txn, dbs, at, key);
    if (!change)
      return unexpected{change.error()};
    const auto before = change->previous;
    out.push_back(*std::move(change));
    if (at == tail.first)
      return out;
    if (before < tail.first || before >= at)
      return at_record(at, {errc::damaged, "the change before it is not where it says"});
    at = before;
  }
}

namespace {

/// `rest` is what is behind the chunks.
expected<standing_chunks> chunks_in(std::string_view key, std::string_view bytes,
                                    std::string_view& rest) {
  const auto stored = decode_record(key, bytes, record_type::snapshot);
  if (!stored)
    return at_entity("snapshot", key, stored.error());
  rest = stored->payload;
  auto chunks = take_chunks(rest);
  if (!chunks)
    return at_entity("snapshot", key, chunks.error());
  return standing_chunks{stored->sequence, std::move(*chunks)};
}

}  // namespace

expected<standing_chunks> read_standing(lmdb::transaction& txn, lmdb::dbi from,
                                        std::string_view key) {
  std::string_view rest;
  const auto bytes = txn.get(from, key);
  return bytes ? chunks_in(key, *bytes, rest) : standing_chunks{};
}

expected<std::optional<stored_body>> read_body(lmdb::transaction& txn, lmdb::dbi from,
                                               std::string_view key) {
  const auto bytes = txn.get(from, key);
  if (!bytes)
    return std::nullopt;
  std::string_view body;
  auto head = chunks_in(key, *bytes, body);
  if (!head)
    return unexpected{head.error()};
  return stored_body{head->revision, std::move(head->chunks), std::string{body}};
}

expected<void> add_body(lmdb::transaction& txn, const databases& dbs, const stored_body& from,
                        stored_entity& to) {
  to.sequence = from.revision;
  to.parts.body = from.body;
  to.parts.chunks.reserve(from.chunks.size());
  for (std::size_t i = 0; i < from.chunks.size(); ++i) {
    auto chunk = read_chunk(txn, dbs, from.chunks[i], i);
    if (!chunk)
      return unexpected{chunk.error()};
    to.parts.chunks.push_back(*std::move(chunk));
  }
  return {};
}

expected<stored_entity> read_entity(lmdb::transaction& txn, const databases& dbs,
                                    std::string_view key, const tail_entry* tail) {
  stored_entity out;
  const auto body = read_body(txn, dbs.snapshots, key);
  if (!body)
    return unexpected{body.error()};
  if (*body)
    if (auto done = add_body(txn, dbs, **body, out); !done)
      return unexpected{done.error()};
  if (tail == nullptr)
    return out;
  const auto changes = tail_of(txn, dbs, key, *tail);
  if (!changes)
    return unexpected{changes.error()};
  out.parts.changes.reserve(changes->size());
  for (const auto& change : *changes | std::views::reverse) {
    if (change.sequence <= out.sequence)
      continue;  // of what its id held before it became a fork
    if (change.sequence != out.sequence + 1)
      return fail(errc::damaged, "change " + std::to_string(change.sequence)
                                     + " of the journal follows revision "
                                     + std::to_string(out.sequence));
    out.parts.changes.emplace_back(change.payload);
    out.sequence = change.sequence;
  }
  return out;
}

}  // namespace troupe::internal
