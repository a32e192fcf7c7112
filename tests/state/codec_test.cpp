#include <troupe/state/codec.hpp>

#include "../support/golden.hpp"
#include "../support/sessions.hpp"
#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr timestamp at{1'767'323'045'678};  // 2026-01-02T03:04:05.678Z

/// One change of each kind of event, by the name of its golden file.
std::vector<std::pair<std::string, change>> one_of_each() {
  return {
      {"change_session_created.hex",
       {1, at, {session_created{"ann", json(R"({"tags":["x"],"n":1})")}}}},
      {"change_session_deleted.hex", {300, at, {session_deleted{}}}},
      {"change_items_appended.hex",
       {2, at, {items_appended{7, {json(R"({"role":"user","content":"h\u00e4"})"), json("{}")}}}}},
      {"change_key_set.hex", {70'000, at, {key_set{"k", json(R"([1,1.0,-1,null,true,"",{}])")}}}},
      {"change_key_deleted.hex", {5'000'000'000, {-1}, {key_deleted{""}}}},
      {"change_several_events.hex",
       {6, at, {key_set{"a", value::binary("\x00\xff")}, key_deleted{"b"}, key_set{"a", 2}}}},
      {"change_without_events.hex", {0, {0}, {}}},
  };
}

session_state sample_session() {
  session_fixture s;
  s.now = at;
  s.does(create_session{"ann", json(R"({"tags":["x"]})")});
  ++s.now.ms;
  s.append({json(R"({"role":"user","content":"hi"})"), json("{}")});
  ++s.now.ms;
  s.does(patch_state{{set_key{"b", json("[1,1.0]")}, set_key{"a", json(R"({"y":null,"x":-1})")}}});
  s.set("", 18446744073709551615u);
  return s.state;
}

session_state deleted_session() {
  session_fixture s;
  s.now = at;
  s.create();
  s.set("a", 1);
  s.does(delete_session{});
  return s.state;
}

void refuses_change(std::string_view hex, errc code) {
  CAPTURE(hex);
  const auto out = decode_change(from_hex(hex));
  REQUIRE_FALSE(out);
  CHECK(out.error().code == code);
  CHECK_FALSE(out.error().message.empty());
}

void refuses_session(std::string_view bytes, errc code) {
  CAPTURE(to_hex(bytes));
  const auto out = decode_session(bytes);
  REQUIRE_FALSE(out);
  CHECK(out.error().code == code);
  CHECK_FALSE(out.error().message.empty());
}

/// Looks at everything, so that a sanitizer sees what a reader would touch.
void look_through(const session_state& x) {
  auto size = to_json(x.metadata).size() + to_rfc3339(x.created).size()
              + to_rfc3339(x.last_activity).size();
  for (const auto& item : x.items)
    size += to_json(item.fields).size() + to_rfc3339(item.at).size();
  for (const auto& [key, entry] : x.entries)
    size += key.size() + to_json(entry.data).size();
  RC_ASSERT(size > 0u);
  const auto again = decode_session(encode(x));
  RC_ASSERT(again.has_value());
  RC_ASSERT(encode(*again) == encode(x));
}

void look_through(const change& x) {
  RC_ASSERT(!describe(x).empty());
  RC_ASSERT(encode(decode_change(encode(x)).value()) == encode(x));
}

std::string exact(std::string_view bytes, std::size_t size) {
  return std::string{bytes.substr(0, size)};
}

}  // namespace

TEST_CASE("the bytes of each kind of change never change") {
  for (const auto& [name, what] : one_of_each())
    check_golden(name, encode(what));
}

TEST_CASE("the bytes of a session never change") {
  check_golden("session_live.hex", encode(sample_session()));
  check_golden("session_deleted.hex", encode(deleted_session()));
  check_golden("session_absent.hex", encode(session_state{}));
}

TEST_CASE("stored changes are read as what they were") {
  for (const auto& [name, what] : one_of_each()) {
    CAPTURE(name);
    const auto read = decode_change(golden(name));
    REQUIRE(read);
    CHECK(read->revision == what.revision);
    CHECK(read->at == what.at);
    CHECK(describe(*read) == describe(what));
    CHECK(encode(*read) == encode(what));
  }
}

TEST_CASE("stored sessions are read as what they were") {
  CHECK(decode_session(golden("session_live.hex")) == sample_session());
  CHECK(decode_session(golden("session_deleted.hex")) == deleted_session());
  CHECK(decode_session(golden("session_absent.hex")) == session_state{});
  CHECK(decode_session(golden("session_live.hex"))->bytes == sample_session().bytes);
}

TEST_CASE("the numbers of events and of lifecycles stand on disk") {
  CHECK(int{session_created::number} == 1);
  CHECK(int{session_deleted::number} == 2);
  CHECK(int{items_appended::number} == 3);
  CHECK(int{key_set::number} == 4);
  CHECK(int{key_deleted::number} == 5);
  CHECK(static_cast<int>(lifecycle::absent) == 0);
  CHECK(static_cast<int>(lifecycle::live) == 1);
  CHECK(static_cast<int>(lifecycle::deleted) == 2);
  CHECK(int{oldest_codec_version} == 1);
  CHECK(int{current_codec_version} == 1);
}

TEST_CASE("a document of a newer version is refused as newer_format") {
  refuses_change(
      "94020100"
      "90",
      errc::newer_format);
  refuses_change("9102", errc::newer_format);
  refuses_change("91cd0100", errc::newer_format);
  refuses_change("91cfffffffffffffffff", errc::newer_format);
  for (const auto* hex : {"9a02", "9102", "917f", "91cfffffffffffffffff"})
    if (from_hex(hex)[0] == '\x91')
      refuses_session(from_hex(hex), errc::newer_format);
  auto session = encode(sample_session());
  session[1] = 2;
  refuses_session(session, errc::newer_format);
  CHECK(decode_session(session).error().message
        == "a session has version 2; this build reads up to 1");
  CHECK(restore_session(session, {}).error().code == errc::newer_format);
  CHECK(fold_session(session, {}).error().code == errc::newer_format);
  CHECK(restore_session("", {from_hex("9402010090")}).error().code == errc::newer_format);
  CHECK(fold_session("", {from_hex("9402010090")}).error().code == errc::newer_format);
}

TEST_CASE("a document without a version is damaged") {
  CHECK(decode_change({}).error().code == errc::damaged);
  CHECK(decode_session({}).error().code == errc::damaged);
  for (const char* hex : {"", "c0", "01", "80", "90", "a0", "9100", "91c0", "91ff", "91a101",
                          "91cb3ff0000000000000", "81a0c0", "c1"}) {
    refuses_change(hex, errc::damaged);
    refuses_session(from_hex(hex), errc::damaged);
  }
  refuses_change("9400010090", errc::damaged);  // whole, but for its version 0
  auto session = encode(sample_session());
  session[1] = 0;
  refuses_session(session, errc::damaged);
}

TEST_CASE("a change that lacks a field or has one of another type is damaged") {
  REQUIRE(
      decode_change(from_hex("94010100"
                             "90")));
  for (const char* hex : {"9101",
                          "920101",
                          "93010100",
                          "9401ff0090",
                          "9401a00090",
                          "940101c090",
                          "940101a090",
                          "94010100c0",
                          "9401010080",
                          "94010100"
                          "91c0",
                          "94010100"
                          "9190",
                          "94010100"
                          "9100",
                          "94010100"
                          "9180",
                          "94010100"
                          "9191c0",
                          "94010100"
                          "9191a0",
                          "94010100"
                          "919100",
                          "94010100"
                          "919106",
                          "94010100"
                          "9191cd0101",  // no such event
                          "94010100"
                          "919101",
                          "94010100"
                          "919201a0",
                          "94010100"
                          "919301c080",
                          "94010100"
                          "919301a090",
                          "94010100"
                          "919301a0c0",
                          "94010100"
                          "919103",
                          "94010100"
                          "91920301",
                          "94010100"
                          "91930301c0",
                          "94010100"
                          "91930301"
                          "80",
                          "94010100"
                          "919303a090",
                          "94010100"
                          "9193030191c0",
                          "94010100"
                          "919303019280"
                          "05",
                          "94010100"
                          "919104",
                          "94010100"
                          "919204a0",
                          "94010100"
                          "919304c0c0",
                          "94010100"
                          "919105",
                          "94010100"
                          "919205c0",
                          "94010100"
                          "92"
                          "9102"
                          "9106",
                          "94010100"
                          "90"
                          "00"})
    refuses_change(hex, errc::damaged);
}

TEST_CASE("fields behind the known ones are skipped") {
  CHECK(describe(*decode_change(from_hex("95010200"
                                         "91"
                                         "9402"
                                         "c0c0c0"
                                         "a3616263")))
        == "2 @ 0: deleted");
  CHECK(describe(*decode_change(from_hex("94010200"
                                         "91"
                                         "9305a161"
                                         "81a0c0")))
        == "2 @ 0: delete a");
  auto session = encode(deleted_session());
  session[0] = '\x9b';
  CHECK(decode_session(session + '\x07') == deleted_session());
}

TEST_CASE("a session that lacks a field or has one of another type is damaged") {
  const auto session = [](const std::vector<value>& fields) {
    return std::string{array_of(fields).bytes()};
  };
  const auto item = value::array({1, 2, value::map({})}), entry = value::array({"k", 1, 2});
  const std::vector<value> good{
      1, 1, 3, 1000, 2000, "ann", value::map({}), 1, value::array({item}), value::array({entry})};
  REQUIRE(decode_session(session(good)));
  for (std::size_t size = 0; size < good.size(); ++size)
    refuses_session(session({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}),
                    errc::damaged);
  const auto with = [&](std::size_t i, const value& x) {
    auto fields = good;
    fields[i] = x;
    return session(fields);
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    refuses_session(with(i, value{}), errc::damaged);
    refuses_session(with(i, value{1.0}), errc::damaged);
    refuses_session(with(i, value::binary("x")), errc::damaged);
  }
  refuses_session(with(1, 3), errc::damaged);
  refuses_session(with(1, 257), errc::damaged);
  refuses_session(with(2, -1), errc::damaged);
  refuses_session(with(3, 9223372036854775808u), errc::damaged);
  refuses_session(with(6, value::array({})), errc::damaged);
  refuses_session(with(7, -1), errc::damaged);
  refuses_session(with(8, value::map({})), errc::damaged);
  refuses_session(with(9, value::map({})), errc::damaged);
  for (const value& bad :
       {value{}, value{1}, value::array({}), value::array({1}), value::array({1, 2}),
        value::array({-1, 2, value::map({})}), value::array({1, "2", value::map({})}),
        value::array({1, 2, 3}), value::array({1, 2, value::array({})})}) {
    refuses_session(with(8, value::array({bad})), errc::damaged);
    refuses_session(with(8, value::array({item, bad})), errc::damaged);
  }
  for (const value& bad :
       {value{}, value{1}, value::array({}), value::array({"k"}), value::array({"k", 1}),
        value::array({1, 1, 1}), value::array({"k", -1, 1}), value::array({"k", "1", 1})}) {
    refuses_session(with(9, value::array({bad})), errc::damaged);
    refuses_session(with(9, value::array({entry, bad})), errc::damaged);
  }
  refuses_session(with(9, value::array({entry, entry})), errc::damaged);  // a key twice
  refuses_session(session(good) + "x", errc::damaged);
}

TEST_CASE("whatever may be decided may be stored and read again") {
  value_writer deepest;
  for (int i = 0; i < 63; ++i)
    deepest.begin_array(1);
  session_fixture s;
  const auto map = value::map({{"a", deepest.integer(1).finish()}});
  s.does(create_session{"ann", map});
  s.append({map});
  s.set("k", map);
  s.merge(R"({"l":{"m":1}})");
  for (const auto& what : s.history)
    CHECK(describe(decode_change(encode(what)).value()) == describe(what));
  CHECK(decode_session(encode(s.state)) == s.state);
}

TEST_CASE("a random history is stored and folded without loss") {
  holds("round trip and fold", [] {
    const auto [state, changes] = any_history(60);
    std::vector<std::string> stored;
    for (const auto& what : changes) {
      stored.push_back(encode(what));
      const auto read = decode_change(stored.back());
      RC_ASSERT(read.has_value());
      RC_ASSERT(describe(*read) == describe(what));
      RC_ASSERT(encode(*read) == stored.back());
    }
    const auto snapshot = encode(state);
    const auto read = decode_session(snapshot);
    RC_ASSERT(read.has_value());
    RC_ASSERT(*read == state);
    RC_ASSERT(read->bytes == state.bytes);
    RC_ASSERT(encode(*read) == snapshot);
    RC_ASSERT(fold_session("", stored) == snapshot);
    RC_ASSERT(*restore_session("", stored) == state);
    RC_ASSERT(fold_session(snapshot, {}) == snapshot);
    // Any cut between snapshot and changes gives the same.
    const auto cut = *rc::gen::inRange<std::size_t>(0, stored.size() + 1);
    const auto middle = stored.begin() + static_cast<std::ptrdiff_t>(cut);
    const auto first = fold_session("", {stored.begin(), middle});
    RC_ASSERT(first.has_value());
    RC_ASSERT(fold_session(*first, {middle, stored.end()}) == snapshot);
    RC_ASSERT(*restore_session(*first, {middle, stored.end()}) == state);
  });
}

TEST_CASE("a fold of nothing is a session that never was") {
  CHECK(fold_session("", {}) == encode(session_state{}));
  CHECK(restore_session("", {}) == session_state{});
}

TEST_CASE("a fold that meets a damaged snapshot or change is refused") {
  const auto good = encode(change{1, at, {session_created{"", value::map({})}}});
  CHECK(fold_session("x", {good}).error().code == errc::damaged);
  CHECK(fold_session("", {good, "x"}).error().code == errc::damaged);
  CHECK(fold_session("", {"", good}).error().code == errc::damaged);
  CHECK(restore_session("x", {}).error().code == errc::damaged);
  CHECK(restore_session("", {good, good + good}).error().code == errc::damaged);
}

TEST_CASE("a document cut short anywhere is damaged") {
  const auto session = encode(sample_session());
  for (std::size_t size = 0; size < session.size(); ++size)
    CHECK(decode_session(exact(session, size)).error().code == errc::damaged);
  for (const auto& [name, what] : one_of_each()) {
    const auto bytes = encode(what);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK(decode_change(exact(bytes, size)).error().code == errc::damaged);
  }
}

TEST_CASE("a document with a flipped byte is read or refused and never crashes the reader") {
  std::size_t flips = 0, read = 0;
  holds("byte flips", [&](std::uint64_t seed) {
    std::mt19937_64 random{seed};
    const auto flip = [&](std::string bytes) {
      for (auto n = random() % 3 + 1; n > 0; --n)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      ++flips;
      return bytes;
    };
    const auto plain = [](errc code) {
      return code == errc::damaged || code == errc::newer_format;
    };
    static const auto session = encode(sample_session());
    static const auto changes = one_of_each();
    for (int i = 0; i < 100; ++i) {
      if (const auto x = decode_session(flip(session))) {
        look_through(*x);
        ++read;
      } else {
        RC_ASSERT(plain(x.error().code));
      }
      if (const auto x = decode_change(flip(encode(changes[random() % changes.size()].second)))) {
        look_through(*x);
        look_through(evolve(sample_session(), *x));
        ++read;
      } else {
        RC_ASSERT(plain(x.error().code));
      }
    }
  });
  CHECK(flips >= 10'000);
  MESSAGE(flips, " flips: ", read, " read and the rest refused");
}

TEST_CASE("random bytes are no document") {
  holds("random bytes", [](const std::string& bytes) {
    const auto x = decode_change(bytes);
    RC_ASSERT(x.has_value() || x.error().code == errc::damaged
              || x.error().code == errc::newer_format);
    const auto y = decode_session(bytes);
    RC_ASSERT(y.has_value() || y.error().code == errc::damaged
              || y.error().code == errc::newer_format);
  });
}
