#pragma once

#include <troupe/messages/store_messages.hpp>
#include <troupe/persistence/internal/entity_record.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/record.hpp>
#include <troupe/persistence/internal/tail_index.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What stands on disk of the journal and of an entity, as one transaction sees it. Nothing here
/// knows the store's owner: whoever has a transaction may read.
namespace troupe::internal {

/// An error that names the journal's record, or the entity's.
[[nodiscard]] unexpected at_record(std::uint64_t at, const error& what);
[[nodiscard]] unexpected at_entity(std::string_view what, std::string_view key, const error& why);

[[nodiscard]] std::string key_of(const record& of);

/// The changes of the journal's record at a position: one, or those of a set; as deep as
/// `decode_record`. Errors: `damaged`, `newer_format`.
expected<std::vector<record>> changes_in(std::uint64_t at, std::string_view bytes,
                                         verify depth = verify::checksum);

/// The entity's change in the record at a position.
expected<record> find_change(lmdb::transaction& txn, const databases& dbs, std::uint64_t at,
                             std::string_view key);

/// Newest first. The records' bytes stay where they are as long as the transaction writes nothing.
expected<std::vector<record>> tail_of(lmdb::transaction& txn, const databases& dbs,
                                      std::string_view key, const tail_entry& tail);

/// A body as it stands on disk.
struct stored_body {
  std::uint64_t revision = 0;
  chunk_list chunks;
  std::string body;
};

/// What of a body stands elsewhere, and its revision; 0: there is none.
struct standing_chunks {
  std::uint64_t revision = 0;
  chunk_list chunks{};
};
expected<standing_chunks> read_standing(lmdb::transaction& txn, lmdb::dbi from,
                                        std::string_view key);

/// Nothing, where there is none.
expected<std::optional<stored_body>> read_body(lmdb::transaction& txn, lmdb::dbi from,
                                               std::string_view key);

/// Makes it what `to` holds, chunks and all.
expected<void> add_body(lmdb::transaction& txn, const databases& dbs, const stored_body& from,
                        stored_entity& to);

/// The newest body, and the tail behind it where there is one.
expected<stored_entity> read_entity(lmdb::transaction& txn, const databases& dbs,
                                    std::string_view key, const tail_entry* tail);

}  // namespace troupe::internal
