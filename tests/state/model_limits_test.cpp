/// Limits that random commands over few keys never reach, each at its edge: against the naive model
/// where it knows the limit.

#include "../support/model_compare.hpp"
#include <doctest/doctest.h>

#include <numeric>

using namespace troupe;
using namespace troupe::testing;

namespace {

/// One entity, as it is and as the model has it; all its revisions are kept.
struct pair_of_entities {
  explicit pair_of_entities(entity_kind kind) : ref{"default", kind, "x"} {
    expected_all[0] = std::make_shared<model::entity>();
    REQUIRE_FALSE(run({create{}}));
  }

  /// The refusal, which both have to agree on.
  std::optional<errc> run(std::vector<operation> operations) {
    const command what{.entity = ref, .operations = std::move(operations)};
    const auto reply = model::carry_out(expected, what, {.now = now, .kept = &expected_all});
    const auto made = decide(kept.current(), what, {.now = now, .versions = &kept});
    CHECK((made ? std::nullopt : std::optional{made.error().code}) == reply.refused);
    if (made && made->answer.changed) {
      kept.push(made->next, now);
      expected_all[made->next.revision] = std::make_shared<model::entity>(expected);
    }
    if (made)
      CHECK(made->answer == reply.answer);
    CHECK(disagreement(expected, kept.current(), ref, now, {}) == "");
    return reply.refused;
  }

  entity_ref ref;
  timestamp now{1'000'000};
  timeline kept{entity_state{}};
  model::entity expected{};
  model::past expected_all{};
};

expected<decision> set(const entity_state& state, const std::string& key, value data) {
  return decide(state,
                {.entity = {"default", state.kind, "x"},
                 .operations = {patch_state{{set_key{.key = key, .data = std::move(data)}}}}},
                {.now = {1}});
}

entity_state created() {
  return evolve({}, {.revision = 1, .events = {entity_created{entity_kind::session}}});
}

}  // namespace

TEST_CASE("redo forgets the oldest of more than a thousand undone changes") {
  pair_of_entities x{entity_kind::global};
  for (int i = 0; i < 1'003; ++i) {
    const auto made = set(x.kept.current(), "k", value{i});
    x.kept.push(made->next, x.now);
    (void)model::carry_out(
        x.expected,
        {.entity = x.ref, .operations = {patch_state{{set_key{.key = "k", .data = value{i}}}}}},
        {.now = {1}});
    x.expected_all[x.expected.revision] = std::make_shared<model::entity>(x.expected);
  }
  CHECK(x.run({undo{1'004}}) == errc::nothing_to_undo);
  CHECK_FALSE(x.run({undo{1'003}}));
  CHECK(find(x.kept.current(), section::state, "k", x.now) == nullptr);
  CHECK(x.run({redo{1'001}}) == errc::nothing_to_undo);
  CHECK_FALSE(x.run({redo{1'000}}));
  CHECK(find(x.kept.current(), section::state, "k", x.now)->data == value{999});
}

TEST_CASE("the thousand and first todo or member or node is refused") {
  const auto ids = [](int n) {
    std::vector<std::string> out;
    for (int i = 0; i < n; ++i)
      out.push_back("id" + std::to_string(i));
    return out;
  };
  pair_of_entities session{entity_kind::session}, team{entity_kind::team};
  put_todos all, too_many;
  std::vector<operation> members;
  for (const auto& id : ids(1'001)) {
    too_many.todos.push_back({.id = id});
    if (all.todos.size() < 1'000) {
      all.todos.push_back({.id = id});
      members.emplace_back(add_member{id, "role"});
    }
  }
  CHECK(session.run({too_many}) == errc::too_many_elements);
  CHECK_FALSE(session.run({all}));
  CHECK(session.run({patch_todos{{{.id = "more"}}, {}}}) == errc::too_many_elements);
  CHECK_FALSE(session.run({patch_todos{{{.id = "more"}}, {"id7"}}}));
  CHECK_FALSE(team.run(members));
  CHECK(team.run({add_member{"more", "role"}}) == errc::too_many_elements);
  CHECK_FALSE(team.run({remove_member{"id7"}, add_member{"more", "role"}}));

  pair_of_entities workflow{entity_kind::workflow};
  define_nodes nodes;
  for (const auto& id : ids(1'001))
    nodes.nodes.push_back({id, {}});
  CHECK(workflow.run({nodes}) == errc::too_many_elements);
}

TEST_CASE("a workflow has at most ten thousand dependencies") {
  const auto chain = [](std::size_t nodes, std::size_t after) {
    define_nodes out;
    for (std::size_t i = 0; i < nodes; ++i) {
      out.nodes.push_back({"n" + std::to_string(i), {}});
      for (std::size_t j = 0; i > 0 && j < after; ++j)
        out.nodes.back().after.push_back("n" + std::to_string(i - 1));
    }
    return out;
  };
  const auto state = evolve({}, {.revision = 1, .events = {entity_created{entity_kind::workflow}}});
  const auto ask = [&](const define_nodes& op) {
    return decide(state, {.entity = {"default", entity_kind::workflow, "x"}, .operations = {op}},
                  {});
  };
  CHECK(ask(chain(101, 100)));
  CHECK(ask(chain(2, 10'001)).error().code == errc::too_many_elements);
}

TEST_CASE("an entity that is full takes what frees as much as it adds") {
  auto state = created();
  const value big{std::string(250'000, 'x')};
  int count = 0;
  for (auto made = set(state, "0", big); made; made = set(state, std::to_string(count), big)) {
    state = made->next;
    ++count;
  }
  CHECK(count == 33);
  CHECK(state.bytes() <= max_entity_bytes);
  const auto refused = set(state, "more", big);
  CHECK(refused.error().code == errc::quota_exceeded);
  CHECK(refused.error().limit == max_entity_bytes);
  CHECK(decide(state,
               {.entity = session_ref("x"),
                .operations = {patch_state{{set_key{.key = "more", .data = big}}},
                               patch_state{{delete_key{.key = "0"}}}}},
               {}));
  // One that is already beyond, as after a merge of an older build, may still shrink and stay.
  change beyond{.revision = state.revision + 1};
  beyond.events.emplace_back(entry_set{section::state, "beyond", big, {}});
  state = evolve(state, beyond);
  CHECK(state.bytes() > max_entity_bytes);
  CHECK(set(state, "0", value{1}));
  CHECK(set(state, "0", value{std::string(250'000, 'y')}));
  CHECK(set(state, "more", value{1}).error().code == errc::quota_exceeded);
}

TEST_CASE("an entity has at most a hundred thousand entries") {
  change many{.revision = 2};
  for (std::size_t i = 0; i < max_entries; ++i)
    many.events.emplace_back(entry_set{section::state, std::to_string(i), value{1}, {}});
  const auto state = evolve(created(), many);
  CHECK(set(state, "more", value{1}).error().code == errc::quota_exceeded);
  CHECK(set(state, "7", value{2}));
}
