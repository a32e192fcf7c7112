#include <troupe/state/codec.hpp>
#include <troupe/state/transfer.hpp>
#include <troupe/state/workflow.hpp>

#include "../support/generate.hpp"
#include "../support/golden.hpp"
#include "../support/random_entities.hpp"

#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr timestamp at{1'767'323'045'678};  // 2026-01-02T03:04:05.678Z

/// An entity that is told what to do, one second apart.
struct entity_fixture {
  entity_ref ref = session_ref("demo");
  entity_state state{};
  timestamp now = at;

  entity_fixture& does(operation op) {
    const auto* earlier = &kept;
    auto decided = decide(state, {ref, {std::move(op)}}, {.now = now, .versions = earlier});
    REQUIRE_MESSAGE(decided.has_value(), (decided ? error{} : decided.error()));
    if (decided->answer.changed)
      kept.push(decided->next, now);
    state = decided->next;
    now.ms += 1000;
    return *this;
  }
  timeline kept{entity_state{}};
};

value json(std::string_view text) {
  auto out = value_from_json(text);
  REQUIRE_MESSAGE(out.has_value(), text);
  return *out;
}

// doc:begin move-entities
/// All entities into one file, never more than one line in memory.
void save(std::ostream& file, const std::vector<troupe::exported_entity>& entities) {
  for (const auto& [ref, state] : entities)
    troupe::export_jsonl(ref, state, [&](std::string_view line) { file << line; });
}

/// All of them back, or the line and the path of what is wrong.
troupe::expected<std::vector<troupe::exported_entity>> load(std::istream& file) {
  return troupe::import_jsonl(std::string{std::istreambuf_iterator<char>{file}, {}});
}
// doc:end move-entities

// A session with some of everything; its exports stand in tests/golden.
entity_fixture sample_session() {
  entity_fixture s;
  s.does(create{.info = {.user = "ann",
                         .team = "red",
                         .metadata = json(R"({"title":"A | B"})"),
                         .tags = {"x", "y_z"}}});
  s.does(append_items{
      {json(R"({"role":"user","content":"Show me ``` and ````text\n```\n# no heading"})"),
       json(R"({"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",)"
            R"("function":{"name":"look_up","arguments":"{\"q\":1}"}}],"cost":0.1})")}});
  s.does(append_items{
      {json(R"({"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"42"}]})"),
       json(R"({"timestamp":"2026-01-02T03:04:05.678Z","user_request":"why","agent":"a",)"
            R"("response":"so","escalations":[{"source_agent":"a","target_agent":"b",)"
            R"("reason":"too *hard*","timestamp":"2026-01-02T03:04:05.679Z"}],"duration_ms":15})"),
       json(R"({"free":[1,1.0,-0.0]})")}});
  s.does(patch_state{
      {set_key{"bytes", value::array({value::binary(std::string_view{"\x00\xff\x10", 3}),
                                      value::binary("")})},
       set_key{"looks like", value::map({{"$binary", "AP8Q"}})},
       set_key{"escaped", value::map({{"$$binary", value::map({{"$binary", 1}})}})},
       set_key{"wide", value::array({~0ull, std::numeric_limits<std::int64_t>::min(), 1e300})},
       set_key{.key = "a|b`c\n", .data = value{"<b>\\\"\n|"}, .ttl_ms = 60'000},
       set_key{std::string{"nul\0", 4}, value{std::string{"\0", 1}}}}});
  s.does(put_todos{{{"t1", "write *tests*", todo_status::completed, todo_priority::high},
                    {"t2", "[x] look | again", todo_status::in_progress, todo_priority::low}}});
  s.does(record_usage{10, 20});
  s.does(update_notebook{.id = "nb", .cell_count = 3, .variables = json(R"({"df":"DataFrame"})")});
  s.does(create_checkpoint{.id = "cp", .name = "before", .tags = {"keep"}, .metadata = json("{}")});
  s.does(patch_state{{set_key{"undone", value{1}}}});
  s.does(undo{1});
  s.does(record_call{"look_up", json(R"({"q":1})"), false});
  return s;
}

entity_fixture sample_workflow() {
  entity_fixture w;
  w.ref = {"default", entity_kind::workflow, "build"};
  w.does(create{});
  w.does(define_nodes{{{"fetch", {}}, {"te|st", {"fetch"}}}});
  w.does(update_node{.id = "fetch", .status = node_status::running});
  w.does(update_node{.id = "fetch", .status = node_status::done, .result = value::binary("\xff")});
  return w;
}

entity_fixture sample_team() {
  entity_fixture t;
  t.ref = {"default", entity_kind::team, "red"};
  t.does(create{});
  t.does(add_member{"ann", "lead"});
  t.does(add_member{"bob", "# dev"});
  t.does(send_message{"ann", std::nullopt, value{"hi"}});
  t.does(send_message{"bob", "ann", json(R"({"ok":true})")});
  return t;
}

/// Text as it is, beside the hexadecimal files.
void check_golden_text(const std::string& name, const std::string& text) {
  if (const char* regenerate = std::getenv("TROUPE_REGENERATE_GOLDEN");
      regenerate && std::string_view{regenerate} == "1") {
    std::ofstream out{golden_path(name), std::ios::binary};
    REQUIRE((out << text).flush());
  }
  std::ifstream in{golden_path(name), std::ios::binary};
  REQUIRE_MESSAGE(in.is_open(), "no golden file ", golden_path(name).string());
  CHECK_MESSAGE((std::string{std::istreambuf_iterator<char>{in}, {}} == text), name);
}

void check_same(const exported_entity& a, const entity_ref& ref, const entity_state& state) {
  RC_ASSERT(a.ref == ref);
  RC_ASSERT(a.state == state);
  RC_ASSERT(encode(a.state) == encode(state));
}

/// The lines of an export, to be told otherwise.
struct lines {
  std::vector<std::string> all;

  explicit lines(const std::string& text) {
    for (std::size_t from = 0; from < text.size();) {
      const auto end = text.find('\n', from);
      all.push_back(text.substr(from, end - from));
      from = end + 1;
    }
  }
  /// REQUIRES: the line holds `before`.
  lines with(std::size_t line, std::string_view before, std::string_view after) const {
    auto out = *this;
    auto& text = out.all.at(line - 1);
    const auto found = text.find(before);
    REQUIRE_MESSAGE(found != std::string::npos, before, " is not in ", text);
    text.replace(found, before.size(), after);
    return out;
  }
  /// The number of the first line that holds the text.
  std::size_t of(std::string_view text) const {
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].find(text) != std::string::npos)
        return i + 1;
    }
    FAIL_CHECK("no line has ", text);
    return 1;
  }
  std::string str() const {
    std::string out;
    for (const auto& line : all)
      out += line + '\n';
    return out;
  }
};

error refused(const std::string& text, const import_limits& limits = {}) {
  const auto out = import_jsonl(text, limits);
  REQUIRE_FALSE_MESSAGE(out.has_value(), text);
  return out.error();
}

error refused(const lines& text) {
  return refused(text.str());
}

const std::string header =
    R"({"troupe":1,"namespace":"default","kind":"session","id":"s","status":"live","revision":3,)"
    R"("first_revision":1,"content_revision":3,"created_ms":5,"last_activity_ms":6,"last_seq":2,)"
    R"("redo":null,"entries":2,"items":2})";
const std::string small_export =
    header + '\n' + R"({"in":"state","key":"a","revision":2,"expires_ms":0,"value":1})" + '\n'
    + R"({"in":"state","key":"b","revision":3,"expires_ms":7,"value":[{"$binary":"AA=="}]})" + '\n'
    + R"({"seq":1,"at_ms":5,"fields":{"role":"user"}})" + '\n'
    + R"({"seq":2,"at_ms":6,"fields":{}})" + '\n';

/// The small export with one piece of its text another.
error refused_with(std::string_view before, std::string_view after) {
  CAPTURE(before);
  CAPTURE(after);
  const lines all{small_export};
  return refused(all.with(all.of(before), before, after));
}

}  // namespace

TEST_CASE("a random entity of any scope comes back from JSON Lines exactly") {
  std::map<std::string, int> seen;
  holds("import(export(x)) == x", [&](std::uint64_t seed) {
    dice d{seed};
    const auto x = any_entity(d, d.below(60));
    ++seen[std::string{to_string(x.ref.kind)}];
    seen["redo"] += x.state.redo.is_null() ? 0 : 1;
    seen["fork"] += lineage_of(x.state) ? 1 : 0;
    seen["deleted"] += x.state.status == lifecycle::deleted ? 1 : 0;
    seen["items"] += x.state.items.empty() ? 0 : 1;
    const auto text = export_jsonl(x.ref, x.state);
    const auto read = import_jsonl(text);
    if (!read)
      RC_FAIL(read.error().message + " at " + read.error().path + "\n" + text);
    RC_ASSERT(read->size() == 1u);
    check_same(read->front(), x.ref, x.state);
    RC_ASSERT(export_jsonl(read->front().ref, read->front().state) == text);
  });
  for (const auto* what :
       {"session", "workflow", "team", "user", "global", "redo", "fork", "deleted", "items"})
    CHECK_MESSAGE(seen[what] > 0, what);
}

TEST_CASE("a random entity of any scope comes back from msgpack exactly") {
  holds("import(export(x)) == x", [](std::uint64_t seed) {
    dice d{seed};
    const auto x = any_entity(d, d.below(60));
    const auto bytes = export_msgpack(x.ref, x.state);
    const auto read = import_msgpack(bytes);
    if (!read)
      RC_FAIL(read.error().message + " at " + read.error().path);
    RC_ASSERT(read->size() == 1u);
    check_same(read->front(), x.ref, x.state);
    RC_ASSERT(export_msgpack(read->front().ref, read->front().state) == bytes);
  });
}

TEST_CASE("several entities in one file come back in their order") {
  holds("a list", [](std::uint64_t seed) {
    dice d{seed};
    std::vector<named_entity> all;
    std::string text, bytes;
    for (std::size_t i = 0; i < 1 + d.below(5); ++i) {
      auto x = any_entity(d, d.below(12));
      x.ref.id += std::to_string(i);
      text += export_jsonl(x.ref, x.state) + (d.one_in(3) ? "\n \r\n" : "");
      bytes += export_msgpack(x.ref, x.state);
      all.push_back(std::move(x));
    }
    for (const auto& read : {import_jsonl(text), import_msgpack(bytes)}) {
      RC_ASSERT(read.has_value());
      RC_ASSERT(read->size() == all.size());
      for (std::size_t i = 0; i < all.size(); ++i)
        check_same((*read)[i], all[i].ref, all[i].state);
    }
  });
  CHECK(import_jsonl("")->empty());
  CHECK(import_msgpack("")->empty());
}

TEST_CASE("a history of many chunks comes back with equal bytes") {
  entity_fixture s;
  s.does(create{});
  for (int i = 0; i < 5; ++i) {
    s.does(append_items{std::vector<value>(40, value::map({{"role", "user"}, {"n", i}}))});
    s.does(pop_items{.count = 7});
  }
  s.does(append_items{{value::map({{"content", std::string(100'000, '\0')}})}});
  check_same(import_jsonl(export_jsonl(s.ref, s.state))->front(), s.ref, s.state);
  check_same(import_msgpack(export_msgpack(s.ref, s.state))->front(), s.ref, s.state);
}

TEST_CASE("the deepest and the largest value that can be kept comes back") {
  entity_fixture s;
  s.does(create{});
  value deep = value::binary("\x01");
  for (std::size_t i = 0; i < limits{}.depth; ++i)
    deep = value::array({deep});
  s.does(patch_state{{set_key{"deep", deep}}});
  s.does(patch_state{{set_key{"nul", value{std::string(max_value_bytes - 5, '\0')}}}});
  value_writer many;
  many.begin_array(100'000);
  for (int i = 0; i < 100'000; ++i)
    many.binary("");
  s.does(patch_state{{set_key{"many", many.finish()}}});
  entity_fixture w;
  w.ref = {"default", entity_kind::workflow, "w"};
  w.does(create{});
  w.does(define_nodes{{{"n", {}}}});
  w.does(update_node{.id = "n", .status = node_status::running});
  w.does(update_node{.id = "n", .status = node_status::done, .result = deep});
  const auto text = export_jsonl(s.ref, s.state) + export_jsonl(w.ref, w.state);
  const auto read = import_jsonl(text);
  REQUIRE_MESSAGE(read.has_value(), (read ? error{} : read.error()));
  check_same((*read)[0], s.ref, s.state);
  check_same((*read)[1], w.ref, w.state);
}

TEST_CASE("fields of a newer minor version in a snapshot survive") {
  auto s = sample_session();
  s.state.extra = value::array({value::binary("new"), 7});
  const auto read = import_jsonl(export_jsonl(s.ref, s.state));
  REQUIRE(read.has_value());
  check_same(read->front(), s.ref, s.state);
  CHECK(read->front().state.extra == s.state.extra);
}

TEST_CASE("the JSON Lines of an entity never change") {
  const auto s = sample_session();
  const auto w = sample_workflow();
  const auto t = sample_team();
  check_golden_text("export.jsonl", export_jsonl(s.ref, s.state) + export_jsonl(w.ref, w.state)
                                        + export_jsonl(t.ref, t.state));
  std::ifstream in{golden_path("export.jsonl"), std::ios::binary};
  const auto read = import_jsonl(std::string{std::istreambuf_iterator<char>{in}, {}});
  REQUIRE(read.has_value());
  REQUIRE(read->size() == 3);
  check_same((*read)[0], s.ref, s.state);
  check_same((*read)[1], w.ref, w.state);
  check_same((*read)[2], t.ref, t.state);
}

TEST_CASE("the msgpack of an entity never changes") {
  const auto t = sample_team();
  check_golden("export_msgpack.hex", export_msgpack(t.ref, t.state));
}

TEST_CASE("the Markdown of an entity is what people have seen before") {
  const auto s = sample_session();
  check_golden_text("export_session.md", export_markdown(s.ref, s.state, s.now));
  const auto w = sample_workflow();
  check_golden_text("export_workflow.md", export_markdown(w.ref, w.state, w.now));
  const auto t = sample_team();
  check_golden_text("export_team.md", export_markdown(t.ref, t.state, t.now));
}

TEST_CASE("no content closes its code fence or breaks its line") {
  holds("fences", [](std::uint64_t seed) {
    dice d{seed};
    std::string content;
    for (auto n = d.below(12); n > 0; --n)
      content += d.one_in(2) ? std::string(d.below(7), '`') : d.one_in(2) ? "\n" : "~~~ text";
    entity_fixture s;
    s.does(create{});
    s.does(append_items{{value::map({{"role", content}, {"content", content}})}});
    s.does(patch_state{{set_key{content, value{content}}}});
    const auto text = export_markdown(s.ref, s.state, s.now);
    // Walk as a reader of Markdown does: a fence ends at a line of as many backticks or more.
    std::size_t open = 0;
    std::string inside, title;
    for (const auto& line : lines{text}.all) {
      const auto ticks = std::min(line.find_first_not_of('`'), line.size());
      if (open == 0 && ticks >= 3) {
        RC_ASSERT(line.substr(ticks) == "text");
        open = ticks;
      } else if (open > 0 && ticks >= open && ticks == line.size()) {
        open = 0;
      } else if (open > 0) {
        inside += line + '\n';
      } else if (line.starts_with("### ")) {
        RC_ASSERT(title.empty());
        title = line;
      } else {
        RC_ASSERT(line.empty() || line.starts_with("- ") || line.starts_with("# ")
                  || line.starts_with("## ") || line.starts_with("| "));
      }
    }
    RC_ASSERT(open == 0u);
    if (!content.empty() && content.back() != '\n')
      content += '\n';
    RC_ASSERT(inside == content);
  });
}

TEST_CASE("what has expired is not in the Markdown") {
  const auto s = sample_session();
  const auto shown = export_markdown(s.ref, s.state, s.now);
  const auto later = export_markdown(s.ref, s.state, {s.now.ms + 100'000});
  CHECK(shown.find("a\\|b\\`c") != std::string::npos);
  CHECK(later.find("a\\|b\\`c") == std::string::npos);
}

TEST_CASE("a sink gets one whole document at a time") {
  const auto s = sample_session();
  std::string all;
  std::size_t calls = 0;
  export_jsonl(s.ref, s.state, [&](std::string_view line) {
    CHECK(line.find('\n') == line.size() - 1);
    all += line;
    ++calls;
  });
  CHECK(all == export_jsonl(s.ref, s.state));
  CHECK(calls == 1 + s.state.entries.size() + s.state.own.size() + s.state.items.size());
}

TEST_CASE("an imported entity goes on where the exported one was") {
  auto s = sample_session();
  const auto read = import_jsonl(export_jsonl(s.ref, s.state));
  REQUIRE(read.has_value());
  const auto& state = read->front().state;
  const timeline kept{state};
  const auto does = [&](operation op) {
    return decide(state, {s.ref, {std::move(op)}}, {.now = s.now, .versions = &kept});
  };
  CHECK(does(undo{1}).error().code == errc::revision_gone);
  const auto next = does(append_items{{value::map({})}});
  REQUIRE(next.has_value());
  CHECK(next->answer.revision == s.state.revision + 1);
  CHECK(next->answer.first_seq == s.state.last_seq + 1);
}

TEST_CASE("the example of the documentation moves entities from file to file") {
  const auto s = sample_session();
  const auto w = sample_workflow();
  std::stringstream file;
  save(file, {{s.ref, s.state}, {w.ref, w.state}});
  const auto read = load(file);
  REQUIRE(read.has_value());
  REQUIRE(read->size() == 2);
  check_same((*read)[0], s.ref, s.state);
  check_same((*read)[1], w.ref, w.state);
}

TEST_CASE("every truncation of an export is refused and says that it ends early or where") {
  const auto s = sample_session();
  const auto text = export_jsonl(s.ref, s.state);
  for (std::size_t size = 1; size + 1 < text.size(); ++size) {
    const auto out = import_jsonl(std::string{text.substr(0, size)});
    REQUIRE_FALSE_MESSAGE(out.has_value(), size);
    REQUIRE(out.error().code == errc::malformed);
    REQUIRE(out.error().message.starts_with("line "));
  }
  const auto bytes = export_msgpack(s.ref, s.state);
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    const auto out = import_msgpack(std::string{bytes.substr(0, size)});
    REQUIRE_FALSE_MESSAGE(out.has_value(), size);
    REQUIRE(out.error().code == errc::malformed);
    REQUIRE(out.error().message.starts_with("document "));
  }
  const auto e = refused(small_export.substr(0, small_export.rfind("{\"seq\":2")));
  CHECK(e.message == "line 4: the export ends early: 0 entries and 1 items are missing");
}

TEST_CASE("a damaged export is read or refused and never crashes") {
  const auto s = sample_session();
  const auto w = sample_workflow();
  const auto text = export_jsonl(s.ref, s.state) + export_jsonl(w.ref, w.state);
  const auto bytes = export_msgpack(s.ref, s.state) + export_msgpack(w.ref, w.state);
  dice d{7};
  const auto look_through = [](const expected<std::vector<exported_entity>>& read) {
    if (!read) {
      CHECK_FALSE(read.error().message.empty());
      return;
    }
    for (const auto& x : *read) {
      CHECK_FALSE(export_markdown(x.ref, x.state, at).empty());
      CHECK(decode_entity(encode(x.state)).has_value());
      check_same(import_msgpack(export_msgpack(x.ref, x.state))->front(), x.ref, x.state);
    }
  };
  for (int i = 0; i < 3000; ++i) {
    auto a = text, b = bytes;
    for (auto n = 1 + d.below(3); n > 0; --n) {
      a[d.below(a.size())] = static_cast<char>(d.one_in(2) ? "\"{}[]:,019\n$"[d.below(12)]
                                                           : static_cast<char>(d.below(256)));
      b[d.below(b.size())] = static_cast<char>(d.below(256));
    }
    if (d.one_in(4)) {
      const auto from = d.below(a.size());
      a.erase(from, d.below(40));
      b.erase(d.below(b.size()), d.below(40));
    }
    look_through(import_jsonl(a));
    look_through(import_msgpack(b));
  }
}

TEST_CASE("garbage is refused") {
  for (const std::string text : {"x", "{}", "[]", "null", "{\"troupe\":1}", "\xff", "{\"seq\":1}"})
    CHECK_MESSAGE(refused(text).message.starts_with("line 1: "), text);
  for (const std::string bytes : {"\xc1", "\x80", "\xc0", "\xdf\xff\xff\xff\xff", "\xca\x00"})
    CHECK_FALSE(import_msgpack(bytes).has_value());
  CHECK(refused("{}").code == errc::malformed);
  CHECK(refused("[]").code == errc::wrong_type);
  CHECK(refused("\n\n{").message.starts_with("line 3: "));
}

TEST_CASE("the small export of these tests is good") {
  const auto read = import_jsonl(small_export);
  REQUIRE_MESSAGE(read.has_value(), (read ? error{} : read.error()));
  const auto& state = read->front().state;
  CHECK(state.items.size() == 2);
  CHECK(find(state, section::state, "b", {0})->data == value::array({value::binary({"\0", 1})}));
  CHECK(find(state, section::state, "b", {0})->expires.ms == 7);
  CHECK(export_jsonl(read->front().ref, state) == small_export);
}

TEST_CASE("a fault names its line and its path") {
  auto e = refused_with(R"("value":[{"$binary":"AA=="}])", R"("value":[{"$binary":"A"}])");
  CHECK(e.message == "line 3: padded base64 is expected here");
  CHECK(e.path == "/value/0/$binary");
  e = refused_with(R"("seq":2)", R"("seq":"2")");
  CHECK(e.message == "line 5: an integer is expected, found a string");
  CHECK(e.path == "/seq");
}

TEST_CASE("bytes have one spelling") {
  for (const char* text :
       {"AA", "AA=", "AB==", "AAB=", "A===", "====", "AA==AA==", "A-==", " AA=", "AA=\\n"})
    CHECK_MESSAGE(refused_with("AA==", text).code == errc::invalid_value, text);
  CHECK(refused_with("\"AA==\"", "1").code == errc::invalid_value);
}

TEST_CASE("a version that this build does not know is refused") {
  CHECK(refused_with("\"troupe\":1", "\"troupe\":2").code == errc::newer_format);
  CHECK(refused_with("\"troupe\":1", "\"later\":[],\"troupe\":2").code == errc::newer_format);
  CHECK(refused_with("\"troupe\":1", "\"troupe\":0").path == "/troupe");
  CHECK(refused_with("\"troupe\":1", "\"troupe\":\"1\"").code == errc::wrong_type);
}

TEST_CASE("an unknown or missing or doubled field is refused") {
  CHECK(refused_with("\"redo\"", "\"later\":1,\"redo\"").code == errc::unknown_field);
  CHECK(refused_with("\"key\":\"a\"", "\"x\":0,\"key\":\"a\"").path == "/x");
  CHECK(refused_with("\"at_ms\":5", "\"y\":5").path == "/at_ms");
  CHECK(refused_with("\"at_ms\":5", "\"at_ms\":5,\"at_ms\":5").code == errc::invalid_value);
  CHECK(refused_with(",\"entries\":2", "").path == "/entries");
}

TEST_CASE("numbers that do not ascend are refused") {
  CHECK(refused_with("\"seq\":2", "\"seq\":1").path == "/seq");
  CHECK(refused_with("\"seq\":1", "\"seq\":0").code == errc::invalid_value);
  CHECK(refused_with("\"seq\":1", "\"seq\":2").code == errc::invalid_value);
  CHECK(refused_with("\"seq\":2", "\"seq\":3").message == "line 5: last_seq of the header is 2");
  CHECK(refused_with("\"last_seq\":2", "\"last_seq\":1").code == errc::invalid_value);
  CHECK(refused_with("\"last_seq\":2", "\"last_seq\":18446744073709551615").path == "/last_seq");
}

TEST_CASE("revisions and numbers that leave no room for the next are refused") {
  const auto last = std::to_string(max_number), beyond = std::to_string(max_number + 1);
  CHECK(refused_with("\"last_seq\":2", "\"last_seq\":" + beyond).path == "/last_seq");
  CHECK(refused_with("\"revision\":3", "\"revision\":" + beyond).path == "/revision");
  for (const std::string field : {"last_seq", "revision"}) {
    const auto was = "\"" + field + "\":" + (field == "revision" ? "3" : "2");
    CHECK(import_jsonl(lines{small_export}.with(1, was, "\"" + field + "\":" + last).str()));
  }
}

TEST_CASE("an entry that occurs twice or out of order is refused") {
  CHECK(refused_with("\"key\":\"b\"", "\"key\":\"a\"").path == "/key");
  CHECK(refused_with("\"key\":\"a\"", "\"key\":\"c\"").code == errc::invalid_value);
}

TEST_CASE("an entity that occurs twice is refused") {
  const auto e = refused(small_export + small_export);
  CHECK(e.code == errc::invalid_value);
  CHECK(e.message == "line 6: this entity occurs twice");
}

TEST_CASE("one wrong entity refuses all") {
  CHECK_FALSE(import_jsonl(small_export + "{").has_value());
}

TEST_CASE("documents that are more or fewer than the header says are refused") {
  CHECK(refused_with("\"entries\":2", "\"entries\":1").code == errc::malformed);
  CHECK(refused_with("\"entries\":2", "\"entries\":3").code == errc::malformed);
  CHECK(refused_with("\"items\":2", "\"items\":1").code == errc::malformed);
  CHECK(refused_with("\"items\":2", "\"items\":3").message.find("ends early") != std::string::npos);
}

TEST_CASE("revisions that contradict each other are refused") {
  CHECK(refused_with("\"first_revision\":1", "\"first_revision\":0").path == "/revision");
  CHECK(refused_with("\"first_revision\":1", "\"first_revision\":4").path == "/revision");
  CHECK(refused_with("\"content_revision\":3", "\"content_revision\":4").path == "/revision");
  CHECK(refused_with("\"revision\":2", "\"revision\":4").path == "/revision");
  CHECK(refused_with("\"revision\":2", "\"revision\":0").path == "/revision");
  CHECK(refused_with("\"redo\":null", "\"redo\":[4]").path == "/redo");
  CHECK(refused_with("\"redo\":null", "\"redo\":[]").path == "/redo");
  CHECK(refused_with("\"redo\":null", "\"redo\":[1,-1]").path == "/redo/1");
  CHECK(import_jsonl(lines{small_export}.with(1, "\"redo\":null", "\"redo\":[3,2]").str())
            .has_value());
}

TEST_CASE("what is not live holds nothing") {
  CHECK(refused_with("\"live\"", "\"deleted\"").path == "/status");
  const std::string gone =
      R"({"troupe":1,"namespace":"default","kind":"team","id":"s","status":"absent","revision":0,)"
      R"("first_revision":0,"content_revision":0,"created_ms":0,"last_activity_ms":0,"last_seq":0,)"
      R"("redo":null,"entries":0,"items":0})";
  CHECK(import_jsonl(gone)->front().state == entity_state{});
  CHECK(refused(lines{gone + '\n'}.with(1, "\"revision\":0", "\"revision\":1")).path
        == "/revision");
  CHECK(refused(lines{gone + '\n'}.with(1, "absent", "deleted")).path == "/revision");
  const std::string half = "9223372036854775808";  // twice this is 0 in 64 bits
  CHECK(refused(lines{gone + '\n'}
                    .with(1, "\"revision\":0", "\"revision\":" + half)
                    .with(1, "\"first_revision\":0", "\"first_revision\":" + half))
            .path
        == "/revision");
  CHECK(refused(lines{gone + '\n'}
                    .with(1, "\"entries\":0", "\"extra\":[\"0123456789\"],\"entries\":0")
                    .str(),
                {.entity_bytes = 8})
            .path
        == "/extra");
}

TEST_CASE("ids and scopes and keys are checked") {
  CHECK(refused_with("\"id\":\"s\"", "\"id\":\"\"").code == errc::bad_id);
  CHECK(refused_with("\"default\"", "\"a\\nb\"").path == "/namespace");
  CHECK(refused_with("\"kind\":\"session\"", "\"kind\":\"user\"").code == errc::wrong_scope);
  CHECK(refused_with("\"kind\":\"session\"", "\"kind\":\"x\"").path == "/kind");
  CHECK(refused_with("\"in\":\"state\",\"key\":\"a\"", "\"in\":\"nodes\",\"key\":\"a\"").code
        == errc::wrong_scope);
  CHECK(refused_with("\"in\":\"state\"", "\"in\":\"x\"").path == "/in");
  CHECK(refused_with("\"key\":\"b\"", "\"key\":\"" + std::string(257, 'b') + '"').code
        == errc::bad_id);
}

TEST_CASE("an item is a map without the reserved fields") {
  CHECK(refused_with("\"fields\":{}", "\"fields\":[]").code == errc::wrong_type);
  CHECK(refused_with("\"fields\":{}", "\"fields\":{\"at\":1}").code == errc::reserved_field);
  const auto t = sample_team();
  const lines all{export_jsonl(t.ref, t.state)};
  CHECK(refused(all.with(all.of("\"seq\":1"), "\"from\"", "\"form\"")).path == "/fields/from");
}

TEST_CASE("what a section holds has the shape that reads rely on") {
  const auto s = sample_session();
  const lines all{export_jsonl(s.ref, s.state)};
  const auto path = [&](std::string_view line, std::string_view before, std::string_view after) {
    return refused(all.with(all.of(line), before, after)).path;
  };
  CHECK(path("\"in\":\"todos\"", "\"completed\"", "\"finished\"") == "/value/status");
  CHECK(path("\"in\":\"todos\"", "\"position\":0", "\"position\":-1") == "/value/position");
  CHECK(path("\"troupe\"", "\"user\":\"ann\"", "\"user\":\"\"") == "/user");
  CHECK(path("\"in\":\"tags\"", "\"value\":true", "\"value\":1") == "/value");
  CHECK(path("\"in\":\"tags\"", "\"expires_ms\":0", "\"expires_ms\":1") == "/expires_ms");
  CHECK(path("\"in\":\"calls\"", "\"limit\":", "\"limits\":") == "/value/limit");
  CHECK(path("\"in\":\"calls\"", "\"key\":\"0", "\"key\":\"x") == "/key");
  CHECK(path("\"in\":\"usage\",\"key\":\"tokens\"", "\"last\":{", "\"last\":{\"x\":1,")
        == "/value/last/x");
  CHECK(path("\"in\":\"checkpoints\"", "\"automatic\":false", "\"automatic\":0")
        == "/value/automatic");
  CHECK(path("\"in\":\"notebook\"", "\"value\":3", "\"value\":3.0") == "/value");
  const auto w = sample_workflow();
  const lines nodes{export_jsonl(w.ref, w.state)};
  CHECK(refused(nodes.with(3, "\"after\":[\"fetch\"]", "\"after\":[1]")).path == "/value/after/0");
}

TEST_CASE("a fork says where it comes from") {
  auto s = sample_session();
  const auto base = std::make_shared<const entity_state>(s.state);
  const entity_ref ref = session_ref("fork");
  const auto forked = decide(entity_state{}, {ref, {fork_from{s.ref, base}}}, {.now = s.now});
  REQUIRE(forked.has_value());
  const lines all{export_jsonl(ref, forked->next)};
  check_same(import_jsonl(all.str())->front(), ref, forked->next);
  const auto path = [&](std::string_view before, std::string_view after) {
    return refused(all.with(all.of("\"forked_from\""), before, after)).path;
  };
  CHECK(path("\"kind\":\"session\",\"id\":\"demo\"", "\"kind\":\"fork\",\"id\":\"demo\"")
        == "/forked_from/kind");
  CHECK(path("\"at\":", "\"to\":") == "/forked_from/at");
}

TEST_CASE("limits are refusals that name them") {
  auto e = refused(small_export + small_export, {.entities = 1});
  CHECK(e.code == errc::too_many_elements);
  CHECK(e.limit == 1u);
  CHECK(refused(small_export, {.document_bytes = 100}).code == errc::too_large);
  CHECK(refused(small_export, {.entries = 1}).code == errc::quota_exceeded);
  e = refused(small_export, {.entity_bytes = 5});
  CHECK(e.code == errc::quota_exceeded);
  CHECK(e.message.starts_with("line 3: "));
  CHECK(import_jsonl(small_export, {.entity_bytes = 19}).has_value());
  CHECK(refused(small_export, {.entity_bytes = 18}).code == errc::quota_exceeded);
  const auto largest = '"' + std::string(max_value_bytes, 'x') + '"';
  CHECK(refused_with("\"value\":1", "\"value\":" + largest).code == errc::too_large);
  std::string deep = std::string(65, '[') + std::string(65, ']');
  CHECK(refused_with("\"value\":1", "\"value\":" + deep).code == errc::too_deep);
  CHECK(refused_with("\"value\":1", "\"value\":" + std::string(5000, '[')).code == errc::too_deep);
}

// What commands could not have left
// ------------------------------------------------------------------------------------------------

namespace {

/// An entity of so many entries, all in one section.
std::string with_entries(std::string_view kind, std::string_view in, std::size_t count,
                         const std::function<std::string(std::size_t)>& data) {
  std::string out = R"({"troupe":1,"namespace":"default","kind":")" + std::string{kind}
                    + R"(","id":"s","status":"live","revision":3,"first_revision":1,)"
                    + R"("content_revision":3,"created_ms":5,"last_activity_ms":6,"last_seq":2,)"
                    + R"("redo":null,"entries":)" + std::to_string(count) + R"(,"items":0})" + '\n';
  for (std::size_t i = 0; i < count; ++i)
    out += R"({"in":")" + std::string{in} + R"(","key":"k)" + std::to_string(10'000 + i)
           + R"(","revision":1,"expires_ms":0,"value":)" + data(i) + "}\n";
  return out;
}

/// Nodes k10000, k10001 ... that wait for these.
std::string with_nodes(const std::vector<std::string>& after) {
  return with_entries("workflow", "nodes", after.size(), [&](std::size_t i) {
    return R"({"position":)" + std::to_string(i) + R"(,"after":[)" + after[i]
           + R"(],"status":"pending","attempts":0})";
  });
}

}  // namespace

TEST_CASE("nodes in a cycle or behind one that is not there are refused") {
  CHECK(import_jsonl(with_nodes({"", R"("k10000")", R"("k10001","k10000")"})).has_value());
  CHECK(import_jsonl(with_nodes({R"("k10001")", ""})).has_value());
  for (const auto& after : std::vector<std::vector<std::string>>{
           {R"("k10000")"}, {R"("k10001")", R"("k10000")"}, {"", R"("k9")"}}) {
    const auto e = refused(with_nodes(after));
    CHECK(e.code == errc::invalid_value);
    CHECK(e.path == "/value/after");
    CHECK(e.message.starts_with("line " + std::to_string(after.size() + 1) + ": "));
  }
}

TEST_CASE("more entries of a section than commands leave are refused") {
  const auto any_of = [](std::string data) { return [data](std::size_t) { return data; }; };
  const auto todo = any_of(R"({"position":0,"content":"x","status":"pending","priority":"low"})");
  const auto node = any_of(R"({"position":0,"after":[],"status":"pending","attempts":0})");
  const auto check = [&](std::string_view kind, std::string_view in, std::size_t most,
                         const auto& data) {
    CAPTURE(in);
    const auto good = import_jsonl(with_entries(kind, in, most, data));
    CHECK_MESSAGE(good.has_value(), (good ? error{} : good.error()));
    const auto e = refused(with_entries(kind, in, most + 1, data));
    CHECK(e.code == errc::too_many_elements);
    CHECK(e.limit == most);
  };
  check("session", "todos", 1'000, todo);
  check("workflow", "nodes", 1'000, node);
  check("team", "members", 1'000, any_of(R"({"role":"dev"})"));
  check("session", "tags", 64, any_of("true"));
  check("user", "shares", 64, any_of(R"("read")"));
  CHECK(import_jsonl(with_entries("session", "state", 2'000, any_of("1"))).has_value());
}

TEST_CASE("a policy that update_info would not take is refused") {
  const auto with_policy = [](std::string_view rules) {
    auto text = with_entries("session", "info", 1, [&](std::size_t) { return std::string{rules}; });
    return text.replace(text.find("k10000"), 6, "policy");
  };
  CHECK(import_jsonl(with_policy(R"({"loop_limit":1})")).has_value());
  CHECK(refused(with_policy(R"({"loop_limit":0})")).path == "/value/loop_limit");
  CHECK(refused(with_policy("{}")).path == "/value");
}

TEST_CASE("a checkpoint of a revision that never was is refused") {
  const auto pinning = [](std::uint64_t revision) {
    return with_entries("session", "checkpoints", 1, [&](std::size_t) {
      return R"({"name":"n","revision":)" + std::to_string(revision)
             + R"(,"at":0,"tags":[],"metadata":{},"automatic":false})";
    });
  };
  CHECK(import_jsonl(pinning(3)).has_value());
  CHECK(refused(pinning(4)).path == "/value/revision");
  CHECK(refused(pinning(0)).path == "/value/revision");
}

TEST_CASE("the export of a value nested a million deep does not overflow the stack") {
  // What no command keeps, but a host can put into a state by hand.
  constexpr std::size_t depth = 1'000'000;
  auto s = sample_session();
  apply(s.state,
        entry_set{section::state,
                  "deep",
                  value::from_canonical(std::string(depth, '\x91') + "\xc4\x01\xff"),
                  {}},
        s.state.revision, s.now);
  const auto text = export_jsonl(s.ref, s.state);
  CHECK(text.find(std::string(depth, '[') + R"({"$binary":"/w=="})" + std::string(depth, ']'))
        != std::string::npos);
  CHECK(refused(text).code == errc::too_deep);
}

TEST_CASE("the Markdown of a session tells its notebook and usage and calls and checkpoints") {
  auto s = sample_session();
  s.does(update_info{.shares = std::vector<share>{{"bob", access::write}, {"eve", access::read}}});
  const auto text = export_markdown(s.ref, s.state, s.now);
  for (const auto* piece :
       {"- shared with: bob (write), eve (read)\n", "## Notebook\n\n- id: nb\n- cells: 3\n",
        "| df | DataFrame |\n", "- tokens: 10 prompt, 20 completion\n", "- tool calls: 1\n",
        "## Calls of this turn\n", "| 1 | look\\_up | 1 | 5 | ", "## Checkpoints\n",
        "| cp | before | 7 | "})
    CHECK_MESSAGE(text.find(piece) != std::string::npos, piece, " is not in ", text);
}
