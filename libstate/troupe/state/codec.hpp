#pragma once

#include <troupe/state/change.hpp>
#include <troupe/state/entity.hpp>

#include <string>
#include <string_view>
#include <vector>

/// How states and changes become bytes. Both are msgpack arrays that begin with their format
/// version, larger ones as a zstd frame around that; the layout is docs/on-disk-format.md, held by
/// golden files. Encoding is deterministic: the same history gives the same bytes. Fields that a
/// newer minor version added behind the known ones are kept and written again.
namespace troupe {

inline constexpr std::uint8_t oldest_codec_version = 2;
inline constexpr std::uint8_t current_codec_version = 2;

inline constexpr std::size_t default_zstd_threshold = 4 << 10;  ///< bytes; below: as they are
inline constexpr std::size_t max_decoded_bytes = 64 << 20;      ///< then: `damaged`

/// REQUIRES: the `from` of an `entity_forked` is not null, else std::logic_error is thrown.
[[nodiscard]] std::string encode(const change& what,
                                 std::size_t zstd_threshold = default_zstd_threshold);

/// Errors: `damaged` (not what `encode` writes), `newer_format`.
expected<change> decode_change(std::string_view bytes);

[[nodiscard]] std::string encode(const entity_state& state,
                                 std::size_t zstd_threshold = default_zstd_threshold);

/// Errors: as `decode_change`.
expected<entity_state> decode_entity(std::string_view bytes);

/// The state after a snapshot (empty: never created) and the changes since. A fork's first change
/// applies to its parent's state, so its snapshot has to be given. Errors: as `decode_change`.
expected<entity_state> restore_entity(std::string_view snapshot,
                                      const std::vector<std::string>& changes);

}  // namespace troupe
