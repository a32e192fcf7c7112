#include <troupe/actors/hooks.hpp>

#include "support/entities.hpp"
#include "support/event_node.hpp"

#include <stdexcept>

using namespace troupe;
using namespace troupe::testing;

namespace {

struct fixture {
  explicit fixture(change_hooks hooks)
      : node{world, std::make_unique<memory_store>(fold_entities()),
             std::make_shared<const change_hooks>(std::move(hooks))} {}

  expected<command_result> does(const std::string& id, operation what) {
    return node.execute(session_ref(id), std::move(what));
  }

  deterministic_system world;
  event_node node;
};

}  // namespace

TEST_CASE("a hook before a change may refuse it and then nothing has changed") {
  change_hooks hooks;
  hooks.before.push_back([](const entity_ref& entity, const entity_state& state, const change& what,
                            const entity_state& after) -> expected<void> {
    CHECK(entity == session_ref("a"));
    CHECK(after.revision == state.revision + 1);
    CHECK(what.revision == after.revision);
    if (after.items.size() > 1)
      return fail(errc::forbidden, "one item is enough");
    return {};
  });
  fixture f{std::move(hooks)};
  auto all = f.node.listens();
  REQUIRE(f.does("a", create{}));
  REQUIRE(f.does("a", item()));
  const auto refused = f.does("a", item());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::forbidden);
  CHECK(f.does("a", patch_state{{set_key{"k", value{1}}}})->revision == 3);
  CHECK(taken(all) == list{"session/a 1", "session/a 2", "session/a 3"});
}

TEST_CASE("the first hook that refuses ends the asking") {
  int asked = 0;
  change_hooks hooks;
  hooks.before.push_back([](const auto&, const auto&, const auto&, const auto&) -> expected<void> {
    return fail(errc::forbidden, "no");
  });
  hooks.before.push_back([&](const auto&, const auto&, const auto&, const auto&) {
    ++asked;
    return expected<void>{};
  });
  fixture f{std::move(hooks)};
  CHECK(f.does("a", create{}).error().code == errc::forbidden);
  CHECK(asked == 0);
}

TEST_CASE("a hook that throws refuses its change and harms nobody") {
  bool throws = true;
  change_hooks hooks;
  hooks.before.push_back([&](const auto&, const auto&, const auto&, const auto&) -> expected<void> {
    if (throws)
      throw std::runtime_error{"planted"};
    return {};
  });
  fixture f{std::move(hooks)};
  CHECK(f.does("a", create{}).error().code == errc::internal);
  throws = false;
  CHECK(f.does("a", create{})->revision == 1);
}

TEST_CASE("hooks after a change are called once for each in order and one that throws goes on") {
  list all, items;
  change_hooks hooks;
  hooks.after.push_back({{}, [&](const committed_change& x) {
                           all.push_back(x.entity.id + std::to_string(x.what.revision));
                           throw std::runtime_error{"planted"};
                         }});
  hooks.after.push_back({{.events = {"items_appended"}}, [&](const committed_change& x) {
                           items.push_back(x.entity.id + std::to_string(x.what.revision));
                         }});
  fixture f{std::move(hooks)};
  list wanted;
  for (const auto* id : {"a", "b"})
    REQUIRE(f.does(id, create{}));
  for (int i = 0; i < 30; ++i)
    REQUIRE(f.does("a", item()));
  REQUIRE(all.size() == 32);
  CHECK(all[1] == "b1");
  CHECK(all.back() == "a31");
  for (int i = 2; i <= 31; ++i)
    wanted.push_back("a" + std::to_string(i));
  CHECK(items == wanted);
}

TEST_CASE("a hook after a change is not called for one that was refused") {
  int called = 0;
  change_hooks hooks;
  hooks.before.push_back([](const auto&, const auto&, const auto&, const auto&) -> expected<void> {
    return fail(errc::forbidden, "no");
  });
  hooks.after.push_back({{}, [&](const committed_change&) { ++called; }});
  fixture f{std::move(hooks)};
  CHECK_FALSE(f.does("a", create{}));
  CHECK(called == 0);
}
