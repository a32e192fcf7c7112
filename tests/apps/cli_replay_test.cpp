#include <troupe/state/json.hpp>

#include "troupe/comparison.hpp"
#include "troupe/conversations.hpp"
#include "troupe/remote_session.hpp"
#include "troupe/replay_report.hpp"
#include <doctest/doctest.h>

#include <string>

using namespace troupe;
using namespace troupe::cli;
using namespace std::chrono_literals;

namespace {

value json(std::string_view text) {
  return value_from_json(text).value();
}

errc fault_of(std::string_view line) {
  const auto file = read_conversations(line, {});
  REQUIRE(file.conversations.empty());
  REQUIRE(file.faults.size() == 1);
  return file.faults[0].why.code;
}

/// Says what comes back of one told conversation.
struct fixture {
  conversation told{.id = "a", .user = "u", .messages = {json(R"({"n":1})"), json(R"({"n":2})")}};
  comparison result;

  void found(std::initializer_list<std::pair<std::uint64_t, const char*>> items,
             extra_items extra = extra_items::forbidden) {
    session_check check{result, told, told.messages.size(), extra};
    for (const auto& [seq, text] : items)
      check.item(seq, json(text));
    check.finish();
  }
};

}  // namespace

TEST_CASE("a line is a conversation and whatever other members it has") {
  const auto file = read_conversations(
      "\n{\"reward\":0.5,\"id\":\"a\",\"user\":\"u\",\"messages\":[{\"role\":\"user\"}]}\r\n"
      "{\"id\":\"b\",\"messages\":[]}",
      "x-");
  CHECK(file.faults.empty());
  REQUIRE(file.conversations.size() == 2);
  CHECK(file.conversations[0].id == "x-a");
  CHECK(file.conversations[0].user == "u");
  CHECK(file.conversations[0].messages.size() == 1);
  CHECK(file.conversations[0].line == 2);
  CHECK(file.conversations[1].id == "x-b");
  CHECK(file.conversations[1].user.empty());
}

TEST_CASE("a line that no session can take is refused before anything is written") {
  CHECK(fault_of("{") == errc::malformed);
  CHECK(fault_of("[]") == errc::wrong_type);
  CHECK(fault_of(R"({"messages":[]})") == errc::bad_id);
  CHECK(fault_of(R"({"id":"a\nb","messages":[]})") == errc::bad_id);
  CHECK(fault_of(R"({"id":7,"messages":[]})") == errc::wrong_type);
  CHECK(fault_of(R"({"id":"a","user":[],"messages":[]})") == errc::wrong_type);
  CHECK(fault_of(R"({"id":"a"})") == errc::wrong_type);
  CHECK(fault_of(R"({"id":"a","messages":["hi"]})") == errc::wrong_type);
  CHECK(fault_of(R"({"id":"a","messages":[{"seq":1}]})") == errc::reserved_field);
  CHECK(fault_of(R"({"id":"a","messages":[{"n":18446744073709551616}]})") == errc::invalid_value);
}

TEST_CASE("an id occurs once and an id that is only a prefix is none") {
  const auto twice =
      read_conversations("{\"id\":\"a\",\"messages\":[]}\n{\"id\":\"a\",\"messages\":[]}\n", {});
  REQUIRE(twice.faults.size() == 1);
  CHECK(twice.faults[0].line == 2);
  CHECK(twice.faults[0].why.code == errc::already_exists);
  CHECK(read_conversations(R"({"id":"","messages":[]})", "p-").faults.size() == 1);
}

TEST_CASE("a fault names its file and line and byte and place and cannot drive the terminal") {
  const auto file = read_conversations(
      "{\"id\":\"a\",\"messages\":[]}\n{\"id\":\"b\",\"messages\":[{},{\"at\":1}]}\n", {});
  REQUIRE(file.faults.size() == 1);
  CHECK(describe(file.faults[0], "a\x1b.jsonl")
        == "a\\x1b.jsonl:2: (byte 25) reserved_field at /messages/1/at: 'at' belongs to Troupe");
}

TEST_CASE("a file of faults is not read to its end") {
  std::string text;
  for (int i = 0; i < 1'000; ++i)
    text += "{\n";
  CHECK(read_conversations(text, {}).faults.size() == max_faults);
}

TEST_CASE_FIXTURE(fixture, "what came back as it was told is no mismatch") {
  found({{1, R"({"n":1})"}, {2, R"({"n":2})"}});
  CHECK(result.mismatches == 0);
  CHECK(result.sessions == 1);
  CHECK(result.items == 2);
}

TEST_CASE_FIXTURE(fixture, "every way of coming back different is a mismatch") {
  SUBCASE("a value") {
    found({{1, R"({"n":1})"}, {2, R"({"n":2.0})"}});
  }
  SUBCASE("a number") {
    found({{1, R"({"n":1})"}, {3, R"({"n":2})"}});
  }
  SUBCASE("one too few") {
    found({{1, R"({"n":1})"}});
  }
  SUBCASE("one too many") {
    found({{1, R"({"n":1})"}, {2, R"({"n":2})"}, {3, R"({"n":2})"}});
  }
  SUBCASE("a field more") {
    found({{1, R"({"n":1,"m":null})"}, {2, R"({"n":2})"}});
  }
  SUBCASE("nothing") {
    session_check{result, told, 2, extra_items::forbidden}.missing();
  }
  SUBCASE("another user") {
    session_check check{result, told, 0, extra_items::forbidden};
    check.user("v");
    check.finish();
  }
  CHECK(result.mismatches == 1);
  CHECK(result.first.size() == 1);
}

TEST_CASE_FIXTURE(fixture, "items exchanged are two mismatches") {
  found({{1, R"({"n":2})"}, {2, R"({"n":1})"}});
  CHECK(result.mismatches == 2);
}

TEST_CASE_FIXTURE(fixture, "items that were added later are told apart where they are allowed") {
  found({{1, R"({"n":1})"}, {2, R"({"n":2})"}, {3, R"({"mine":1})"}}, extra_items::allowed);
  CHECK(result.mismatches == 0);
  CHECK(result.extra == 1);
  found({{1, R"({"n":1})"}}, extra_items::allowed);
  CHECK(result.mismatches == 1);
}

TEST_CASE("a difference is named where it is") {
  const auto difference = [](const char* a, const char* b) {
    return first_difference(json(a), json(b));
  };
  CHECK(difference("[1,2]", "[1,2]").empty());
  CHECK(difference(R"({"a":{"b":[1,2]}})", R"({"a":{"b":[1,3]}})")
        == "at /a/b/1: expected 2, found 3");
  CHECK(difference(R"({"a":1})", R"({"a":1,"b/c":2})") == "at /b~1c: expected nothing, found 2");
  CHECK(difference("[1,2]", "[1]") == "at /1: expected 2, found nothing");
  CHECK(difference("0.0", "-0.0") == "at the root: expected 0.0, found -0.0");
  CHECK(difference("[1]", R"({"0":1})") == "at the root: expected [1], found {\"0\":1}");
}

TEST_CASE("an item's own fields are all but the two of Troupe") {
  CHECK(own_fields(json(R"({"seq":1,"at":"2026-01-02T03:04:05.678Z","role":"user","x":{"seq":2}})"))
        == json(R"({"role":"user","x":{"seq":2}})"));
}

TEST_CASE("a report is good only when everything was compared and is equal") {
  replay_report report;
  CHECK_FALSE(report.good());
  report.compared = comparison{};
  CHECK_FALSE(report.good());
  report.compared->complete = true;
  CHECK(report.good());
  report.compared->mismatches = 1;
  CHECK_FALSE(report.good());
  report.compared->mismatches = 0;
  report.interrupted = true;
  CHECK_FALSE(report.good());
}

TEST_CASE("the table and the JSON tell the same") {
  replay_report report{
      .target = "dir", .sessions = 2, .items = 1'500, .bytes = 2'000'000, .parallel = 64};
  report.written =
      write_result{.sessions = 2, .items = 1'500, .elapsed = 500ms, .p50 = 1'500us, .p99 = 20ms};
  report.reopened = 3ms;
  report.compared = comparison{};
  report.compared->items = 1'500;
  report.compared->complete = true;
  const auto text = render_table(report);
  for (const char* part :
       {"durable turns/s  3,000\n", "append p50       1.50 ms\n", "mismatches       0: every item"})
    CHECK_MESSAGE(text.find(part) != std::string::npos, text);
  const auto object = json(render_json(report));
  CHECK(object.view().find("durable_turns_per_s")->as_real() == 3000.0);
  CHECK(object.view().find("append_p50_us")->as_real() == 1500.0);
  CHECK(object.view().find("mismatches")->as_uint64() == 0);
  CHECK(object.view().find("ok")->as_bool() == true);
}
