#pragma once

/// How canonical msgpack bytes are read: shared by the value, its printer and its merge. Not
/// installed.

#include <troupe/state/value.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::internal {

/// What a canonical value begins with: its type, how many bytes its head takes, and either the
/// length of its own payload (scalars, strings) or the number of its children.
struct head {
  value_type type = value_type::null;
  std::size_t size = 1;
  std::size_t payload = 0;
  std::size_t children = 0;  // of a map: keys and values, so twice its entries
};

inline std::uint64_t big_endian(std::string_view bytes, std::size_t from, std::size_t width) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < width; ++i)
    out = (out << 8) | static_cast<unsigned char>(bytes[from + i]);
  return out;
}

inline head read_head(std::string_view b) noexcept {
  const auto tag = static_cast<unsigned char>(b[0]);
  const auto length = [&](std::size_t width) {
    return static_cast<std::size_t>(big_endian(b, 1, width));
  };
  if (tag < 0x80 || tag >= 0xe0)
    return {value_type::integer, 1, 0, 0};
  if (tag < 0x90)
    return {value_type::map, 1, 0, 2u * (tag & 15u)};
  if (tag < 0xa0)
    return {value_type::array, 1, 0, tag & 15u};
  if (tag < 0xc0)
    return {value_type::string, 1, tag & 31u, 0};
  switch (tag) {
    case 0xc2:
    case 0xc3: return {value_type::boolean, 1, 0, 0};
    case 0xc4: return {value_type::binary, 2, length(1), 0};
    case 0xc5: return {value_type::binary, 3, length(2), 0};
    case 0xc6: return {value_type::binary, 5, length(4), 0};
    case 0xcb: return {value_type::real, 1, 8, 0};
    case 0xcc:
    case 0xd0: return {value_type::integer, 1, 1, 0};
    case 0xcd:
    case 0xd1: return {value_type::integer, 1, 2, 0};
    case 0xce:
    case 0xd2: return {value_type::integer, 1, 4, 0};
    case 0xcf:
    case 0xd3: return {value_type::integer, 1, 8, 0};
    case 0xd9: return {value_type::string, 2, length(1), 0};
    case 0xda: return {value_type::string, 3, length(2), 0};
    case 0xdb: return {value_type::string, 5, length(4), 0};
    case 0xdc: return {value_type::array, 3, 0, length(2)};
    case 0xdd: return {value_type::array, 5, 0, length(4)};
    case 0xde: return {value_type::map, 3, 0, 2 * length(2)};
    case 0xdf: return {value_type::map, 5, 0, 2 * length(4)};
    default: return {};  // 0xc0; canonical bytes hold nothing else
  }
}

/// An integer of 64 bits and a sign.
struct integer_bits {
  bool negative;
  std::uint64_t bits;
};

/// Nothing when `b` begins with another value.
inline std::optional<integer_bits> read_integer(std::string_view b) noexcept {
  const auto tag = static_cast<unsigned char>(b[0]);
  const auto sign_extend = [&](std::size_t width) {
    const auto raw = big_endian(b, 1, width);
    const auto shift = 64 - 8 * width;
    return integer_bits{
        true, static_cast<std::uint64_t>(static_cast<std::int64_t>(raw << shift) >> shift)};
  };
  if (tag < 0x80)
    return integer_bits{false, tag};
  if (tag >= 0xe0)
    return integer_bits{true, static_cast<std::uint64_t>(static_cast<std::int8_t>(tag))};
  switch (tag) {
    case 0xcc: return integer_bits{false, big_endian(b, 1, 1)};
    case 0xcd: return integer_bits{false, big_endian(b, 1, 2)};
    case 0xce: return integer_bits{false, big_endian(b, 1, 4)};
    case 0xcf: return integer_bits{false, big_endian(b, 1, 8)};
    case 0xd0: return sign_extend(1);
    case 0xd1: return sign_extend(2);
    case 0xd2: return sign_extend(4);
    case 0xd3: return sign_extend(8);
    default: return std::nullopt;
  }
}

/// Bytes of the value that `b` begins with.
inline std::size_t extent(std::string_view b) noexcept {
  std::size_t at = 0;
  for (std::size_t pending = 1; pending > 0; --pending) {
    const auto h = read_head(b.substr(at));
    at += h.size + h.payload;
    pending += h.children;
  }
  return at;
}

/// Bytes of the value that `b` begins with, if it may be kept and the functions above and
/// `value_view` read it without leaving `b`: lengths fit, keys are strings, strings are UTF-8,
/// reals are finite, depth is at most `depth`. Else 0. Not looked at: shortest heads, keys that
/// occur twice.
[[nodiscard]] std::size_t well_formed_extent(std::string_view b, std::size_t depth);

/// Whether `b` is exactly one such value.
[[nodiscard]] inline bool well_formed(std::string_view b, std::size_t depth) {
  return !b.empty() && well_formed_extent(b, depth) == b.size();
}

}  // namespace troupe::internal
