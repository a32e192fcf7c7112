#pragma once

#include <troupe/state/session.hpp>

#include <string>
#include <string_view>

/// How states and changes become bytes. Both are msgpack arrays that begin with their format
/// version; the layout is docs/on-disk-format.md, held by golden files. Encoding is deterministic:
/// the same history gives the same bytes.
namespace troupe {

inline constexpr std::uint8_t oldest_codec_version = 1;
inline constexpr std::uint8_t current_codec_version = 1;

[[nodiscard]] std::string encode(const change& what);

/// Errors: `damaged` (not what `encode` writes), `newer_format`.
expected<change> decode_change(std::string_view bytes);

[[nodiscard]] std::string encode(const session_state& state);

/// Errors: as `decode_change`.
expected<session_state> decode_session(std::string_view bytes);

/// Folds changes into a snapshot, as the store does when it materialises: `snapshot` may be empty
/// (never created). Errors: as `decode_change`.
expected<std::string> fold_session(std::string_view snapshot,
                                   const std::vector<std::string>& changes);

/// The state after a snapshot (may be empty) and the changes since.
expected<session_state> restore_session(std::string_view snapshot,
                                        const std::vector<std::string>& changes);

}  // namespace troupe
