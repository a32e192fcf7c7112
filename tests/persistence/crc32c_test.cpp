#include <troupe/persistence/internal/crc32c.hpp>

#include <boost/crc.hpp>
#include <doctest/doctest.h>

#include <numeric>
#include <random>
#include <string>

using troupe::internal::crc32c;
using troupe::internal::crc32c_portable;

namespace {

std::uint32_t by_boost(std::string_view bytes) {
  boost::crc_optimal<32, 0x1edc6f41, 0xffffffff, 0xffffffff, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

}  // namespace

TEST_CASE("CRC32C answers the examples of RFC 3720") {
  std::string rising(32, '\0');
  std::iota(rising.begin(), rising.end(), '\0');
  const std::string falling{rising.rbegin(), rising.rend()};
  for (const auto f : {&crc32c, &crc32c_portable}) {
    CHECK(f("", 0) == 0);
    CHECK(f("123456789", 0) == 0xe3069283);
    CHECK(f(std::string(32, '\0'), 0) == 0x8a9136aa);
    CHECK(f(std::string(32, '\xff'), 0) == 0x62a8ab43);
    CHECK(f(rising, 0) == 0x46dd794e);
    CHECK(f(falling, 0) == 0x113fdb5c);
  }
}

TEST_CASE("CRC32C by instruction and by table and by Boost agree on any bytes cut anywhere") {
  std::mt19937_64 random{20240901};
  for (std::size_t size = 0; size < 600; ++size) {
    std::string bytes(size, '\0');
    for (auto& byte : bytes)
      byte = static_cast<char>(random());
    const auto wanted = by_boost(bytes);
    CHECK(crc32c(bytes) == wanted);
    CHECK(crc32c_portable(bytes) == wanted);
    const auto cut = random() % (size + 1);
    CHECK(
        crc32c(std::string_view{bytes}.substr(cut), crc32c(std::string_view{bytes}.substr(0, cut)))
        == wanted);
  }
}
