#include <troupe/state/json.hpp>

#include "troupe/conversations.hpp"
#include "troupe/demo_data.hpp"
#include "troupe/demo_writer.hpp"
#include "troupe/history_view.hpp"
#include "troupe/inspect_text.hpp"
#include <doctest/doctest.h>

#include <string>

using namespace troupe;
using namespace troupe::cli;
using namespace std::chrono_literals;

namespace {

entity_state session_of(std::initializer_list<const char*> items) {
  entity_state out;
  out.status = lifecycle::live;
  out.revision = 7;
  for (const char* text : items)
    out.items.append(++out.last_seq, timestamp{1'000}, value_from_json(text).value());
  return out;
}

}  // namespace

TEST_CASE("a history is a line for each message and with calls and their results in one") {
  const auto session =
      session_of({R"({"role":"user","content":"Hi\nthere"})",
                  R"({"role":"assistant","content":null,"tool_calls":[{"function":{"name":"a"}},)"
                  R"({"function":{"name":"a"}},{"function":{"name":"b"}}]})",
                  R"({"role":"tool","content":"12345"})", R"({"role":"tool","content":"123"})",
                  R"({"role":"assistant","content":[{"type":"text","text":"Done"}]})"});
  CHECK(render_history(session, {.columns = 80})
        == "user       Hi there\n"
           "assistant  [a x2, b: 2 results, 8 B]\n"
           "assistant  Done\n");
}

TEST_CASE("a history cannot drive the terminal and shows items of any shape") {
  const auto session =
      session_of({R"({"role":"us\u001ber","content":"\u001b[2J\u009b"})", R"({"x":"\u007f"})",
                  R"({"role":"assistant","tool_calls":[{"function":{"name":"\u001b"}},5,{}]})"});
  const auto text = render_history(session, {.columns = 80});
  for (const char* raw : {"\x1b", "\xc2\x9b", "\x7f"})
    CHECK_MESSAGE(text.find(raw) == std::string::npos, text);
  CHECK(text.find(R"(\x1b[2J)") != std::string::npos);
  CHECK(text.find(R"({"x":)") != std::string::npos);
}

TEST_CASE("a long history is cut and says so") {
  const auto session =
      session_of({R"({"role":"user","content":"1"})", R"({"role":"user","content":"2"})",
                  R"({"role":"user","content":"3"})"});
  CHECK(render_history(session, {.columns = 80, .max_lines = 1})
        == "user       1\n           ... and 2 more items\n");
}

TEST_CASE("a history with a shortened text says how to see all of it and no other does") {
  const auto session = session_of({R"({"role":"user","content":"one two three four five six"})"});
  const history_style narrow{.columns = 32, .whole = "(--json has all)"};
  CHECK(render_history(session, narrow)
        == "user       one two three fou...\n           (--json has all)\n");
  CHECK(render_history(session, {.columns = 80, .whole = "(--json has all)"})
        == "user       one two three four five six\n");
}

TEST_CASE("a session as JSON is the same in both layouts and reads back") {
  auto session = session_of({R"({"role":"user","content":"\u009b"})"});
  session.entries.set(entry_key{section::state, "k"}.str(), {value{1.0}, 3});
  const auto entity = session_ref("a\"b");
  const auto compact = entity_json(entity, session, json_layout::compact);
  const auto lines = entity_json(entity, session, json_layout::lines);
  CHECK(compact.find('\n') == std::string::npos);
  CHECK(compact.find("\xc2\x9b") == std::string::npos);
  const auto read = value_from_json(compact).value();
  CHECK(read == value_from_json(lines).value());
  CHECK(read.view().find("id")->as_string() == "a\"b");
  CHECK(read.view().find("state")->find("k")->as_real() == 1.0);
  CHECK(read.view().find("items")->size() == 1);
  CHECK(to_json(*read.view().find("items")).find(R"("seq":1,"at":"1970-01-01T00:00:01.000Z")")
        != std::string::npos);
}

TEST_CASE("what a change did is told in words and by names") {
  const change what{
      .revision = 1,
      .at = {},
      .events = {entity_created{}, items_appended{1, {value::map({}), value::map({})}},
                 entry_set{section::state, "a\x1b", value{1}}, entry_erased{section::state, "b"},
                 entity_deleted{}}};
  CHECK(describe_events(what)
        == "created, items_appended 2, state_set a\\x1b, state_erased b, deleted");
  CHECK(events_json(what)
        == R"(["created","items_appended","state_set","state_erased","deleted"])");
}

TEST_CASE("what the demo's writer tells arrives as it was told") {
  const demo_written told{
      .items = 596,
      .earlier = 3,
      .elapsed = 12ms,
      .p50 = 5us,
      .p99 = 7us,
      .last_acknowledgement = std::chrono::steady_clock::time_point{123456789ns}};
  const auto read = demo_written_from(to_line(told));
  REQUIRE(read.has_value());
  CHECK(read->items == told.items);
  CHECK(read->earlier == told.earlier);
  CHECK(read->elapsed == told.elapsed);
  CHECK(read->p50 == told.p50);
  CHECK(read->p99 == told.p99);
  CHECK(read->last_acknowledgement == told.last_acknowledgement);
  CHECK_FALSE(demo_written_from("interrupted").has_value());
}

TEST_CASE("the demo's own conversations are fit to be written") {
  const auto file = read_conversations(demo_conversations, {});
  CHECK(file.faults.empty());
  CHECK(file.conversations.size() == 7);
}
