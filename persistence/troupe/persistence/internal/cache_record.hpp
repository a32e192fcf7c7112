#pragma once

#include <troupe/messages/cache_messages.hpp>

#include <cstdint>
#include <string>
#include <string_view>

/// The bytes of one saved result. Layout: docs/on-disk-format.md, held by a golden test. Pure.
namespace troupe::internal {

inline constexpr std::uint8_t current_cache_record_version = 1;

/// The record stored under `key`, which the checksum covers.
[[nodiscard]] std::string encode_cache_record(std::string_view key, const saved_result& what);

/// Reads everything, the outputs included, so that nothing of it is looked at again. Errors:
/// `damaged`, `newer_format`.
expected<saved_result> decode_cache_record(std::string_view key, std::string_view bytes);

}  // namespace troupe::internal
