#include <troupe/persistence/internal/crc32c.hpp>

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace troupe::internal {

namespace {

/// tables[k][b]: the checksum of byte b followed by k zero bytes.
constexpr auto make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    tables[0][byte] = crc;
  }
  for (std::size_t byte = 0; byte < 256; ++byte)
    for (std::size_t k = 1; k < 8; ++k)
      tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 0xff];
  return tables;
}

constexpr auto tables = make_tables();

std::uint32_t by_table(const char* data, std::size_t size, std::uint32_t crc) noexcept {
  const auto byte_at = [&data](std::size_t i) {
    return std::uint32_t{static_cast<unsigned char>(data[i])};
  };
  for (; size >= 8; data += 8, size -= 8) {
    crc ^= byte_at(0) | byte_at(1) << 8 | byte_at(2) << 16 | byte_at(3) << 24;
    crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^ tables[5][crc >> 16 & 0xff]
          ^ tables[4][crc >> 24] ^ tables[3][byte_at(4)] ^ tables[2][byte_at(5)]
          ^ tables[1][byte_at(6)] ^ tables[0][byte_at(7)];
  }
  for (; size > 0; ++data, --size)
    crc = (crc >> 8) ^ tables[0][(crc ^ byte_at(0)) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(const char* data, std::size_t size,
                                                               std::uint32_t crc) noexcept {
  std::uint64_t wide = crc;
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (; size > 0; ++data, --size)
    crc = _mm_crc32_u8(crc, static_cast<unsigned char>(*data));
  return crc;
}
#endif

using function = std::uint32_t (*)(const char*, std::size_t, std::uint32_t) noexcept;

function best() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2"))
    return by_instruction;
#endif
  return by_table;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) noexcept {
  static const function chosen = best();
  return ~chosen(bytes.data(), bytes.size(), ~before);
}

std::uint32_t crc32c_portable(std::string_view bytes, std::uint32_t before) noexcept {
  return ~by_table(bytes.data(), bytes.size(), ~before);
}

}  // namespace troupe::internal
