#include <troupe/state/internal/canonical.hpp>
#include <troupe/state/value.hpp>

#include "../support/allocations.hpp"
#include "../support/generate.hpp"
#include "../support/naive.hpp"
#include "../support/printing.hpp"
#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

static_assert(sizeof(value) == 16);
static_assert(std::is_nothrow_copy_constructible_v<value>
              && std::is_nothrow_move_constructible_v<value>);
static_assert(std::is_nothrow_copy_assignable_v<value> && std::is_nothrow_move_assignable_v<value>);
static_assert(!std::is_constructible_v<value, const void*>, "a pointer must not become a boolean");
template <class... T>
constexpr bool none_becomes_a_value = (!std::is_constructible_v<value, T> && ...);
static_assert(none_becomes_a_value<char, wchar_t, char8_t, char16_t, char32_t, const char&>,
              "'x' is neither 120 nor 120.0");
static_assert(std::is_constructible_v<value, signed char>
              && std::is_constructible_v<value, unsigned char>);

namespace {

std::string hex(const value& x) {
  return to_hex(x.bytes());
}

}  // namespace

TEST_CASE("a scalar has the shortest msgpack encoding") {
  CHECK(hex({}) == "c0");
  CHECK(hex(nullptr) == "c0");
  CHECK(hex(false) == "c2");
  CHECK(hex(true) == "c3");
  CHECK(hex(0) == "00");
  CHECK(hex(127) == "7f");
  CHECK(hex(128) == "cc80");
  CHECK(hex(255) == "ccff");
  CHECK(hex(256) == "cd0100");
  CHECK(hex(65535) == "cdffff");
  CHECK(hex(65536) == "ce00010000");
  CHECK(hex(std::uint32_t{4294967295}) == "ceffffffff");
  CHECK(hex(std::int64_t{4294967296}) == "cf0000000100000000");
  CHECK(hex(std::numeric_limits<std::uint64_t>::max()) == "cfffffffffffffffff");
  CHECK(hex(-1) == "ff");
  CHECK(hex(-32) == "e0");
  CHECK(hex(-33) == "d0df");
  CHECK(hex(-128) == "d080");
  CHECK(hex(-129) == "d1ff7f");
  CHECK(hex(-32768) == "d18000");
  CHECK(hex(-32769) == "d2ffff7fff");
  CHECK(hex(std::numeric_limits<std::int32_t>::min()) == "d280000000");
  CHECK(hex(std::int64_t{-2147483649}) == "d3ffffffff7fffffff");
  CHECK(hex(std::numeric_limits<std::int64_t>::min()) == "d38000000000000000");
  CHECK(hex(1.0) == "cb3ff0000000000000");
  CHECK(hex(-0.0) == "cb8000000000000000");
  CHECK(hex("") == "a0");
  CHECK(hex("\xc3\xa4") == "a2c3a4");
  CHECK(hex(value::binary({"\x00\xff", 2})) == "c40200ff");
}

TEST_CASE("a length has the shortest header at every border") {
  const auto header = [](const value& x, std::size_t size) {
    return to_hex(x.bytes().substr(0, size));
  };
  CHECK(header(std::string(31, 'x'), 1) == "bf");
  CHECK(header(std::string(32, 'x'), 2) == "d920");
  CHECK(header(std::string(255, 'x'), 2) == "d9ff");
  CHECK(header(std::string(256, 'x'), 3) == "da0100");
  CHECK(header(std::string(65535, 'x'), 3) == "daffff");
  CHECK(header(std::string(65536, 'x'), 5) == "db00010000");
  CHECK(header(value::binary(std::string(255, 'x')), 2) == "c4ff");
  CHECK(header(value::binary(std::string(256, 'x')), 3) == "c50100");
  CHECK(header(value::binary(std::string(65536, 'x')), 5) == "c600010000");
  CHECK(header(array_of(std::vector<value>(15)), 1) == "9f");
  CHECK(header(array_of(std::vector<value>(16)), 3) == "dc0010");
  CHECK(header(array_of(std::vector<value>(65535)), 3) == "dcffff");
  CHECK(header(array_of(std::vector<value>(65536)), 5) == "dd00010000");
  members entries;
  for (int i = 0; i < 65536; ++i)
    entries.emplace_back(std::to_string(i), value{i});
  const auto map_of_first = [&](std::ptrdiff_t n) {
    return map_of({entries.begin(), entries.begin() + n});
  };
  CHECK(header(map_of_first(15), 1) == "8f");
  CHECK(header(map_of_first(16), 3) == "de0010");
  CHECK(header(map_of_first(65535), 3) == "deffff");
  CHECK(header(map_of_first(65536), 5) == "df00010000");
}

TEST_CASE("a container of any header width is read back whole") {
  for (const std::size_t size : {0u, 1u, 15u, 16u, 255u, 256u, 65535u, 65536u, 70000u}) {
    CAPTURE(size);
    const std::string text(size, 'x');
    const value string = text, binary = value::binary(text);
    CHECK(string.view().as_string() == text);
    CHECK(binary.view().as_binary() == text);
    CHECK_FALSE(string.view().as_binary());
    CHECK_FALSE(binary.view().as_string());

    std::vector<value> items;
    members entries;
    for (std::size_t i = 0; i < size; ++i) {
      items.emplace_back(i);
      entries.emplace_back(std::to_string(i), value{i});
    }
    const auto array = array_of(items), map = map_of(entries);
    CHECK(array.view().size() == size);
    CHECK(map.view().size() == size);
    std::size_t seen = 0;
    bool same = true;
    for (auto c = array.view().children(); c.next(); ++seen)
      same = same && c.item().as_uint64() == seen && c.key().empty();
    CHECK(same);
    CHECK(seen == size);
    seen = 0;
    for (auto c = map.view().children(); c.next(); ++seen)
      same = same && c.item().as_uint64() == seen && c.key() == std::to_string(seen);
    CHECK(same);
    CHECK(seen == size);
    CHECK(value_view{std::string{map.bytes()} + "tail"}.bytes() == map.bytes());
    CHECK(value_view::whole(map.bytes()) == map.view());
    CHECK(value_view::whole(map.bytes()).bytes() == map.bytes());

    value_writer more;
    more.begin_map(size + 1).string("first").null().members(map);
    entries.insert(entries.begin(), {"first", value{}});
    CHECK(more.bytes() == map_of(entries).bytes());
  }
}

TEST_CASE("an accessor answers only for its own type") {
  const std::vector<std::pair<value, value_type>> one_of_each{
      {value{}, value_type::null},
      {value{true}, value_type::boolean},
      {value{1}, value_type::integer},
      {value{1.0}, value_type::real},
      {value{"1"}, value_type::string},
      {value::binary("1"), value_type::binary},
      {value::array({1}), value_type::array},
      {value::map({{"1", 1}}), value_type::map}};
  for (const auto& [x, type] : one_of_each) {
    CAPTURE(type);
    CHECK(x.type() == type);
    CHECK(x.is_null() == (type == value_type::null));
    CHECK(x.view().as_bool().has_value() == (type == value_type::boolean));
    CHECK(x.view().as_int64().has_value() == (type == value_type::integer));
    CHECK(x.view().as_uint64().has_value() == (type == value_type::integer));
    CHECK(x.view().as_real().has_value() == (type == value_type::real));
    CHECK(x.view().as_string().has_value() == (type == value_type::string));
    CHECK(x.view().as_binary().has_value() == (type == value_type::binary));
    CHECK(x.view().find("1").has_value() == (type == value_type::map));
    CHECK(x.view().size() == (type == value_type::array || type == value_type::map ? 1 : 0));
    CHECK(x.view().children().next() == (type == value_type::array || type == value_type::map));
    for (const auto& [y, other] : one_of_each)
      CHECK((x == y) == (type == other));
  }
  CHECK(to_string(value_type::null) == "null");
  CHECK(to_string(value_type::boolean) == "boolean");
  CHECK(to_string(value_type::integer) == "integer");
  CHECK(to_string(value_type::real) == "real");
  CHECK(to_string(value_type::string) == "string");
  CHECK(to_string(value_type::binary) == "binary");
  CHECK(to_string(value_type::array) == "array");
  CHECK(to_string(value_type::map) == "map");
}

TEST_CASE("an integer is given as int64 or uint64 exactly where it fits") {
  using i64 = std::numeric_limits<std::int64_t>;
  using u64 = std::numeric_limits<std::uint64_t>;
  CHECK(kept(value{i64::min()}).view().as_int64() == i64::min());
  CHECK_FALSE(kept(value{i64::min()}).view().as_uint64());
  CHECK(kept(value{-1}).view().as_int64() == -1);
  CHECK_FALSE(kept(value{-1}).view().as_uint64());
  CHECK(kept(value{i64::max()}).view().as_int64() == i64::max());
  CHECK(kept(value{i64::max()}).view().as_uint64() == 9223372036854775807u);
  CHECK_FALSE(kept(value{9223372036854775808u}).view().as_int64());
  CHECK(kept(value{9223372036854775808u}).view().as_uint64() == 9223372036854775808u);
  CHECK_FALSE(kept(value{u64::max()}).view().as_int64());
  CHECK(kept(value{u64::max()}).view().as_uint64() == u64::max());
  CHECK(value{i64::max()} == value{9223372036854775807u});
  CHECK_FALSE(value{-1} == value{u64::max()});
  holds("an int64 is read back", [](std::int64_t x) {
    RC_ASSERT(kept(value{x}).view().as_int64() == x);
    RC_ASSERT(kept(value{x}).view().as_uint64().has_value() == (x >= 0));
  });
  for (int shift = 0; shift < 64; ++shift) {
    for (const int delta : {-1, 0, 1}) {
      const auto x = (1ull << shift) + static_cast<std::uint64_t>(delta);
      CHECK(kept(value{x}).view().as_uint64() == x);
      CHECK(kept(value{static_cast<std::int64_t>(x)}).view().as_int64()
            == static_cast<std::int64_t>(x));
      const auto negative = static_cast<std::int64_t>(-x);
      CHECK(kept(value{negative}).view().as_int64() == negative);
      CHECK(kept(value{negative}).view().as_uint64().has_value() == (negative >= 0));
    }
  }
}

TEST_CASE("1 and 1.0 and true and '1' all differ") {
  const std::vector<value> all{1, 1.0, true, "1", value::binary("1"), value::array({1}), value{}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j)
      CHECK((all[i] == all[j]) == (i == j));
  }
  CHECK_FALSE(value{0.0} == value{-0.0});
}

TEST_CASE("maps are equal whatever the order of their keys and nested ones too") {
  CHECK(value::map({{"a", 1}, {"b", 2}}) == value::map({{"b", 2}, {"a", 1}}));
  CHECK_FALSE(value::map({{"a", 1}, {"b", 2}}) == value::map({{"b", 1}, {"a", 2}}));
  CHECK_FALSE(value::map({{"a", 1}}) == value::map({{"a", 1}, {"b", 2}}));
  CHECK_FALSE(value::map({{"a", value{}}}) == value::map({{"b", value{}}}));
  CHECK_FALSE(value::map({{"a", value{}}}) == value::map({}));
  CHECK_FALSE(value::map({}) == value::array({}));
  const auto deep = [](value x, value y) {
    return value::array(
        {value::map({{"k", value::array({std::move(x)})}, {"l", std::move(y)}}), 7});
  };
  const auto ab = value::map({{"a", 1}, {"b", 2}}), ba = value::map({{"b", 2}, {"a", 1}});
  CHECK(deep(ab, ba) == deep(ba, ab));
  CHECK_FALSE(deep(ab, ba) == deep(ba, value::map({{"a", 1}, {"b", 3}})));
  CHECK_FALSE(value::array({1, 2}) == value::array({2, 1}));
  CHECK_FALSE(value::array({1, 2}) == value::array({1}));
  holds("reversing keys changes nothing",
        [](const value& x) { RC_ASSERT(x == with_reversed_keys(x)); });
  holds("equality is the naive one", [](const value& x, const value& y) {
    RC_ASSERT((x == y) == naive_equal(x, y));
    RC_ASSERT((y == x) == (x == y));
    RC_ASSERT(x == x);
  });
  holds("a change of one child is seen", [](const value& x, const value& y) {
    const auto wrap = [](const value& inner) {
      return value::map({{"z", value::array({value::map({{"q", 1}, {"p", inner}})})}, {"y", 2}});
    };
    RC_ASSERT((wrap(x) == with_reversed_keys(wrap(y))) == naive_equal(x, y));
  });
}

TEST_CASE("a view ends where its value ends") {
  const auto one = value::map({{"a", value::array({1, "two", 3.0})}});
  const auto both = std::string{one.bytes()} + std::string{value{"more"}.bytes()};
  CHECK(value_view{both}.bytes() == one.bytes());
  CHECK(value{value_view{both}} == one);
  CHECK(value_view{both} == one.view());
  CHECK(value_view{}.bytes() == std::string_view{"\xc0", 1});
  CHECK(one.view().find("a")->size() == 3);
  CHECK_FALSE(one.view().find("b"));
  CHECK_FALSE(one.view().find(""));
  CHECK(kept(value::map({{"", 1}, {"a", 2}})).view().find("") == kept(value{1}).view());
}

TEST_CASE("a copy of more than 15 bytes shares them and a smaller one owns them") {
  const value small{std::string(14, 'x')}, large{std::string(15, 'x')};
  REQUIRE(small.bytes().size() == 15);
  REQUIRE(large.bytes().size() == 16);
  allocation_watch watch;
  const value small_copy = small, large_copy = large;  // NOLINT: the copy is what is tested
  CHECK(small_copy.bytes().data() != small.bytes().data());
  CHECK(large_copy.bytes().data() == large.bytes().data());
  CHECK(watch.count() == 0);
  CHECK(small_copy == small);
  CHECK(large_copy == large);
}

TEST_CASE("a shared value lives as long as its last copy") {
  const std::string text(1000, 'x');
  value last;
  {
    value first{text};
    value second{first};
    last = second;
    first = value{1};
    CHECK(second.view().as_string() == text);
  }
  CHECK(last.view().as_string() == text);
}

TEST_CASE("a view without data is an empty string") {
  CHECK(hex(std::string_view{}) == "a0");
  CHECK(hex(value::binary({})) == "c400");
  CHECK(kept(value{""}).view().as_string() == std::string_view{});
  CHECK(is_utf8(std::string_view{}));
  CHECK_FALSE(internal::well_formed({}, 4));
  CHECK_FALSE(kept(value::map({{"a", 1}})).view().find({}));
}

TEST_CASE("a text by a null pointer is null") {
  const char* text = nullptr;
  CHECK(value{text}.is_null());
  CHECK(hex(text) == "c0");
}

TEST_CASE("a value that was moved from is null") {
  for (const value& original : {value{"short"}, value{std::string(100, 'x')}}) {
    value from = original;
    value to{std::move(from)};
    CHECK(from.is_null());  // NOLINT: promised
    CHECK(hex(from) == "c0");
    CHECK(to == original);
    value other{std::string(50, 'y')};
    other = std::move(to);
    CHECK(to.is_null());  // NOLINT: promised
    CHECK(other == original);
    from = other;
    CHECK(from == original);
  }
}

TEST_CASE("a value assigned to itself stays as it is") {
  for (const value& original : {value{"short"}, value{std::string(100, 'x')}}) {
    value x = original;
    value& same = x;
    x = same;
    CHECK(x == original);
    x = std::move(same);
    CHECK(x == original);
  }
}

TEST_CASE("a value refers to nothing outside itself") {
  std::string text(40, 'x');
  auto inner = value{text};
  auto outer = value::map({{text, inner}});
  const std::string before{outer.bytes()};
  text.assign(40, 'y');
  inner = value{};
  CHECK(outer.bytes() == before);
}

TEST_CASE("threads may copy and drop the same value at the same time") {
  const auto original = value::map({{"text", std::string(100, 'x')}, {"n", 1}});
  const std::string bytes{original.bytes()};
  {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&original] {
        std::vector<value> kept(8);
        for (std::size_t i = 0; i < 2000; ++i) {
          kept[i % 8] = original;
          value moved = std::move(kept[(i + 3) % 8]);
          if (!(kept[i % 8] == original))
            std::abort();
        }
      });
    }
    for (auto& t : threads)
      t.join();
  }
  CHECK(original.bytes() == bytes);
}

TEST_CASE("a value handed from thread to thread is freed by the last one") {
  auto shared = std::make_unique<value>(std::string(1000, 'x'));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([mine = *shared]() mutable { mine = value{}; });
  shared.reset();
  for (auto& t : threads)
    t.join();
}

TEST_CASE("comparing values nested 100000 deep does not overflow the stack") {
  constexpr std::size_t depth = 100'000;
  const auto nested = [](std::size_t levels, const value& innermost) {
    value_writer out;
    for (std::size_t i = 0; i < levels; ++i)
      out.begin_array(1);
    return out.raw(innermost).finish();
  };
  CHECK(nested(depth, 1) == nested(depth, 1));
  CHECK_FALSE(nested(depth, 1) == nested(depth + 1, 1));
  CHECK_FALSE(nested(depth, 1) == nested(depth, 2));
}

TEST_CASE("stored bytes are well formed only if every length and key fits") {
  const auto good = [](std::string_view text) { return internal::well_formed(from_hex(text), 4); };
  CHECK(good("c0"));
  CHECK(good("80"));
  CHECK(good("9192a16101"));
  CHECK(good("81a1619101"));
  CHECK(good("cb3ff0000000000000"));
  CHECK(good("d90161"));
  CHECK(good("c40161"));
  for (const char* bad : {"",
                          "c0c0",
                          "91",
                          "92c0",
                          "81",
                          "81a161",
                          "8101c0",
                          "81c0c0",
                          "8190c0",
                          "a2",
                          "a261",
                          "d9",
                          "d901",
                          "da",
                          "da00",
                          "da0001",
                          "db",
                          "db000000",
                          "db00000001",
                          "c4",
                          "c401",
                          "c5",
                          "c500",
                          "c50001",
                          "c6",
                          "c6000000",
                          "c600000001",
                          "cc",
                          "cd00",
                          "ce000000",
                          "cf00000000000000",
                          "d0",
                          "d100",
                          "d2000000",
                          "d300000000000000",
                          "cb00000000000000",
                          "ca00000000",
                          "c1",
                          "c70000",
                          "c8000000",
                          "c90000000000",
                          "d40000",
                          "d5000000",
                          "d60000000000",
                          "dc",
                          "dc00",
                          "dc0001",
                          "dd",
                          "dd000000",
                          "dd00000001",
                          "dd7fffffff",
                          "ddffffffff",
                          "de",
                          "de00",
                          "de0001",
                          "de0001a161",
                          "df",
                          "df00000001",
                          "dfffffffff",
                          "dfffffffffa161c0",
                          "dbffffffff",
                          "c6ffffffff",
                          "9180c0",
                          "92c08101c0"}) {
    CAPTURE(bad);
    CHECK_FALSE(good(bad));
  }
  CHECK(good("91919101"));
  CHECK(good("9191919101"));
  CHECK_FALSE(good("919191919101"));
  CHECK(good("91919190"));
  CHECK_FALSE(good("9191919190"));
  CHECK_FALSE(good("9191919180"));
  CHECK(good("92919191019191c0"));
}

TEST_CASE("UTF-8 has no surrogates nor overlong forms nor loose bytes") {
  CHECK(is_utf8(""));
  CHECK(is_utf8(std::string_view{"\0", 1}));
  CHECK(is_utf8("\xf4\x8f\xbf\xbf"));
  for (const char* bad :
       {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf4\x90\x80\x80", "\xff", "\xf0\x80\x80\x80", "ok\xc3("})
    CHECK_FALSE(is_utf8(bad));
}
