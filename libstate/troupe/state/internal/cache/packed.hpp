#pragma once

/// Outputs that are kept compressed. Not installed.

#include <troupe/state/expected.hpp>
#include <troupe/state/value.hpp>

#include <cstddef>

namespace troupe::internal {

inline constexpr std::size_t max_packed_bytes = 64 << 20;  // of the output; then: kept as it is

/// A large value in fewer bytes: one zstd frame in a value's place, for the cache alone, which
/// gives out only what `unpacked` makes of it. It cannot be taken for a value: its first byte is
/// the integer 40, which has one byte. As it is where it is shorter than `threshold` or does not
/// shrink.
[[nodiscard]] value packed(const value& what, std::size_t threshold);
[[nodiscard]] bool is_packed(const value& what) noexcept;

/// What was packed; other values as they are. REQUIRES: from `packed`, or checked.
[[nodiscard]] value unpacked(const value& what);

/// A value or a packed one, of bytes that come from outside; all of it is read. Errors: `damaged`.
expected<value> checked_packed(std::string_view bytes);

}  // namespace troupe::internal
