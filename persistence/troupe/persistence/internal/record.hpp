#pragma once

#include <troupe/state/ids.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// The bytes of one record, in the journal or among the snapshots. Layout: docs/on-disk-format.md,
/// held by a golden test. All functions are pure.
namespace troupe::internal {

inline constexpr std::uint8_t oldest_record_version = 2;
inline constexpr std::uint8_t current_record_version = 2;

/// Numbers stand on disk.
enum class record_type : std::uint8_t {
  change = 1,    ///< one change of one entity
  snapshot = 2,  ///< an entity's body at some revision
  entity = 3,    ///< what is known of an entity beside its body
  set = 4,       ///< the changes of several entities that are made together: records of type 1
  answer = 5,    ///< to a command with an idempotency key
};

/// Bits of the flags, on disk. None is written yet, and a record with a bit this version does not
/// read is refused.
inline constexpr std::uint16_t record_flag_zstd = 1;  // reserved: the payload is compressed
inline constexpr std::uint16_t known_record_flags = 0;

inline constexpr std::size_t record_header_bytes = 64;
inline constexpr std::size_t max_payload_bytes = 1U << 30;  // then: too_large

using namespace_hash = std::array<char, 16>;

/// The first 16 bytes of the name's SHA-256.
[[nodiscard]] namespace_hash hash_namespace(std::string_view name);

/// Namespace hash, kind, id: the key of an entity's snapshot and in memory.
[[nodiscard]] std::string entity_key(const namespace_hash& hash, entity_kind kind,
                                     std::string_view id);

/// What an entity's key is made of. The id is the end of the key's own bytes.
struct entity_key_parts {
  namespace_hash name_space{};
  entity_kind kind = entity_kind::session;
  std::string_view id;
};

/// REQUIRES: `entity_key` made it.
[[nodiscard]] entity_key_parts split_entity_key(std::string_view key);

/// What the keys of an entity's versions, changes and answers begin with: no other entity's do, as
/// an id holds no zero byte.
[[nodiscard]] inline std::string parts_of(std::string_view entity_key) {
  return std::string{entity_key} + '\0';
}

/// One record, decoded or to be encoded. Id and payload point into memory of somebody else.
struct record {
  record_type type = record_type::change;
  std::uint16_t flags = 0;
  std::uint16_t shard = 0;
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
  std::uint64_t previous = 0;  ///< journal position of the entity's change before this; 0: none
  namespace_hash name_space{};
  entity_kind kind = entity_kind::session;
  std::string_view id;
  std::string_view payload;
};

[[nodiscard]] std::size_t encoded_size(const record& what) noexcept;

/// Writes `encoded_size(what)` bytes. The checksum covers `key`, under which the record is stored,
/// so that a record in another's place is found out. REQUIRES: the id has at most `max_id_bytes`,
/// the payload at most `max_payload_bytes`.
void encode_record(char* out, std::string_view key, const record& what) noexcept;

enum class verify : bool { header, checksum };

/// The record stored under `key`, with its checksum verified, or (`verify::header`) only its shape.
/// Errors: `damaged`, `newer_format` (a version, type or flag that this version does not know).
expected<record> decode_record(std::string_view key, std::string_view bytes, record_type type,
                               verify depth = verify::checksum);

/// The type that a record says it has; of bytes that are none, `change`.
[[nodiscard]] record_type type_of(std::string_view bytes) noexcept;

/// The records that stand one behind the other in a set's payload: each as a `string_view` that
/// `decode_record` takes. Errors: `damaged`.
expected<std::vector<std::string_view>> split_set(std::string_view payload);

}  // namespace troupe::internal
