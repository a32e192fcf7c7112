#include <troupe/state/value.hpp>

#include "../support/allocations.hpp"
#include "../support/generate.hpp"
#include "../support/naive.hpp"
#include "../support/printing.hpp"
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

/// The canonical bytes, in hexadecimal, of what `hex` says.
std::string canonical(std::string_view hex, const limits& budget = {}) {
  const auto out = value_from_msgpack(from_hex(hex), budget);
  REQUIRE_MESSAGE(out.has_value(), hex, " -> ", (out ? error{} : out.error()));
  return to_hex(out->bytes());
}

error refusal(std::string_view bytes, const limits& budget = {}) {
  const allocation_watch watch;
  const auto out = value_from_msgpack(bytes, budget);
  const auto largest = watch.largest(), total = watch.total();
  REQUIRE_MESSAGE(!out.has_value(), "was read: ", to_hex(bytes.substr(0, 100)));
  CHECK(largest <= (64u << 10) + 8 * bytes.size());
  CHECK(total <= (128u << 10) + 32 * bytes.size());
  CHECK_FALSE(out.error().message.empty());
  CHECK(is_utf8(out.error().path));
  return out.error();
}

void refuses(std::string_view hex, errc code, std::string_view path = "") {
  CAPTURE(hex);
  const auto fault = refusal(from_hex(hex));
  CHECK(fault.code == code);
  CHECK(fault.path == path);
}

std::string times(std::size_t n, std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i)
    out += bytes;
  return out;
}

/// Writes a value in some encoding that is allowed, whatever its length.
class wasteful_writer {
public:
  explicit wasteful_writer(std::uint64_t seed) : random_{seed} {}

  std::string write(value_view x) {
    out_.clear();
    any(x);
    return out_;
  }

private:
  void any(value_view x) {
    switch (x.type()) {
      case value_type::null: out_ += '\xc0'; break;
      case value_type::boolean: out_ += *x.as_bool() ? '\xc3' : '\xc2'; break;
      case value_type::integer: integer(x); break;
      case value_type::real: real(*x.as_real()); break;
      case value_type::string:
        length(x.as_string()->size(), 31, 0xa0, 0xd9), out_ += *x.as_string();
        break;
      case value_type::binary:
        length(x.as_binary()->size(), 0, 0, 0xc4), out_ += *x.as_binary();
        break;
      case value_type::array:
        length(x.size(), 15, 0x90, 0xdb);
        for (auto c = x.children(); c.next();)
          any(c.item());
        break;
      case value_type::map:
        length(x.size(), 15, 0x80, 0xdd);
        for (auto c = x.children(); c.next();)
          any(value{c.key()}), any(c.item());
        break;
    }
  }

  void number(int tag, std::uint64_t bits, unsigned width) {
    out_ += static_cast<char>(tag);
    for (unsigned i = width; i-- > 0;)
      out_ += static_cast<char>(bits >> (8 * i));
  }

  void integer(value_view x) {
    const auto positive = x.as_uint64();
    const auto bits = positive ? *positive : static_cast<std::uint64_t>(*x.as_int64());
    for (unsigned width = 1, tag = 0; width <= 8; width *= 2, ++tag) {
      const auto shift = 64 - 8 * width;
      const bool fits_unsigned = positive && (bits << shift) >> shift == bits;
      const bool fits_signed =
          x.as_int64() && static_cast<std::int64_t>(bits << shift) >> shift == *x.as_int64();
      if (fits_unsigned && random_() % 3 == 0)
        return number(0xcc + static_cast<int>(tag), bits, width);
      if (fits_signed && random_() % 3 == 0)
        return number(0xd0 + static_cast<int>(tag), bits, width);
    }
    out_ += x.bytes();
  }

  void real(double x) {
    const auto narrow = static_cast<float>(x);
    if (std::bit_cast<std::uint64_t>(static_cast<double>(narrow)) == std::bit_cast<std::uint64_t>(x)
        && random_() % 2 == 0)
      number(0xca, std::bit_cast<std::uint32_t>(narrow), 4);
    else
      number(0xcb, std::bit_cast<std::uint64_t>(x), 8);
  }

  /// `tag8` is the tag with one byte of length, if there is one; the next two have two and four.
  void length(std::size_t size, std::size_t fix_max, int fix, int tag8) {
    const bool has_fix = fix != 0 && size <= fix_max,
               has_8 = tag8 != 0xdb && tag8 != 0xdd && size < 256;
    if (has_fix && random_() % 4 == 0)
      out_ += static_cast<char>(fix | static_cast<int>(size));
    else if (has_8 && random_() % 3 == 0)
      number(tag8, size, 1);
    else if (size < 65536 && random_() % 2 == 0)
      number(tag8 + 1, size, 2);
    else
      number(tag8 + 2, size, 4);
  }

  std::mt19937_64 random_;
  std::string out_;
};

}  // namespace

TEST_CASE("every canonical value is read as it is") {
  holds("msgpack round trip", [](const value& x) {
    const auto again = value_from_msgpack(x.bytes());
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->bytes() == x.bytes());
  });
  for (const char* hex : {"c0", "c2", "c3", "00", "7f", "ff", "e0", "a0", "90", "80", "c400",
                          "c40200ff", "cb0000000000000000", "81a0c0", "82a161c0a162c0",
                          "cfffffffffffffffff", "d38000000000000000", "a20000"})
    CHECK(canonical(hex) == hex);
}

TEST_CASE("a value in a longer encoding becomes the same canonical bytes") {
  for (const char* five : {"05", "cc05", "cd0005", "ce00000005", "cf0000000000000005", "d005",
                           "d10005", "d200000005", "d30000000000000005"})
    CHECK(canonical(five) == "05");
  for (const char* minus_one : {"ff", "d0ff", "d1ffff", "d2ffffffff", "d3ffffffffffffffff"})
    CHECK(canonical(minus_one) == "ff");
  CHECK(canonical("d100ff") == "ccff");
  CHECK(canonical("d37fffffffffffffff") == "cf7fffffffffffffff");
  CHECK(canonical("d1ff7f") == "d1ff7f");
  CHECK(canonical("d3ffffffffffffff7f") == "d1ff7f");
  CHECK(canonical("ca3fc00000") == "cb3ff8000000000000");
  CHECK(canonical("ca80000000") == "cb8000000000000000");
  CHECK(canonical("ca3f800000") == "cb3ff0000000000000");
  CHECK(canonical("ca00000001") == "cb36a0000000000000");
  for (const char* a : {"a161", "d90161", "da000161", "db0000000161"})
    CHECK(canonical(a) == "a161");
  for (const char* bin : {"c40161", "c5000161", "c60000000161"})
    CHECK(canonical(bin) == "c40161");
  for (const char* one : {"9101", "dc000101", "dd0000000101"})
    CHECK(canonical(one) == "9101");
  for (const char* map : {"81a16101", "de0001d9016101", "df00000001db0000000161cf0000000000000001"})
    CHECK(canonical(map) == "81a16101");
  CHECK(canonical("dc0000") == "90");
  CHECK(canonical("df00000000") == "80");
  holds("any encoding of a value", [](const value& x, std::uint64_t seed) {
    const auto bytes = wasteful_writer{seed}.write(x);
    const auto again = value_from_msgpack(bytes);
    RC_ASSERT(again.has_value());
    RC_ASSERT(again->bytes() == x.bytes());
  });
}

TEST_CASE("a length that lies is malformed and takes no memory") {
  for (const char* hex : {"dd7fffffff",
                          "ddffffffff",
                          "dfffffffff",
                          "df7fffffff",
                          "dbffffffff",
                          "c6ffffffff",
                          "dcffff",
                          "deffff",
                          "daffff",
                          "c5ffff",
                          "d9ff",
                          "c4ff",
                          "bf",
                          "9f",
                          "8f",
                          "dd00000002c0",
                          "81a161",
                          "dd7fffffffc0c0c0",
                          "dfffffffffa161c0",
                          "91dd7fffffff",
                          "c7ff01",
                          "c8ffff01",
                          "c9ffffffff01",
                          "ddffffffffddffffffff"}) {
    CAPTURE(hex);
    const auto fault = refusal(from_hex(hex));
    CHECK(fault.code == errc::malformed);
  }
}

TEST_CASE("a chain of arrays that promise more than there is ends at a budget") {
  CHECK(refusal(times(20, from_hex("dcffff"))).code == errc::malformed);
  CHECK(refusal(times(30'000, from_hex("dcffff"))).code == errc::too_many_elements);
  CHECK(refusal(times(30'000, from_hex("deffffa161"))).code == errc::too_many_elements);
  CHECK(refusal(times(30'000, from_hex("dc0100"))).code == errc::too_deep);
  CHECK(refusal(times(100'000, "\x91")).code == errc::too_deep);
  CHECK(refusal(times(100'000, from_hex("81a161"))).code == errc::too_deep);
  CHECK(refusal(times(200'000, from_hex("dd00000001"))).code == errc::too_deep);
  CHECK(value_from_msgpack(times(1 << 20, "\x91"), {.depth = 2'000'000}).error().code
        == errc::too_many_elements);
}

TEST_CASE("an extension type is refused with its path") {
  for (const char* hex : {"d40100", "d5010000", "d60100000000", "d7010000000000000000", "c7000100",
                          "c7010100", "c800010100",
                          "c90000000101"
                          "00"})
    CHECK(refusal(from_hex(hex)).code == errc::invalid_value);
  CHECK(refusal(from_hex("d8"
                         "01"
                         + std::string(32, '0')))
            .code
        == errc::invalid_value);
  refuses("d6ff00000000", errc::invalid_value);
  refuses("9201d6ff00000000", errc::invalid_value, "/1");
  refuses("81a16192c0d40000", errc::invalid_value, "/a/1");
}

TEST_CASE("the byte c1 is malformed wherever a value may stand") {
  refuses("c1", errc::malformed);
  CHECK(refusal(from_hex("92c0c1")).code == errc::malformed);
  CHECK(refusal(from_hex("81a161c1")).code == errc::malformed);
  CHECK(refusal(from_hex("81c1c0")).code == errc::malformed);
}

TEST_CASE("bytes behind the value are malformed") {
  refuses("c0c0", errc::malformed);
  refuses("90c0", errc::malformed);
  refuses("0500", errc::malformed);
  refuses("a161c1", errc::malformed);
  refuses("81a161c000", errc::malformed);
}

TEST_CASE("no bytes are malformed") {
  refuses("", errc::malformed);
  CHECK(refusal(std::string_view{}).code == errc::malformed);
}

TEST_CASE("a key that is no string is refused at the path of its map") {
  for (const char* key : {"00", "ff", "c0", "c2", "cb3ff0000000000000", "c40161", "90", "80",
                          "9101", "cf0000000000000001"}) {
    refuses("81" + std::string{key} + "c0", errc::invalid_value);
    refuses("82a161c0" + std::string{key} + "c0", errc::invalid_value);
    refuses(
        "9201"
        "81a16d82a161c0"
            + std::string{key} + "c0",
        errc::invalid_value, "/1/m");
  }
  refuses("81d40100c0", errc::invalid_value);
}

TEST_CASE("a key that occurs twice is refused with its path") {
  refuses("82a161c0a161c0", errc::invalid_value, "/a");
  refuses("82a161c0d90161c0", errc::invalid_value, "/a");
  refuses("83a161c0a162c0a161c3", errc::invalid_value, "/a");
  refuses(
      "9201"
      "81a16d82a0c0a0c0",
      errc::invalid_value, "/1/m/");
  refuses(
      "82a161c0a161"
      "90",
      errc::invalid_value, "/a");
  CHECK(canonical("82a16181a161c0a16282a161c0a162c0") == "82a16181a161c0a16282a161c0a162c0");
}

TEST_CASE("NaN and infinities are refused with their path") {
  for (const char* hex :
       {"cb7ff0000000000000", "cbfff0000000000000", "cb7ff8000000000000", "cbfff8000000000001",
        "cb7ff0000000000001", "ca7f800000", "caff800000", "ca7fc00000"}) {
    refuses(hex, errc::invalid_value);
    refuses("92c0" + std::string{hex}, errc::invalid_value, "/1");
    refuses("81a16192c0" + std::string{hex}, errc::invalid_value, "/a/1");
  }
}

TEST_CASE("text that is not UTF-8 is refused with its path") {
  for (const char* text : {"a1ff", "a1c3", "a2c080", "a3eda080", "a4f4908080", "d902c328"}) {
    refuses(text, errc::invalid_value);
    refuses("92c0" + std::string{text}, errc::invalid_value, "/1");
    refuses("82a161c0a16281a163" + std::string{text}, errc::invalid_value, "/b/c");
    refuses("81" + std::string{text} + "c0", errc::invalid_value);
    refuses("81a16d82a161c0" + std::string{text} + "c0", errc::invalid_value, "/m");
  }
  CHECK(canonical("c401ff") == "c401ff");
}

TEST_CASE("a value cut short anywhere is malformed") {
  const auto whole =
      value::map({{"null", value{}},
                  {"integers", value::array({1, 300, 70000, std::int64_t{1} << 40, -1, -100, -1000,
                                             -100000, -(std::int64_t{1} << 40)})},
                  {"real", 0.5},
                  {"text", std::string(300, 'x')},
                  {"short", "\xc3\xa4"},
                  {"bytes", value::binary(std::string(300, '\xff'))},
                  {"map", value::map({{"a", value::array({})}, {"b", value::map({})}})}});
  const std::string bytes{whole.bytes()};
  const auto wasteful = wasteful_writer{7}.write(whole);
  REQUIRE(value_from_msgpack(bytes) == whole);
  REQUIRE(value_from_msgpack(wasteful) == whole);
  for (const auto& text : {bytes, wasteful}) {
    for (std::size_t size = 0; size < text.size(); ++size) {
      CAPTURE(size);
      const std::string cut = text.substr(0, size);
      const std::vector<char> exact{cut.begin(), cut.end()};  // so that ASan sees the end
      CHECK(refusal({exact.data(), exact.size()}).code == errc::malformed);
    }
  }
}

TEST_CASE("depth and elements and bytes of msgpack have exact budgets") {
  const auto nest = [](std::size_t n) { return times(n - 1, "\x91") + '\x90'; };
  CHECK(value_from_msgpack(nest(64)));
  auto fault = refusal(nest(65));
  CHECK(fault.code == errc::too_deep);
  CHECK(fault.limit == 64);
  CHECK(fault.path == times(64, "/0"));
  CHECK(canonical("9401020304", {.elements = 5}) == "9401020304");
  CHECK(canonical("82a16101a16202", {.elements = 5}) == "82a16101a16202");
  fault = refusal(from_hex("950102030405"), {.elements = 5});
  CHECK(fault.code == errc::too_many_elements);
  CHECK(fault.limit == 5);
  fault = refusal(from_hex("920182a16101a16202"), {.elements = 6});
  CHECK(fault.code == errc::too_many_elements);
  CHECK(fault.path == "/1");
  CHECK(canonical("a3616263", {.bytes = 4}) == "a3616263");
  fault = refusal(from_hex("a461626364"), {.bytes = 4});
  CHECK(fault.code == errc::too_large);
  CHECK(fault.limit == 4);
}

TEST_CASE("random bytes are read to something canonical or refused") {
  holds("random msgpack", [](std::uint64_t seed) {
    std::mt19937_64 random{seed};
    for (int i = 0; i < 200; ++i) {
      std::vector<char> bytes(random() % 24);
      for (auto& b : bytes) {
        b = static_cast<char>(random());
        if (random() % 2 == 0)
          b = from_hex("8081829091a0a1c0c1c4c6cacbd4d9dbdcdddedf01616263")[random() % 24];
      }
      const auto x = value_from_msgpack({bytes.data(), bytes.size()});
      if (x) {
        RC_ASSERT(value_from_msgpack(x->bytes())->bytes() == x->bytes());
        RC_ASSERT(!to_json(*x).empty());
      } else {
        RC_ASSERT(x.error().code == errc::malformed || x.error().code == errc::invalid_value);
      }
    }
  });
  holds("a value with one byte changed", [](const value& x, std::uint32_t at, char c) {
    std::string bytes{x.bytes()};
    bytes[at % bytes.size()] = c;
    if (const auto y = value_from_msgpack(bytes)) {
      RC_ASSERT(value_from_msgpack(y->bytes())->bytes() == y->bytes());
      RC_ASSERT(!to_json(*y).empty());
    }
  });
}
