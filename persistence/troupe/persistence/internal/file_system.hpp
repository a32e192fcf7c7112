#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace troupe::internal {

/// The name of a file system behind which another machine or another program decides what a lock, a
/// map and a sync mean, by its number in `statfs`; empty for all others.
[[nodiscard]] std::string_view remote_file_system(std::uint64_t magic) noexcept;

/// The number of the file system that an open file is on. Tests put another in its place.
using file_system_function = std::function<std::uint64_t(int fd)>;

/// `fstatfs`; 0 when it fails.
[[nodiscard]] std::uint64_t file_system_of(int fd) noexcept;

}  // namespace troupe::internal
