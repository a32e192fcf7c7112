#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::internal {

/// CRC32C (Castagnoli, RFC 3720) of `bytes` that follow others with the checksum `before`. Takes
/// the processor's instruction where there is one.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0) noexcept;

/// The same by table, on any processor.
[[nodiscard]] std::uint32_t crc32c_portable(std::string_view bytes,
                                            std::uint32_t before = 0) noexcept;

}  // namespace troupe::internal
