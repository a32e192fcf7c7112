#pragma once

#include <troupe/persistence/internal/entity_record.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/lmdb.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Complete chunks of histories: written once, shared by the versions of an entity and by its
/// forks. A log is what one entity writes chunks to; it lives until no entity uses it.
namespace troupe::internal {

/// A chunk's bytes as they were given, with their checksum verified. Errors: `damaged`.
expected<std::string> read_chunk(lmdb::transaction& txn, const databases& dbs, const chunk_ref& ref,
                                 std::size_t number);

/// A chunk on its way to its place. What of that needs no transaction is done before one begins:
/// checksum and compression are most of it.
struct unplaced_chunk {
  std::string_view bytes;   ///< as they were given
  bool stands = false;      ///< they were read where the entity's body says that they stand
  std::uint32_t check = 0;  ///< of one that does not: CRC32C
  std::string packed{};     ///< what is written of it; empty: that is made when it must be
};

/// Chunks of which some may stand on disk; nobody looked yet.
[[nodiscard]] std::vector<unplaced_chunk> unplaced(std::span<const std::string_view> chunks);
/// Chunks of which the first were read from disk, ready to be written where they differ.
[[nodiscard]] std::vector<unplaced_chunk> unplaced(std::span<const std::string_view> chunks,
                                                   std::span<const std::string> read);
/// Chunks that go on from where the body's end, ready to be written. Nothing where that cannot be:
/// the last of those is not the one of its number.
[[nodiscard]] std::optional<std::vector<unplaced_chunk>> unplaced_behind(
    std::span<const std::string_view> chunks, const chunk_list& standing);

/// Where each of `chunks` stands: where `known` says, as far as it stands there; the others are
/// written to the entity's own log, of which `head` is told. `logs` is the newest number of a log.
/// Errors: `damaged`. REQUIRES: `known` has those that stand.
expected<chunk_list> place_chunks(lmdb::transaction& txn, const databases& dbs,
                                  std::span<const unplaced_chunk> chunks, const chunk_list& known,
                                  entity_head& head, std::uint64_t& logs);

/// One more entity uses each of the logs. Errors: `damaged`.
expected<void> hold_logs(lmdb::transaction& txn, const databases& dbs,
                         std::span<const std::uint64_t> logs);

/// One less; what nobody uses goes with its chunks. Errors: `damaged`.
expected<void> release_logs(lmdb::transaction& txn, const databases& dbs,
                            std::span<const std::uint64_t> logs);

/// Deletes the chunks of `dropped` that are not in `left`, in logs that no other entity uses.
/// Errors: `damaged`.
expected<void> drop_chunks(lmdb::transaction& txn, const databases& dbs,
                           std::span<const chunk_list> dropped, std::span<const chunk_list> left);

}  // namespace troupe::internal
