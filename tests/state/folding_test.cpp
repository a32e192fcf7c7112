#include <troupe/state/folding.hpp>
#include <troupe/state/header.hpp>

#include "../support/entities.hpp"

using namespace troupe;
using namespace troupe::testing;

namespace {

entity_fixture long_session() {
  entity_fixture s;
  s.begins({.metadata = json(R"({"a":1})"), .tags = {"x"}});
  for (int i = 0; i < 100; ++i)
    s.append({json(R"({"text":"turn )" + std::to_string(i) + "\"}")});
  return s;
}

std::vector<std::string> stored(const entity_fixture& s) {
  std::vector<std::string> out;
  for (const auto& what : s.changes)
    out.push_back(encode(what));
  return out;
}

}  // namespace

TEST_CASE("a state that was split is joined again") {
  const auto s = long_session();
  const auto parts = split_entity(std::make_shared<const entity_state>(s.state()));
  REQUIRE(parts.chunks.size() == 3);
  const stored_parts all{parts.body, {parts.chunks.begin(), parts.chunks.end()}, {}};
  CHECK(*join_entity(all) == s.state());
  CHECK(*decode_header(parts.header) == header_of(s.state()));
  CHECK(parts.body.size() < encode(s.state(), SIZE_MAX).size() / 2);

  auto missing = all;
  missing.chunks.pop_back();
  CHECK(join_entity(missing).error().code == errc::damaged);
  auto more = all;
  more.chunks.push_back(more.chunks.back());
  CHECK(join_entity(more).error().code == errc::damaged);
  auto swapped = all;
  std::swap(swapped.chunks[0], swapped.chunks[1]);
  CHECK(join_entity(swapped).error().code == errc::damaged);
}

TEST_CASE("a fold tells what of the past is promised") {
  auto s = long_session();
  const auto changes = stored(s);
  const auto plain = fold_entity({"", {}, changes});
  REQUIRE(plain);
  CHECK(plain->first_revision == 1);
  CHECK(plain->keep_from == 1);  // 101 revisions, of which 100 beside the newest are kept
  CHECK(plain->kept_back == 100);
  CHECK(plain->pins.empty());
  s.does(create_checkpoint{.id = "c"});
  for (int i = 0; i < 50; ++i)
    s.append({json("{}")});
  const auto pinned = fold_entity({"", {}, stored(s)});
  CHECK(pinned->pins == std::vector<std::uint64_t>{101});
  CHECK(pinned->keep_from == s.state().revision - 101);
}

TEST_CASE("a fold answers what its changes were asked by") {
  auto s = long_session();
  auto changes = s.changes;
  changes.back().asked_by = idempotency{"me", "k", "hash"};
  std::vector<std::string> bytes;
  for (const auto& what : changes)
    bytes.push_back(encode(what));
  const auto folded = fold_entity({"", {}, bytes});
  REQUIRE(folded);
  REQUIRE(folded->answers.size() == 1);
  const auto& one = folded->answers.front();
  CHECK(one.id == answer_id({"me", "k", "another"}));
  CHECK(one.id != answer_id({"m", "ek", "hash"}));
  CHECK(one.revision == 101);
  const auto kept = decode_answer(one.answer);
  REQUIRE(kept);
  CHECK(kept->asked == idempotency{"me", "k", "hash"});
  CHECK(kept->answer == outcome_of(changes.back()));
}

TEST_CASE("changes that fold by state make of any parts before them what their state makes alone") {
  entity_fixture s;
  s.begins({.metadata = json(R"({"a":1})")});
  std::vector<entity_state> states{s.state()};
  const auto note = [&] { states.push_back(s.state()); };
  for (int i = 0; i < 150; ++i) {
    s.append(
        {json(R"({"text":")" + std::string(static_cast<std::size_t>(i * 7 % 900), 'x') + "\"}")});
    note();
    if (i % 3 == 0)
      s.does(patch_state{{set_key{.key = "k" + std::to_string(i % 7), .data = value{i}}}}), note();
    if (i % 40 == 0)
      s.does(create_checkpoint{.id = "c" + std::to_string(i)}), note();
  }
  REQUIRE(states.size() == s.changes.size());
  const auto wanted = fold_state(std::make_shared<const entity_state>(s.state()));
  for (const std::size_t done : {0, 1, 30, 100, 170}) {
    CAPTURE(done);
    stored_parts stored;
    if (done > 0) {
      const auto parts = split_entity(std::make_shared<const entity_state>(states[done - 1]));
      stored = {parts.body, {parts.chunks.begin(), parts.chunks.end()}, {}};
    }
    for (auto i = done; i < s.changes.size(); ++i) {
      REQUIRE(folds_by_state(s.changes[i]));
      stored.changes.push_back(encode(s.changes[i]));
    }
    const auto folded = fold_entity(stored);
    REQUIRE(folded);
    CHECK(folded->parts.revision == wanted.parts.revision);
    CHECK(folded->parts.live);
    CHECK(folded->parts.header == wanted.parts.header);
    CHECK(folded->parts.body == wanted.parts.body);
    CHECK(folded->parts.chunks == wanted.parts.chunks);
    REQUIRE(folded->parts.chunks.size() >= stored.chunks.size());
    for (std::size_t i = 0; i < stored.chunks.size(); ++i)
      CHECK(folded->parts.chunks[i] == stored.chunks[i]);
    CHECK(folded->first_revision == wanted.first_revision);
    CHECK(folded->keep_from == wanted.keep_from);
    CHECK(folded->kept_back == wanted.kept_back);
    CHECK(folded->pins == wanted.pins);
    CHECK(folded->answers.empty());
  }
}

TEST_CASE("what takes from a history or is an answer does not fold by state") {
  auto s = long_session();
  CHECK(folds_by_state(s.changes.back()));
  s.changes.back().asked_by = idempotency{"me", "k", "hash"};
  CHECK_FALSE(folds_by_state(s.changes.back()));
  s.does(pop_items{2});
  CHECK_FALSE(folds_by_state(s.changes.back()));
  s.does(undo{1});
  CHECK_FALSE(folds_by_state(s.changes.back()));
  s.does(erase{});
  CHECK_FALSE(folds_by_state(s.changes.back()));
}

TEST_CASE("an answer with a verdict and a usage is read back") {
  kept_answer out{{"p", "k", std::string("\0h", 2)}, {-5}, {}};
  out.answer = {
      .revision = 7, .changed = true, .created = true, .first_seq = 3, .last_seq = 4, .removed = 2};
  out.answer.loop = loop_verdict{"tool", 6, 5, true};
  out.answer.usage = usage_report{.last = {1, 2}, .total = {3, 4}, .tool_calls = 5, .budget = 6};
  CHECK(*decode_answer(encode(out)) == out);
  out.answer.usage->budget.reset();
  CHECK(*decode_answer(encode(out)) == out);
  const auto bytes = encode(out);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK_FALSE(decode_answer(bytes.substr(0, cut)));
}

TEST_CASE("a header that is cut off is refused") {
  const auto s = long_session();
  const auto bytes = encode(header_of(s.state()));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    CHECK_FALSE(decode_header(bytes.substr(0, cut)));
  const auto header = decode_header(bytes);
  REQUIRE(header);
  CHECK(header->items == 100);
  CHECK(header->tags == std::vector<std::string>{"x"});
  CHECK(header->metadata == json(R"({"a":1})"));
  CHECK(header->bytes == s.state().bytes());
}
