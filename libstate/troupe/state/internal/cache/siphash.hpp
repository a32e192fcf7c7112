#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::internal {

/// SipHash-2-4 (Aumasson and Bernstein, 2012): a hash of text that clients choose, such that
/// without the key nobody can make many texts meet in one place of a table. Not installed.
[[nodiscard]] std::uint64_t siphash(std::uint64_t key0, std::uint64_t key1,
                                    std::string_view text) noexcept;

}  // namespace troupe::internal
