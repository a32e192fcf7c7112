#include <troupe/state/cache_key.hpp>
#include <troupe/state/digest.hpp>

#include "../support/generate.hpp"
#include "../support/naive.hpp"
#include "../support/printing.hpp"
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

std::string hex_of(std::string_view bytes) {
  return to_hex(sha256_of(bytes));
}

/// The parts of some key; a test changes one.
struct parts_of_a_key {
  std::string name_space = "default";
  std::optional<std::string> user = "ann";
  std::string agent = "agent";
  value request = value::map({{"b", value::array({1, 2.5})}, {"a", nullptr}});
  value permissions = value::array({"/home", "/etc"});

  [[nodiscard]] cache_key key() const {
    return make_cache_key({.name_space = name_space,
                           .user = user ? std::optional<std::string_view>{*user} : std::nullopt,
                           .agent = agent,
                           .request = request,
                           .permissions = permissions});
  }
};

}  // namespace

TEST_CASE("SHA-256 gives the answers of FIPS 180-4") {
  CHECK(hex_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(hex_of(std::string(1'000'000, 'a'))
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("where the pieces are cut does not matter and a hasher begins anew") {
  const std::string text(2'000, 'z');
  sha256_hasher hasher;
  for (const std::size_t size : {1u, 7u, 511u, 512u, 513u, 1'999u, 2'000u}) {
    for (std::size_t at = 0; at < text.size(); at += size)
      hasher.update(std::string_view{text}.substr(at, size));
    CHECK(hasher.finish() == sha256_of(text));
  }
}

TEST_CASE("a digest is read back from its hexadecimal digits and from nothing else") {
  const auto digest = sha256_of("abc");
  const auto hex = to_hex(digest);
  CHECK(sha256_from_hex(hex) == digest);
  auto upper = hex;
  upper[0] = 'B';
  for (const auto& bad : {std::string{}, hex.substr(1), hex + "0", upper, "g" + hex.substr(1)})
    CHECK(sha256_from_hex(bad).error().code == errc::malformed);
}

TEST_CASE("the digest of a value is the SHA-256 of its bytes with ordered keys") {
  const auto sorted =
      value::map({{"", 1}, {"a", value::map({{"x", 1}, {"y", 2}})}, {"bb", value::array({})}});
  const auto shuffled =
      value::map({{"bb", value::array({})}, {"a", value::map({{"y", 2}, {"x", 1}})}, {"", 1}});
  CHECK(to_hex(digest_of(shuffled))
        == "fb889a52e92e822577832271180b07f82f00a2c76712309eff09de301609eb6a");
  CHECK(digest_of(sorted) == sha256_of(sorted.bytes()));
  CHECK(to_hex(digest_of(value{1}))
        == "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a");
}

TEST_CASE("one and 1.0 and true and their texts have different digests") {
  std::set<sha256> seen;
  const std::vector<value> all{1,
                               1.0,
                               true,
                               "1",
                               "true",
                               value::binary("1"),
                               nullptr,
                               0,
                               -0.0,
                               0.0,
                               false,
                               "",
                               value::array({}),
                               value::map({}),
                               value::array({1}),
                               value::array({value::array({})}),
                               value::array({1, 1})};
  for (const auto& x : all)
    CHECK(seen.insert(digest_of(x)).second);
}

TEST_CASE("digests are equal just when values are") {
  holds("reversing the keys of every map changes nothing",
        [](const value& x) { RC_ASSERT(digest_of(x) == digest_of(kept(with_reversed_keys(x)))); });
  holds("equal just when the values are", [](const value& x, const value& y) {
    RC_ASSERT((digest_of(x) == digest_of(y)) == naive_equal(x, y));
  });
}

TEST_CASE("what stands deeper than any stack is hashed") {
  value_writer deep;
  for (int i = 0; i < 500'000; ++i)
    deep.begin_map(1).string("k");
  const auto x = deep.integer(1).finish();
  CHECK(digest_of(x) == sha256_of(x.bytes()));
}

TEST_CASE("a cache key is what it was in the first version") {
  parts_of_a_key parts;
  CHECK(to_hex(parts.key().digest)
        == "5d090722a296fcab83a3c92605815200d7521c10c381cd9be0b36a365f1d04bb");
  parts.user.reset();
  CHECK(to_hex(parts.key().digest)
        == "93f83581591ac965c4fdc34b190b500b2bf38b6de7ea7324caa864d4450a1bee");
}

TEST_CASE("the order of map keys does not make another key") {
  parts_of_a_key parts;
  const auto key = parts.key();
  parts.request = with_reversed_keys(parts.request);
  CHECK(parts.key() == key);
}

TEST_CASE("every part of a cache key makes another key") {
  std::set<cache_key> seen;
  const auto fresh = [&](auto change) {
    parts_of_a_key parts;
    change(parts);
    return seen.insert(parts.key()).second;
  };
  using parts = parts_of_a_key;
  CHECK(fresh([](parts&) {}));
  CHECK(fresh([](parts& p) { p.name_space = "other"; }));
  CHECK(fresh([](parts& p) { p.user = "bob"; }));
  CHECK(fresh([](parts& p) { p.user = ""; }));
  CHECK(fresh([](parts& p) { p.user.reset(); }));
  CHECK(fresh([](parts& p) { p.user = "s"; }));
  CHECK(fresh([](parts& p) { p.agent = "agent2"; }));
  CHECK(fresh([](parts& p) { p.request = value::array({1}); }));
  CHECK(fresh([](parts& p) { p.request = value::array({1.0}); }));
  CHECK(fresh([](parts& p) { p.request = value::array({true}); }));
  CHECK(fresh([](parts& p) { p.permissions = value::array({"/home /etc"}); }));
  CHECK(fresh([](parts& p) { p.permissions = value::array({"/etc", "/home"}); }));
  CHECK(fresh([](parts& p) { std::swap(p.request, p.permissions); }));
}

TEST_CASE("moving bytes from one part of a cache key to the next makes another key") {
  holds("text", [](const std::string& text) {
    std::set<cache_key> seen;
    const auto count = text.size() + 1;
    for (std::size_t cut = 0; cut < count; ++cut) {
      const auto front = text.substr(0, cut), back = text.substr(cut);
      parts_of_a_key a, b;
      a.name_space = front, a.user = back;
      b.user = front, b.agent = back;
      RC_ASSERT(seen.insert(a.key()).second);
      RC_ASSERT(seen.insert(b.key()).second);
    }
    parts_of_a_key shared;
    shared.name_space = text, shared.user.reset();
    RC_ASSERT(seen.insert(shared.key()).second);
  });
}
