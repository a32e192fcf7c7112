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
