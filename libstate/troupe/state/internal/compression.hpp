#pragma once

#include <troupe/state/expected.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::internal {

/// One zstd frame (RFC 8878) that says how large its content is; `bytes` as they are when they are
/// shorter than `threshold` or do not get smaller.
[[nodiscard]] std::string compressed(std::string bytes, std::size_t threshold);

[[nodiscard]] bool is_compressed(std::string_view bytes) noexcept;

/// Takes memory only after the announced size was checked. Errors: `damaged`.
expected<std::string> decompressed(std::string_view bytes, std::size_t max_bytes);

}  // namespace troupe::internal
