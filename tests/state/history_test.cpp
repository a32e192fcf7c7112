#include <troupe/state/history.hpp>

#include "../support/allocations.hpp"
#include "../support/golden.hpp"
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

using troupe::errc;
using troupe::history;
using troupe::item_view;
using troupe::packed_chunk;
using troupe::timestamp;
using troupe::value;
using troupe::value_view;
using troupe::testing::allocation_watch;

namespace {

/// A map that takes exactly so many bytes of msgpack. REQUIRES: 6 <= bytes < 65,536, and none of
/// the sizes where a longer head begins.
value map_of_bytes(std::size_t bytes, char letter = 'x') {
  for (std::size_t text = bytes - 4;; --text)
    if (auto out = value::map({{"t", std::string(text, letter)}}); out.bytes().size() <= bytes)
      return out;
}

struct plain_item {
  std::uint64_t seq;
  std::int64_t ms;
  value fields;
};
using plain = std::vector<plain_item>;

bool same(const item_view& a, const plain_item& b) {
  return a.seq == b.seq && a.at.ms == b.ms && a.fields.bytes() == b.fields.bytes();
}

void append(history& h, plain& model, plain_item item) {
  h.append(item.seq, {item.ms}, item.fields);
  model.push_back(std::move(item));
}

/// Numbers 1 ... n, a second apart.
history history_of(std::size_t n, std::size_t item_bytes = 600, plain* model = nullptr) {
  history h;
  plain unused;
  for (std::uint64_t seq = 1; seq <= n; ++seq)
    append(h, model != nullptr ? *model : unused,
           {seq, static_cast<std::int64_t>(1'700'000'000'000 + seq * 1000),
            map_of_bytes(item_bytes, static_cast<char>('a' + seq % 26))});
  return h;
}

std::vector<packed_chunk> chunks_of(const history& h) {
  std::vector<packed_chunk> out;
  h.for_each_chunk([&out](const packed_chunk& c) { out.push_back(c); });
  return out;
}

std::vector<std::string_view> bytes_of(const history& h) {
  std::vector<std::string_view> out;
  h.for_each_chunk([&out](const packed_chunk& c) { out.push_back(c.bytes); });
  return out;
}

troupe::expected<history> decoded(std::string_view chunk) {
  return history::from_chunks(std::array{chunk});
}

/// Reads h in every way there is.
bool holds(const history& h, const plain& model) {
  if (h.size() != model.size() || h.empty() != model.empty())
    return false;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i != model.size(); ++i) {
    bytes += model[i].fields.bytes().size();
    if (!same(h[i], model[i]) || h.first_after(model[i].seq) != i + 1
        || h.first_after(model[i].seq - 1) != i)
      return false;
  }
  if (h.bytes() != bytes || !std::equal(h.begin(), h.end(), model.begin(), model.end(), same))
    return false;
  auto it = h.end();
  for (auto i = model.size(); i-- != 0;)
    if (!same(*--it, model[i]))
      return false;
  std::size_t index = 0;
  bool open = false;
  for (const auto& c : chunks_of(h)) {
    if (open || c.first_index != index || c.count == 0 || c.count > 32)
      return false;
    open = !c.sealed;
    index += c.count;
  }
  if (index != model.size() || it != h.begin() || h.first_after(~0ULL) != model.size())
    return false;
  return model.empty() ? h.last_seq() == 0
                       : same(h.back(), model.back()) && h.last_seq() == model.back().seq;
}

std::size_t bytes_allocated_by(auto&& action) {
  const allocation_watch watch;
  action();
  return watch.total();
}

static_assert(std::random_access_iterator<history::const_iterator>);
static_assert(sizeof(history) <= 32);
static_assert(std::is_nothrow_copy_constructible_v<history>);
static_assert(std::is_nothrow_move_constructible_v<history>);

constexpr std::array<std::size_t, 8> item_sizes{6, 20, 130, 600, 600, 3000, 16384, 40000};
constexpr std::array<std::int64_t, 6> times{0, 1000, -1, INT64_MAX, INT64_MIN, 1'700'000'000'000};

}  // namespace

TEST_SUITE("history") {
  TEST_CASE("a history of any size holds what was appended and in that order") {
    for (const std::size_t item_bytes : {6, 100, 600, 9000, 20000})
      for (const std::size_t n : {0, 1, 2, 31, 32, 33, 64, 65, 300}) {
        CAPTURE(item_bytes);
        CAPTURE(n);
        plain model;
        const auto h = history_of(n, item_bytes, &model);
        CHECK(holds(h, model));
      }
    plain model;
    CHECK(holds(history_of(5000, 600, &model), model));
  }

  TEST_CASE("versions and forks of a history under random operations stay what they were") {
    CHECK(rc::check("like std::vector", [] {
      using operation = std::tuple<int, std::size_t, std::size_t>;
      const auto operations = *rc::gen::container<std::vector<operation>>(
          rc::gen::tuple(rc::gen::inRange(0, 14), rc::gen::inRange<std::size_t>(0, 1000),
                         rc::gen::inRange<std::size_t>(0, 1000)));
      std::vector<std::pair<history, plain>> versions(1);
      char letter = 'a';
      for (const auto& [what, which, amount] : operations) {
        const auto at = which % versions.size();
        auto& [h, model] = versions[at];
        if (what <= 6) {
          for (std::size_t i = 0; i <= (what == 0 ? amount % 80 : amount % 10); ++i) {
            letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1);
            append(
                h, model,
                {h.last_seq() + (i % 5 == 4 ? amount + 1 : 1), times[(amount + i) % times.size()],
                 map_of_bytes(item_sizes[(amount / 7 + i) % item_sizes.size()], letter)});
          }
        } else if (what <= 8) {
          auto copy = versions[at];
          versions.push_back(std::move(copy));
        } else if (what == 9) {
          const auto n = amount % (model.size() + 2);
          auto kept = plain(model.begin(),
                            model.begin() + static_cast<std::ptrdiff_t>(std::min(n, model.size())));
          auto shorter = h.take(n);
          RC_ASSERT(shared_prefix(shorter, h) == kept.size());
          versions.emplace_back(std::move(shorter), std::move(kept));
        } else if (what == 10) {
          h = h.take(amount % 100);
          model.erase(
              model.begin() + static_cast<std::ptrdiff_t>(std::min(model.size(), amount % 100)),
              model.end());
        } else if (what == 11) {
          h.shrink_to_fit();
        } else if (what == 12) {
          auto read = history::from_chunks(bytes_of(h));
          RC_ASSERT(read.has_value());
          RC_ASSERT(bytes_of(*read) == bytes_of(h));
          versions.emplace_back(*std::move(read), model);
        } else if (versions.size() > 1) {
          versions.erase(versions.begin() + static_cast<std::ptrdiff_t>(at));
        }
      }
      for (const auto& [h, model] : versions) {
        RC_ASSERT(holds(h, model));
        const auto& [other, other_model] = versions.front();
        const auto same_item = [](const plain_item& a, const plain_item& b) {
          return a.seq == b.seq && a.ms == b.ms && a.fields == b.fields;
        };
        const auto common =
            static_cast<std::size_t>(std::mismatch(model.begin(), model.end(), other_model.begin(),
                                                   other_model.end(), same_item)
                                         .first
                                     - model.begin());
        RC_ASSERT(common_prefix(h, other) == common);
        RC_ASSERT(shared_prefix(h, other) <= common);
        RC_ASSERT((h == other) == (common == model.size() && common == other_model.size()));
      }
    }));
  }

  TEST_CASE("the first n items of a history are shared and can be gone on with") {
    plain model;
    history whole;
    for (std::size_t i = 0; i != 200; ++i)
      append(whole, model, {i + 1, 0, map_of_bytes(item_sizes[i * 7 % item_sizes.size()])});
    for (std::size_t n = 0; n <= 200; ++n) {
      CAPTURE(n);
      auto expected_items = plain(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(n));
      auto part = whole.take(n);
      CHECK(shared_prefix(part, whole) == n);
      CHECK(holds(part, expected_items));
      append(part, expected_items, {1000, 7, map_of_bytes(50)});
      CHECK(holds(part, expected_items));
      CHECK(common_prefix(part, whole) == n);
    }
    CHECK(holds(whole, model));
    CHECK(holds(whole.take(999), model));
  }

  TEST_CASE("a copy of a history allocates nothing whatever its size") {
    for (const std::size_t n : {0, 1, 10, 10000}) {
      const auto h = history_of(n, 100);
      const allocation_watch watch;
      const history copy = h;
      history assigned;
      assigned = copy;
      CHECK(watch.count() == 0);
      CHECK(assigned.size() == n);
      CHECK((n == 0 || assigned[0].fields.bytes().data() == h[0].fields.bytes().data()));
    }
  }

  TEST_CASE("an append beside every older version copies each item hardly more than once") {
    const auto item = map_of_bytes(600);
    std::vector<history> versions;
    versions.reserve(3001);
    versions.emplace_back();
    std::size_t worst = 0;
    const auto total = bytes_allocated_by([&] {
      for (std::uint64_t seq = 1; seq <= 3000; ++seq) {
        auto next = versions.back();
        next.append(seq, {0}, item);
        versions.push_back(std::move(next));
      }
    });
    for (std::uint64_t seq = 1; seq <= 3000; seq += 100) {
      auto fork = versions[seq];
      worst = std::max(worst, bytes_allocated_by([&] { fork.append(seq + 1, {0}, item); }));
      CHECK(fork.size() == seq + 1);
    }
    CHECK(total < 3000 * 600 * 12 / 10);
    CHECK(worst < 40'000);
    for (std::size_t n = 0; n < versions.size(); n += 97)
      CHECK(versions[n].size() == n);
  }

  TEST_CASE("of two forks the first to append copies nothing and the second its last chunk") {
    plain model;
    auto base = history_of(40, 100, &model);  // 8 items in the last chunk
    base.append(41, {0}, map_of_bytes(100));
    base = base.take(41);
    model.push_back({41, 0, map_of_bytes(100)});
    auto first = base;
    auto second = base;
    plain first_model = model;
    plain second_model = model;
    const auto one = map_of_bytes(100, '1');
    const auto two = map_of_bytes(100, '2');
    CHECK(bytes_allocated_by([&] { first.append(42, {0}, one); }) == 0);
    const auto copied = bytes_allocated_by([&] { second.append(42, {0}, two); });
    CHECK(copied > 900);
    CHECK(copied < 4000);
    first_model.push_back({42, 0, one});
    second_model.push_back({42, 0, two});
    CHECK(bytes_allocated_by([&] { second.append(43, {0}, two); }) == 0);
    second_model.push_back({43, 0, two});
    CHECK(holds(first, first_model));
    CHECK(holds(second, second_model));
    CHECK(holds(base, model));
    CHECK(shared_prefix(first, second) == 32);
    CHECK(shared_prefix(first, base) == 41);
    CHECK(common_prefix(first, second) == 41);
    CHECK(first != second);
  }

  TEST_CASE("a chunk that one fork has closed early is gone on with by another alone") {
    plain base_model;
    const auto base = history_of(5, 100, &base_model);
    auto closes = base;
    auto closes_model = base_model;
    append(closes, closes_model, {6, 0, map_of_bytes(20000)});
    auto goes_on = base;
    auto goes_on_model = base_model;
    append(goes_on, goes_on_model, {6, 1, map_of_bytes(60)});  // there is room for it
    append(closes, closes_model, {7, 0, map_of_bytes(60)});
    CHECK(holds(closes, closes_model));
    CHECK(holds(goes_on, goes_on_model));
    CHECK(chunks_of(closes)[0].bytes == chunks_of(base)[0].bytes);
    CHECK(chunks_of(closes)[0].count == 5);
    CHECK(shared_prefix(closes, goes_on) == 5);
    CHECK(holds(closes.take(5), base_model));
  }

  TEST_CASE("comparing neighbouring versions of a history allocates nothing") {
    const auto before = history_of(10000, 100);
    auto after = before;
    const auto item = map_of_bytes(20);
    after.append(10001, {0}, item);
    const allocation_watch watch;
    CHECK(shared_prefix(before, after) == 10000);
    CHECK(common_prefix(before, after) == 10000);
    CHECK(before != after);
    CHECK(after.take(0).empty());
    CHECK(watch.count() == 0);
  }

  TEST_CASE("histories are equal whatever the order of keys and whatever their chunks") {
    history a;
    history b;
    history late;
    const auto ab = value::map({{"a", 1}, {"b", 2}});
    const auto ba = value::map({{"b", 2}, {"a", 1}});
    for (std::uint64_t seq = 1; seq <= 70; ++seq) {
      a.append(seq, {5}, ab);
      b.append(seq, {5}, ba);
      late.append(seq, {seq == 70 ? 6 : 5}, ab);
    }
    CHECK(a == b);
    CHECK(shared_prefix(a, b) == 0);
    CHECK(a != late);
    CHECK(common_prefix(a, late) == 69);
    auto small = history_of(3, 20);
    auto bytes = bytes_of(small);
    history other_seq;
    for (std::uint64_t seq = 1; seq <= 3; ++seq)
      other_seq.append(seq == 3 ? 4 : seq, small[seq - 1].at, small[seq - 1].fields);
    CHECK(common_prefix(small, other_seq) == 2);
  }

  TEST_CASE("an item of a history can be appended to it") {
    for (const std::size_t item_bytes : {20, 600, 5000, 20000}) {
      plain model;
      auto h = history_of(1, item_bytes, &model);
      std::vector<history> kept;
      for (std::uint64_t seq = 2; seq <= 100; ++seq) {
        const auto from = h[h.size() / 2];
        model.push_back({seq, 3, model[h.size() / 2].fields});
        if (seq % 3 == 0)
          kept.push_back(h);
        h.append(seq, {3}, from.fields);
      }
      CHECK(holds(h, model));
    }
  }

  TEST_CASE("a moved history leaves an empty one that can be used again") {
    plain model;
    auto h = history_of(100, 600, &model);
    const auto moved = std::move(h);
    CHECK(holds(h, {}));  // NOLINT(bugprone-use-after-move): the promise under test
    h.append(3, {1}, map_of_bytes(10));
    CHECK(holds(h, {{3, 1, map_of_bytes(10)}}));
    h = std::as_const(h);
    CHECK(h.size() == 1);
    CHECK(holds(moved, model));
    h = moved;
    CHECK(h == moved);
  }

  TEST_CASE("an iterator of a history reaches every distance from every position") {
    const auto h = history_of(80, 900);
    for (int from = 0; from <= 80; ++from)
      for (int to = 0; to <= 80; ++to) {
        auto it = h.begin() + from;
        it += to - from;
        REQUIRE(it - h.begin() == to);
        REQUIRE((it == h.end()) == (to == 80));
        if (to != 80)
          REQUIRE((*it).seq == static_cast<std::uint64_t>(to + 1));
        if (to != 0)
          REQUIRE((*--it).seq == static_cast<std::uint64_t>(to));
      }
    CHECK(h.begin()[41].seq == 42);
    CHECK(history{}.begin() == history{}.end());
  }

  TEST_CASE("the first item after a number is found in a history with gaps") {
    history h;
    const auto item = map_of_bytes(500);
    for (std::uint64_t i = 1; i <= 200; ++i)
      h.append(i * 10, {0}, item);
    for (std::uint64_t seq = 0; seq <= 2010; ++seq)
      REQUIRE(h.first_after(seq) == std::min<std::size_t>(200, seq / 10));
    CHECK(h.first_after(~0ULL) == 200);
    CHECK(history{}.first_after(0) == 0);
  }

  TEST_CASE("an empty history owns no heap and ten items of 600 bytes at most 160 bytes more") {
    std::size_t idle = 0;
    {
      const allocation_watch watch;
      history empty;
      auto copy = empty;
      copy.shrink_to_fit();
      static_cast<void>(copy.take(0));
      idle = watch.count();
    }
    CHECK(idle == 0);
    plain model;
    auto h = history_of(10, 600, &model);
    CHECK(h.bytes() == 6000);
    {
      const auto copy = h;
      const allocation_watch watch;
      h.shrink_to_fit();
      CHECK(watch.count() == 0);  // the chunk would stand twice
    }
    const auto requested = bytes_allocated_by([&] { h.shrink_to_fit(); });
    const auto block = (requested + 8 + 15) / 16 * 16;  // what glibc takes for it
    CHECK(block > 6000);
    CHECK(block <= 6160);
    CHECK(bytes_allocated_by([&] { h.shrink_to_fit(); }) == 0);
    CHECK(holds(h, model));
    append(h, model, {11, 0, map_of_bytes(600)});
    CHECK(holds(h, model));
  }

  TEST_CASE("an append keeps no more room free than is used and a complete chunk keeps none") {
    for (const std::size_t item_bytes : {600, 16384, 40000}) {
      const auto item = map_of_bytes(item_bytes);
      history h;
      const auto first = bytes_allocated_by([&] { h.append(1, {0}, item); });
      CHECK(first >= item_bytes);
      CHECK(first < (item_bytes < 16384 ? 2 * item_bytes + 100 : item_bytes + 100));
    }
    auto h = history_of(31, 100).take(31);
    h.shrink_to_fit();
    const auto item = map_of_bytes(100);
    CHECK(bytes_allocated_by([&] { h.append(32, {0}, item); }) < 32 * 110 + 100);
  }

  TEST_CASE("trimming a history drops what a longer copy has left in the last chunk") {
    plain model;
    auto h = history_of(9, 600, &model).take(1);
    const auto size = bytes_allocated_by([&] { h.shrink_to_fit(); });
    CHECK(size < 700);
    CHECK(size > 600);
    model.resize(1, {0, 0, {}});
    CHECK(holds(h, model));
  }

  TEST_CASE("a chunk is complete with 32 items or 16 KiB and a large item stands alone") {
    const auto counts = [](const history& h) {
      std::vector<std::size_t> out;
      for (const auto& c : chunks_of(h))
        out.push_back(c.count);
      return out;
    };
    using list = std::vector<std::size_t>;
    CHECK(counts(history_of(70, 6)) == list{32, 32, 6});
    CHECK(counts(history_of(70, 600)) == list{28, 28, 14});
    CHECK(counts(history_of(5, 9000)) == list{2, 2, 1});
    CHECK(counts(history_of(3, 16384)) == list{1, 1, 1});
    auto mixed = history_of(3, 100);
    mixed.append(4, {0}, map_of_bytes(16384));
    mixed.append(5, {0}, map_of_bytes(100));
    CHECK(counts(mixed) == list{3, 1, 1});
    CHECK(chunks_of(mixed)[0].sealed);
    CHECK(chunks_of(mixed)[1].sealed);
    CHECK(!chunks_of(mixed)[2].sealed);
    CHECK(chunks_of(history_of(32, 6)).back().sealed);
    CHECK(!chunks_of(history_of(31, 6)).back().sealed);
    CHECK(chunks_of(mixed.take(4)).back().sealed);
  }

  TEST_CASE("a sealed chunk keeps its bytes and an open one its beginning while a history grows") {
    history h;
    std::vector<std::string> before;
    for (std::uint64_t seq = 1; seq <= 150; ++seq) {
      h.append(seq, {static_cast<std::int64_t>(seq)},
               map_of_bytes(item_sizes[seq % item_sizes.size()]));
      const auto now = chunks_of(h);
      for (std::size_t i = 0; i != before.size(); ++i)
        REQUIRE(now[i].bytes.substr(0, before[i].size()) == before[i]);
      for (std::size_t i = 0; i + 1 < before.size(); ++i)
        REQUIRE(now[i].bytes == before[i]);
      before.clear();
      for (const auto& c : now)
        before.emplace_back(c.bytes);
    }
  }

  TEST_CASE("the bytes of a chunk are what they have always been") {
    history h;
    h.append(7, {1'700'000'000'123}, value::map({{"role", "user"}, {"n", 1}}));
    h.append(8, {1'700'000'000'122}, value::map({}));
    h.append(300, {1'700'000'060'000}, value::map({{"a", value::array({nullptr, true})}}));
    h.append(301, {INT64_MIN}, value::map({}));
    REQUIRE(chunks_of(h).size() == 1);
    troupe::testing::check_golden("history_chunk.hex", bytes_of(h)[0]);
    const auto read = decoded(troupe::testing::golden("history_chunk.hex"));
    REQUIRE(read.has_value());
    CHECK(*read == h);
    CHECK((*read)[3].at.ms == INT64_MIN);
  }

  TEST_CASE("a decoded history is equal and can be gone on with") {
    for (const std::size_t item_bytes : {6, 600, 20000})
      for (const std::size_t n : {0, 1, 10, 32, 100}) {
        plain model;
        const auto h = history_of(n, item_bytes, &model);
        auto read = history::from_chunks(bytes_of(h));
        REQUIRE(read.has_value());
        CHECK(holds(*read, model));
        CHECK(shared_prefix(*read, h) == 0);
        append(*read, model, {n + 1, 0, map_of_bytes(30)});
        CHECK(holds(*read, model));
      }
  }

  TEST_CASE("bytes that are no chunk are refused as damaged") {
    using namespace std::string_literals;
    const auto base = "\5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s;
    const auto chunk = [&base](const std::string& items) { return base + items; };
    const auto refused = [](const std::string& bytes) {
      const auto out = decoded(bytes);
      return !out && out.error().code == errc::damaged;
    };
    const auto item = "\0\0\x80"s;
    REQUIRE(decoded(chunk(item)).has_value());
    REQUIRE(decoded(chunk(item + "\1\x81\1\x80"s)).has_value());
    CHECK(refused(""));
    CHECK(refused(base.substr(0, 15)));
    CHECK(refused(base));
    CHECK(refused(std::string(16, '\0') + item));  // the first number is 0
    CHECK(refused(chunk("\1\0\x80"s)));            // the first item is not the base
    CHECK(refused(chunk("\0\1\x80"s)));
    CHECK(refused(chunk(item + "\0\0\x80"s)));  // numbers do not ascend
    CHECK(refused(chunk(item + "\2\0\x80\2\0\x80"s)));
    CHECK(refused(chunk(item + "\2\0\x80\1\0\x80"s)));
    CHECK(refused(chunk(item + "\x81\0\0\x80"s)));  // a varint longer than it need be
    CHECK(refused(chunk(item + "\1\x80\0\x80"s)));
    CHECK(refused(chunk(item + "\1"s)));  // cut off
    CHECK(refused(chunk(item + "\x81"s)));
    CHECK(refused(chunk(item + "\1\0"s)));
    CHECK(refused(chunk(item + "\1\0\x81\xa1"s)));
    CHECK(refused(chunk(item + "\1\0\x90"s)));      // no map
    CHECK(refused(chunk(item + "\1\0\x81\1\1"s)));  // a key that is no string
    CHECK(refused(chunk(item + "\1\0\xdf\xff\xff\xff\xff"s)));
    const auto nines = std::string(9, '\xff');
    CHECK(refused(chunk(item + nines + "\1\0\x80"s)));  // a number beyond 64 bits
    CHECK(refused(chunk(item + nines + "\2\0\x80"s)));
    CHECK(refused(chunk(item + nines + "\x80\1\0\x80"s)));
    CHECK(
        decoded("\1" + base.substr(1) + item + "\xfe" + nines.substr(1) + "\1\0\x80"s).has_value());
    CHECK(decoded(chunk(item + "\1"s + nines + "\1\x80"s)).has_value());
    CHECK(refused(chunk(item + "\1"s + nines + "\2\x80"s)));

    std::string many;
    for (char i = 0; i != 32; ++i)
      many += i + "\0\x80"s;
    CHECK(decoded(chunk(many)).has_value());
    CHECK(refused(chunk(many + "\x20\0\x80"s)));

    const auto nested = [](std::size_t depth) {
      std::string out = "\x81\xa0"s;
      return out + std::string(depth - 2, '\x91') + "\x90";
    };
    CHECK(decoded(chunk("\0\0"s + nested(64))).has_value());
    CHECK(refused(chunk("\0\0"s + nested(65))));
    const auto deep = chunk("\0\0"s + nested(65));
    CHECK(history::from_chunks(std::array{std::string_view{deep}}, 65).has_value());

    const auto first = chunk(item + "\1\0\x80"s);  // 5 and 6
    auto second = chunk(item);
    second[0] = 7;
    CHECK(history::from_chunks(std::array<std::string_view, 2>{first, second}).has_value());
    second[0] = 6;
    CHECK(!history::from_chunks(std::array<std::string_view, 2>{first, second}).has_value());
    CHECK(!history::from_chunks(std::array<std::string_view, 2>{first, ""}).has_value());
  }

  TEST_CASE("damaged chunks are refused or read as what they say and never crash the reader") {
    std::minstd_rand random(7);
    plain model;
    history h;
    for (std::uint64_t seq = 1; seq <= 12; ++seq)
      append(h, model,
             {seq * 3, times[seq % times.size()],
              value::map({{"a", value::array({1, "two", 3.0})}, {"b", seq * 1000}})});
    const std::string good{bytes_of(h)[0]};
    const auto check = [](const std::string& text) {
      const std::vector<char> exact(text.begin(), text.end());  // for the address sanitizer
      const std::string_view bytes(exact.data(), exact.size());
      const auto read = decoded(bytes);
      if (!read)
        return read.error().code == errc::damaged;
      std::uint64_t last = 0;
      std::size_t count = 0;
      for (const auto& item : *read) {
        if (item.seq <= last || item.fields.type() != troupe::value_type::map)
          return false;
        last = item.seq;
        count += item.fields.bytes().size() != 0;
      }
      return count == read->size() && bytes_of(*read)[0] == bytes;
    };
    for (std::size_t n = 0; n <= good.size(); ++n)
      REQUIRE(check(good.substr(0, n)));
    for (int round = 0; round != 20000; ++round) {
      auto text = good;
      for (auto i = random() % 4; i-- != 0;)
        text[random() % text.size()] = static_cast<char>(random());
      if (random() % 4 == 0)
        text.erase(random() % text.size(), random() % 5);
      if (random() % 4 == 0)
        text.insert(random() % text.size(), 1 + random() % 3, static_cast<char>(random()));
      REQUIRE(check(text));
    }
    for (int round = 0; round != 5000; ++round) {
      std::string text(random() % 60, '\0');
      for (auto& c : text)
        c = static_cast<char>(random() % 3 == 0 ? random() : random() % 4);
      REQUIRE(check(text));
    }
  }

  TEST_CASE("of two threads that append to the same history each sees only its own item") {
    constexpr int rounds = 3000;
    const auto base_item = map_of_bytes(40);
    std::vector<history> bases(rounds);
    for (auto& base : bases) {
      for (std::uint64_t seq = 1; seq <= 6; ++seq)  // there is room for more
        base.append(seq, {0}, base_item);
      base = base.take(5);
    }
    for (auto& base : bases)
      base.append(6, {0}, base_item);
    std::atomic<int> arrived = 0;
    std::atomic<int> wrong = 0;
    const auto work = [&](char letter) {
      const auto mine = map_of_bytes(40, letter);
      int round = 0;
      for (const auto& base : bases) {
        round += 2;
        ++arrived;
        for (int spins = 0; arrived < round; ++spins)
          if (spins > 1000)  // the other has no processor now
            std::this_thread::yield();
        auto fork = base;
        fork.append(7, {0}, mine);
        auto second = fork;
        second.append(8, {0}, mine);
        wrong += fork.size() != 7 || fork[6].fields != mine.view()
                 || second[6].fields != mine.view() || second[7].fields != mine.view();
      }
    };
    std::thread other(work, 'o');
    work('w');
    other.join();
    CHECK(wrong == 0);
    CHECK(std::all_of(bases.begin(), bases.end(), [](const auto& h) { return h.size() == 6; }));
  }

  TEST_CASE(
      "copies of a history can be read and forked by threads while the newest is appended to") {
    constexpr std::uint64_t total = 6000;
    std::mutex guard;
    std::condition_variable changed;
    std::deque<history> handed_over;
    bool finished = false;
    std::atomic<int> wrong = 0;
    const auto forked = map_of_bytes(70, 'f');

    const auto read = [&] {
      for (;;) {
        history h;
        {
          std::unique_lock lock(guard);
          changed.wait(lock, [&] { return finished || !handed_over.empty(); });
          if (handed_over.empty())
            return;
          h = std::move(handed_over.front());
          handed_over.pop_front();
        }
        auto fork = h;
        for (int i = 0; i != 3; ++i)
          fork.append(fork.last_seq() + 1, {0}, forked);
        std::uint64_t seq = 0;
        for (const auto& item : h.take(h.size())) {
          ++seq;
          wrong += item.seq != seq || item.fields.find("n")->as_uint64() != seq;
        }
        wrong += seq != h.size() || fork.back().fields != forked.view();
        wrong += shared_prefix(h, fork) > h.size();
        h.shrink_to_fit();
        wrong += h.size() != seq;
      }
    };
    std::array readers{std::thread(read), std::thread(read), std::thread(read)};
    history newest;
    for (std::uint64_t seq = 1; seq <= total; ++seq) {
      newest.append(seq, {0}, value::map({{"n", seq}, {"t", std::string(seq % 300, 't')}}));
      if (seq % 8 == 0) {
        const std::lock_guard lock(guard);
        handed_over.push_back(newest);
        if (handed_over.size() > 64)
          handed_over.pop_front();
        changed.notify_one();
      }
    }
    {
      const std::lock_guard lock(guard);
      finished = true;
      changed.notify_all();
    }
    for (auto& reader : readers)
      reader.join();
    CHECK(wrong == 0);
    CHECK(newest.size() == total);
    for (std::size_t i = 0; i != newest.size(); ++i)
      REQUIRE(newest[i].fields.find("n")->as_uint64() == i + 1);
  }
}
