#include <troupe/state/internal/cache/siphash.hpp>

#include <bit>

namespace troupe::internal {

namespace {

struct sip_state {
  std::uint64_t a, b, c, d;

  void rounds(int count) noexcept {
    for (; count > 0; --count) {
      a += b, c += d;
      b = std::rotl(b, 13) ^ a, d = std::rotl(d, 16) ^ c;
      a = std::rotl(a, 32);
      c += b, a += d;
      b = std::rotl(b, 17) ^ c, d = std::rotl(d, 21) ^ a;
      c = std::rotl(c, 32);
    }
  }

  void word(std::uint64_t m) noexcept {
    d ^= m;
    rounds(2);
    a ^= m;
  }
};

std::uint64_t little_endian(std::string_view bytes) noexcept {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    out |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return out;
}

}  // namespace

std::uint64_t siphash(std::uint64_t key0, std::uint64_t key1, std::string_view text) noexcept {
  sip_state s{key0 ^ 0x736f6d6570736575, key1 ^ 0x646f72616e646f6d, key0 ^ 0x6c7967656e657261,
              key1 ^ 0x7465646279746573};
  const auto length = std::uint64_t{text.size()} << 56;
  for (; text.size() >= 8; text.remove_prefix(8))
    s.word(little_endian(text.substr(0, 8)));
  s.word(length | little_endian(text));
  s.c ^= 0xff;
  s.rounds(4);
  return s.a ^ s.b ^ s.c ^ s.d;
}

}  // namespace troupe::internal
