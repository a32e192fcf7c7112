#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

/// Integers as bytes, the same on every machine. The caller has checked the bounds.
namespace troupe::internal {

template <std::unsigned_integral T>
inline void put_le(char* out, T number) noexcept {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out[i] = static_cast<char>(static_cast<unsigned char>(number >> (8 * i)));
}

template <std::unsigned_integral T>
[[nodiscard]] inline T get_le(const char* in) noexcept {
  if constexpr (std::endian::native == std::endian::little) {  // one load, where loops stay loops
    T out;
    std::memcpy(&out, in, sizeof out);
    return out;
  }
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    number |= std::uint64_t{static_cast<unsigned char>(in[i])} << (8 * i);
  return static_cast<T>(number);
}

/// Big-endian, so that keys sort as numbers.
[[nodiscard]] inline std::string be64(std::uint64_t number) {
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i)
    out[7 - i] = static_cast<char>(static_cast<unsigned char>(number >> (8 * i)));
  return out;
}

[[nodiscard]] inline std::uint64_t get_be64(std::string_view in) noexcept {
  std::uint64_t number = 0;
  for (const char byte : in.substr(0, 8))
    number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

}  // namespace troupe::internal
