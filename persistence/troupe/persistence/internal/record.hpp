#pragma once

#include <troupe/state/ids.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

/// The bytes of one record, in the journal or among the snapshots. Layout: docs/on-disk-format.md,
/// held by a golden test. All functions are pure.
namespace troupe::internal {

inline constexpr std::uint8_t oldest_record_version = 1;
inline constexpr std::uint8_t current_record_version = 1;

/// Numbers stand on disk.
enum class record_type : std::uint8_t { change = 1, snapshot = 2 };

/// Bits of the flags, on disk. None is written yet, and a record with a bit this version does not
/// read is refused.
inline constexpr std::uint16_t record_flag_zstd = 1;  // reserved: the payload is compressed
inline constexpr std::uint16_t known_record_flags = 0;

inline constexpr std::size_t record_header_bytes = 56;
inline constexpr std::size_t max_payload_bytes = 1U << 30;  // then: too_large

using namespace_hash = std::array<char, 16>;

/// The first 16 bytes of the name's SHA-256.
[[nodiscard]] namespace_hash hash_namespace(std::string_view name);

/// Namespace hash, kind, id: the key of an entity's snapshot and in memory.
[[nodiscard]] std::string entity_key(const namespace_hash& hash, entity_kind kind,
                                     std::string_view id);

/// One record, decoded or to be encoded. Id and payload point into memory of somebody else.
struct record {
  record_type type = record_type::change;
  std::uint16_t flags = 0;
  std::uint16_t shard = 0;
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
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

}  // namespace troupe::internal
