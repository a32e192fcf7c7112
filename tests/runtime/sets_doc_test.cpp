#include <troupe/runtime/checkpoints.hpp>

#include "support/printing.hpp"
#include "support/temp_directory.hpp"
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace troupe;
using namespace troupe::testing;

namespace {

const entity_ref trip = session_ref("trip");
const entity_ref plan{"default", entity_kind::workflow, "plan"};
const entity_ref desk{"default", entity_kind::team, "desk"};
const entity_ref global{"default", entity_kind::global, "global"};

patch_state set_to(std::string key, value data) {
  return {{set_key{.key = std::move(key), .data = std::move(data)}}};
}

value held(runtime& node, const entity_ref& of, std::string_view key) {
  const auto state = *node.read(of);
  const auto* found = find(*state, section::state, key, node.now());
  return found == nullptr ? value{} : found->data;
}

struct world {
  world() {
    REQUIRE(node.execute({desk, {create{}}}));
    REQUIRE(node.execute({plan, {create{.info = {.team = "desk"}}}}));
    REQUIRE(node.execute({trip, {create{.info = {.workflow = "plan"}}}}));
  }

  temp_directory directory;
  std::unique_ptr<runtime> owned =
      std::move(*runtime::open({.data = directory.store(), .now = {}}));
  runtime& node = *owned;
};

}  // namespace

TEST_CASE("the example of a change set does what it says") {
  world w;
  auto& node = w.node;
  // doc:begin set
  // A step hands a session over and puts it into the team's queue, if nobody changed the plan
  // since.
  const auto plan_revision = (*node.read(plan))->revision;
  const auto done = node.execute_all(
      {.commands = {{.entity = trip, .operations = {set_to("status", "handed over")}},
                    {.entity = desk,
                     .operations = {patch_state{
                         {append_to{.key = "queue", .values = {value{"trip"}}}}}}},
                    {.entity = plan, .operations = {}, .expected_revision = plan_revision}},
       .once = idempotency{.principal = "planner", .key = "step-17", .body_hash = "9f2c"}});
  if (!done)  // nothing was changed; error().path says where: "/changes/2"
    FAIL(done.error().message);
  // doc:end set
  CHECK(done->answers[1].revision == 2);
  CHECK(held(node, trip, "status") == value{"handed over"});
}

TEST_CASE("the example of a checkpoint of all scopes does what it says") {
  world w;
  auto& node = w.node;
  // doc:begin checkpoint
  const auto scopes = scopes_of(node, trip);  // the session, its workflow and its team
  checkpoint_all(node, {.id = "before-booking", .name = "Before booking"}, *scopes);

  node.execute({trip, {set_to("status", "booked")}});
  node.execute({desk, {set_to("open", 3)}});

  restore_all(node, trip, "before-booking");  // of any of them; all of it or nothing
  // doc:end checkpoint
  CHECK(*scopes == std::vector{trip, plan, desk});
  CHECK(held(node, trip, "status") == value{});
  CHECK(held(node, desk, "open") == value{});
}

TEST_CASE("the example of a cleanup does what it says") {
  world w;
  auto& node = w.node;
  // doc:begin cleanup
  const auto report = node.clean_up({.kinds = {entity_kind::session, entity_kind::workflow},
                                     .max_age = std::chrono::hours{24 * 90}});
  if (report)
    MESSAGE(report->deleted << " of " << report->looked_at << " were deleted");
  // doc:end cleanup
  REQUIRE(report);
  CHECK(*report == cleanup_report{.looked_at = 2});
  CHECK(node.active_count() == 3);
  CHECK(node.clear_all("default")->deleted == 3);
}

TEST_CASE("a checkpoint of several is made of all or none and listed by each") {
  world w;
  auto& node = w.node;
  REQUIRE(node.execute({desk, {create_checkpoint{.id = "taken"}}}));
  const auto refused = checkpoint_all(node, {.id = "taken"}, {trip, plan, desk});
  CHECK(refused.error().code == errc::already_exists);
  CHECK(refused.error().path == "/changes/2/id");
  CHECK(shared_checkpoints_of(trip, **node.read(trip)).empty());
  REQUIRE(checkpoint_all(
      node, {.id = "c", .name = "C", .metadata = value::map({{"why", "a test"}})}, {desk, trip}));
  for (const auto& of : {trip, desk}) {
    const auto listed = shared_checkpoints_of(of, **node.read(of));
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].own.name == "C");
    CHECK(listed[0].own.metadata == value::map({{"why", "a test"}}));
    CHECK(listed[0].entities == std::vector{desk, trip});
  }
  CHECK(restore_all(node, desk, "taken").error().code == errc::not_found);
}

TEST_CASE("a checkpoint of several is restored whole or not at all") {
  world w;
  auto& node = w.node;
  REQUIRE(checkpoint_all(node, {.id = "c"}, {trip, plan, desk}));
  for (const auto& of : {trip, plan, desk})
    REQUIRE(node.execute({of, {set_to("n", 1)}}));
  REQUIRE(node.execute({desk, {delete_checkpoint{"c"}}}));
  CHECK(restore_all(node, trip, "c").error().code == errc::not_found);
  CHECK(held(node, trip, "n") == value{1});
  REQUIRE(node.execute({desk, {create_checkpoint{.id = "c"}}}));  // another one under its id
  CHECK(restore_all(node, trip, "c").error().code == errc::not_found);
  for (const auto& of : {trip, plan, desk})
    CHECK(held(node, of, "n") == value{1});
}

TEST_CASE("a cleanup of more sessions than one request looks at deletes each once and for good") {
  constexpr std::uint64_t many = 2'300;
  const temp_directory directory;
  std::atomic<std::int64_t> clock = 1'000'000;
  const auto open = [&] {
    return std::move(*runtime::open({.data = directory.store(),
                                     .now = [&] { return timestamp{clock}; },
                                     .idle = std::chrono::milliseconds{0}}));
  };
  {
    auto node = open();
    std::atomic<std::uint64_t> made = 0;
    for (std::uint64_t i = 0; i < many; ++i)
      node->execute({session_ref("s" + std::to_string(i)), {create{}}},
                    [&](const expected<command_result>& x) { made += x ? 1 : 0; });
    node->execute({session_ref("s0"), {create{}}});
    while (made < many)
      std::this_thread::yield();
    clock += 2'000;
    REQUIRE(node->execute({session_ref("s7"), {set_to("n", 1)}}));
    const auto report = node->clean_up({.max_age = std::chrono::seconds{1}});
    REQUIRE(report);
    CHECK(*report == cleanup_report{.looked_at = many, .deleted = many - 1});
  }
  auto node = open();
  CHECK(*node->clean_up({}) == cleanup_report{.looked_at = 1});
  CHECK((**node->read(session_ref("s7"))).live());
}
