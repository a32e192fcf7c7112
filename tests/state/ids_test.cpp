#include <troupe/state/ids.hpp>

#include "../support/generate.hpp"
#include "../support/printing.hpp"
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <unordered_set>

using namespace troupe;
using namespace troupe::testing;
using namespace std::string_literals;

namespace {

void refuses(const std::string& text, std::optional<std::uint64_t> limit = {}) {
  CAPTURE(to_hex(text));
  const auto id = checked_id(text);
  REQUIRE_FALSE(id);
  CHECK(id.error().code == errc::bad_id);
  CHECK(id.error().limit == limit);
  CHECK_FALSE(id.error().message.empty());
}

}  // namespace

TEST_CASE("an id is any text of 1 to 256 bytes without control characters") {
  for (const std::string& text :
       {"a"s, "../../etc/passwd"s, "/"s, "."s, " "s, "%2e"s, "\xc3\xa4"s, "\xc2\xa0"s,
        "\xf0\x9f\x98\x80"s, "~"s, "__proto__"s, std::string(256, 'x'), "a\"b\\c"s, "\xe2\x80\xa8"s,
        "\xc3\x80\xc3\x9f"s}) {
    CAPTURE(text);
    const auto id = checked_id(text);
    REQUIRE(id);
    CHECK(*id == text);
  }
}

TEST_CASE("an id that is empty or too long or not UTF-8 is refused") {
  refuses("");
  refuses(std::string(257, 'x'), 256);
  refuses("\xff");
  refuses("ok\xc3");
  refuses("\xed\xa0\x80");
}

TEST_CASE("an id with a control character is refused wherever it stands") {
  for (int c = 0; c < 0xa0; ++c) {
    std::string control;
    append_utf8(control, static_cast<std::uint32_t>(c));
    for (const auto& text : {control, "a" + control, control + "b", "a" + control + "b"}) {
      if (c < 0x20 || c >= 0x7f)
        refuses(text);
      else
        CHECK(checked_id(text));
    }
  }
}

TEST_CASE("an entity is told apart by each of its parts and equal ones hash equally") {
  const auto a = session_ref("x");
  CHECK(a == entity_ref{"default", entity_kind::session, "x"});
  const std::set<entity_ref> all{a,
                                 {"other", entity_kind::session, "x"},
                                 {"default", entity_kind::user, "x"},
                                 session_ref("y")};
  CHECK(all.size() == 4);
  const std::unordered_set<entity_ref> hashed(all.begin(), all.end());
  CHECK(hashed.size() == 4);
  CHECK(hashed.contains(session_ref("x")));
  std::set<std::size_t> hashes;
  for (const auto& ref : all)
    hashes.insert(std::hash<entity_ref>{}(ref));
  CHECK(hashes.size() == 4);
  CHECK(std::hash<entity_ref>{}({"a", entity_kind::session, "b"})
        != std::hash<entity_ref>{}({"b", entity_kind::session, "a"}));
  CHECK(entity_ref{"a", entity_kind::session, "z"} < entity_ref{"b", entity_kind::session, "a"});
  CHECK(entity_ref{"a", entity_kind::session, "z"} < entity_ref{"a", entity_kind::workflow, "a"});
}

TEST_CASE("an entity prints as namespace and kind and id") {
  CHECK(to_string(session_ref("abc")) == "default/session/abc");
  CHECK(to_string(entity_ref{"n", entity_kind::global, "g"}) == "n/global/g");
  CHECK(to_string(entity_kind::session) == "session");
  CHECK(to_string(entity_kind::workflow) == "workflow");
  CHECK(to_string(entity_kind::team) == "team");
  CHECK(to_string(entity_kind::user) == "user");
  CHECK(to_string(entity_kind::global) == "global");
}

TEST_CASE("the numbers of entity kinds stand on disk and never change") {
  CHECK(static_cast<int>(entity_kind::session) == 1);
  CHECK(static_cast<int>(entity_kind::workflow) == 2);
  CHECK(static_cast<int>(entity_kind::team) == 3);
  CHECK(static_cast<int>(entity_kind::user) == 4);
  CHECK(static_cast<int>(entity_kind::global) == 5);
}

TEST_CASE("a random id shows all 128 bits as 32 hexadecimal digits") {
  CHECK(id_from_random({0, 0}) == std::string(32, '0'));
  CHECK(id_from_random({0x0123456789abcdefull, 0xfedcba9876543210ull})
        == "0123456789abcdeffedcba9876543210");
  CHECK(id_from_random({~0ull, 1}) == "ffffffffffffffff0000000000000001");
}

TEST_CASE("the names and numbers of errors never change") {
  const std::vector<std::tuple<errc, int, std::string_view>> all{
      {errc::malformed, 1, "malformed"},
      {errc::bad_id, 2, "bad_id"},
      {errc::unknown_field, 3, "unknown_field"},
      {errc::wrong_type, 4, "wrong_type"},
      {errc::invalid_value, 5, "invalid_value"},
      {errc::too_deep, 6, "too_deep"},
      {errc::too_many_elements, 7, "too_many_elements"},
      {errc::too_large, 8, "too_large"},
      {errc::reserved_field, 9, "reserved_field"},
      {errc::not_found, 10, "not_found"},
      {errc::already_exists, 11, "already_exists"},
      {errc::revision_conflict, 12, "revision_conflict"},
      {errc::unsupported_media_type, 13, "unsupported_media_type"},
      {errc::method_not_allowed, 14, "method_not_allowed"},
      {errc::not_supported, 15, "not_supported"},
      {errc::quota_exceeded, 16, "quota_exceeded"},
      {errc::over_budget, 32, "over_budget"},
      {errc::looping, 33, "looping"},
      {errc::busy, 100, "busy"},
      {errc::draining, 101, "draining"},
      {errc::store_full, 102, "store_full"},
      {errc::remote_file_system, 105, "remote_file_system"},
      {errc::unauthenticated, 34, "unauthenticated"},
      {errc::rate_limited, 108, "rate_limited"},
      {errc::too_many_sessions, 109, "too_many_sessions"},
      {errc::store_failed, 103, "store_failed"},
      {errc::quarantined, 104, "quarantined"},
      {errc::responder_failed, 106, "responder_failed"},
      {errc::responder_timeout, 107, "responder_timeout"},
      {errc::outcome_unknown, 200, "outcome_unknown"},
      {errc::damaged, 201, "damaged"},
      {errc::newer_format, 202, "newer_format"},
      {errc::internal, 203, "internal"},
  };
  for (const auto& [code, number, name] : all) {
    CHECK(static_cast<int>(code) == number);
    CHECK(to_string(code) == name);
  }
  CHECK(to_string(static_cast<errc>(65535)) == "unknown");
}
