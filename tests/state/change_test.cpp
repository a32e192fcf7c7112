#include <troupe/state/change.hpp>

#include "../support/entities.hpp"

#include <limits>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr auto top = std::numeric_limits<std::uint64_t>::max();

const value item = value::map({});

/// A live session with items 1 to 3, key "a" and a todo.
entity_state sample() {
  entity_fixture s;
  s.begins();
  s.append({item, item, item});
  s.does(patch_state{{set_key{"a", 1}}}, put_todos{{{"t", ""}}});
  return s.state();
}

std::vector<std::uint64_t> seqs(const entity_state& state) {
  std::vector<std::uint64_t> out;
  for (const auto x : state.items)
    out.push_back(x.seq);
  return out;
}

/// The state after one change of these events; it can be stored and read.
entity_state after(const entity_state& state, std::vector<event> events) {
  auto out =
      evolve(state, {.revision = state.revision + 1, .at = {9000}, .events = std::move(events)});
  const auto read = decode_entity(encode(out));
  REQUIRE(read);
  CHECK(*read == out);
  CHECK(out.items.last_seq() <= out.last_seq);
  return out;
}

using numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("item numbers that go back are raised to the next one") {
  CHECK(seqs(after(sample(), {items_appended{0, {item}}})) == numbers{1, 2, 3, 4});
  CHECK(seqs(after(sample(), {items_appended{2, {item, item}}})) == numbers{1, 2, 3, 4, 5});
  CHECK(seqs(after(sample(), {items_restored{{{9, {}, item}, {9, {}, item}, {1, {}, item}}}}))
        == numbers{1, 2, 3, 9, 10, 11});
}

TEST_CASE("items are kept up to the last number there is and not beyond") {
  const auto last = after(sample(), {items_appended{top - 1, {item}}});
  CHECK(seqs(last) == numbers{1, 2, 3, top - 1});
  CHECK(last.last_seq == top - 1);
  CHECK(seqs(after(last, {items_appended{top, {item}}})) == numbers{1, 2, 3, top - 1});
  CHECK(seqs(after(last, {items_restored{{{5, {}, item}}}})) == numbers{1, 2, 3, top - 1});
  CHECK(seqs(after(sample(), {items_appended{top - 1, {item, item, item}}}))
        == numbers{1, 2, 3, top - 1});
  CHECK(seqs(after(sample(), {items_restored{{{top, {}, item}}}})) == numbers{1, 2, 3});
}

TEST_CASE("a restored item keeps its time and number and the newest number stays") {
  auto state = after(sample(), {items_removed{1, 2}});
  state = after(state, {items_restored{{{2, {-5}, item}}}});
  CHECK(seqs(state) == numbers{1, 2});
  CHECK(state.items[1].at == timestamp{-5});
  CHECK(state.last_seq == 3);
}

TEST_CASE("removing more than there is or less than none leaves what is to be kept") {
  CHECK(seqs(after(sample(), {items_removed{0, 1}})) == numbers{});
  CHECK(seqs(after(sample(), {items_removed{2, 99}})) == numbers{1, 2});
  CHECK(seqs(after(sample(), {items_removed{top, 1}})) == numbers{1, 2, 3});
}

TEST_CASE("events that find nothing leave everything else as it was") {
  const auto before = sample();
  for (const event& e :
       {event{entry_erased{section::state, "none"}}, event{section_cleared{section::nodes}},
        event{items_appended{4, {}}}, event{items_restored{}}}) {
    const auto state = after(before, {e});
    CHECK(same_content(state, before));
    CHECK(state.entry_bytes == before.entry_bytes);
    CHECK(state.revision == before.revision + 1);
  }
}

TEST_CASE("events of another scope or before a creation still give a state") {
  auto state = after({}, {entry_set{section::members, "m", 1}, items_appended{7, {item}},
                          section_cleared{section::calls}, entity_deleted{}});
  CHECK(state.status == lifecycle::deleted);
  CHECK(state.bytes() == 0);
  state = after({}, {items_appended{7, {item}}});
  CHECK(state.status == lifecycle::absent);
  CHECK(seqs(state) == numbers{7});
  state = after(
      {},
      {entity_forked{std::make_shared<const lineage>(lineage{ref_of(entity_kind::team, "p"), 3})}});
  CHECK(state.live());
  CHECK(lineage_of(state)->at == 3);
  state = after(sample(), {content_reverted{revert_cause::undo, top, value::array({top, 0})},
                           fork_merged{ref_of(entity_kind::session, std::string(256, 'f')), top}});
  CHECK(state.content_revision == top);
  entity_fixture s;
  CHECK(decide(state, s.asks(undo{}), s.context()).error().code == errc::revision_gone);
  CHECK(decide(state, s.asks(redo{2}), s.context()).error().code == errc::revision_gone);
}

TEST_CASE("a deletion leaves the revision and nothing else") {
  const auto state = after(sample(), {entity_deleted{}});
  entity_state expected;
  expected.status = lifecycle::deleted;
  expected.revision = expected.content_revision = sample().revision + 1;
  expected.last_activity = {9000};
  CHECK(state == expected);
}

TEST_CASE("clearing a section leaves its neighbours") {
  auto state = sample();
  for (const auto in : {section::metadata, section::state, section::variables})
    state = after(state, {entry_set{in, "", 1}, entry_set{in, "z", 1}});
  const auto bytes = state.bytes();
  state = after(state, {section_cleared{section::state}});
  CHECK(count_entries(state, section::state, {}) == 0);
  CHECK(count_entries(state, section::metadata, {}) == 2);
  CHECK(count_entries(state, section::variables, {}) == 2);
  CHECK(count_entries(state, section::todos, {}) == 1);
  CHECK(state.bytes() == bytes - 5);
}

TEST_CASE("a change without events spends no revision and moves nothing") {
  CHECK(evolve(sample(), {.revision = 99, .at = {9999}, .events = {}}) == sample());
}

TEST_CASE("which sections move the activity and the content is as their table says") {
  for (const auto& rules : all_sections) {
    CAPTURE(rules.name);
    const auto moved = [&](const event& e) {
      const auto before = sample();
      const auto state = after(before, {e});
      return std::pair{state.content_revision == state.revision,
                       state.last_activity == timestamp{9000}};
    };
    const std::pair expected{rules.reverts, rules.activity};
    CHECK(moved(entry_set{rules.id, "k", 1}) == expected);
    CHECK(moved(entry_erased{rules.id, "k"}) == expected);
    CHECK(moved(section_cleared{rules.id}) == expected);
    CHECK(moved(entry_erased{rules.id, "k", true}) == std::pair{false, false});
  }
}

TEST_CASE("a change of content forgets what redo could go to and an undo says it") {
  auto state = sample();
  const auto redo = value::array({7});
  state = after(state,
                {content_reverted{revert_cause::undo, 2, redo}, entry_set{section::state, "a", 5}});
  CHECK(state.redo == redo);
  CHECK(state.content_revision == 2);
  CHECK(after(state, {entry_set{section::tags, "t", true}}).redo == redo);
  const auto changed = after(state, {entry_set{section::state, "a", 6}});
  CHECK(changed.redo.is_null());
  CHECK(changed.content_revision == changed.revision);
  const auto restored = after(state, {content_reverted{revert_cause::restore, 1, redo}});
  CHECK(restored.redo.is_null());
  CHECK(restored.content_revision == restored.revision);
}

TEST_CASE("a step by step change is what evolve makes of it") {
  const change what{.revision = 4,
                    .at = {77},
                    .events = {entry_set{section::state, "b", 1}, items_removed{1, 2},
                               entry_erased{section::state, "a"}}};
  auto state = sample();
  for (const auto& e : what.events)
    apply(state, e, what.revision, what.at);
  finish(state, what);
  CHECK(state == evolve(sample(), what));
  CHECK(encode(state) == encode(evolve(sample(), what)));
}

TEST_CASE("every event has the name that subscribers know") {
  const std::pair<event, const char*> names[] = {
      {entity_created{}, "created"},
      {entity_deleted{}, "deleted"},
      {items_appended{}, "items_appended"},
      {items_removed{}, "items_removed"},
      {items_restored{}, "items_restored"},
      {entry_set{section::todos, "k"}, "todos_set"},
      {entry_erased{section::state, "k"}, "state_erased"},
      {entry_erased{section::metadata, "k", true}, "metadata_expired"},
      {section_cleared{section::calls}, "calls_cleared"},
      {entity_forked{}, "forked"},
      {content_reverted{revert_cause::undo}, "undone"},
      {content_reverted{revert_cause::redo}, "redone"},
      {content_reverted{revert_cause::restore}, "restored"},
      {fork_merged{}, "merged"}};
  for (const auto& [what, name] : names)
    CHECK(name_of(what) == name);
}
