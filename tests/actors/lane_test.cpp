#include <troupe/messages/lane.hpp>

#include "support/memory_node.hpp"
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

/// Actors that a thread of the host runs.

using namespace troupe;
using namespace troupe::testing;

namespace {

struct node : memory_node {
  later<command_result> append(const std::string& id, const char* text) {
    return ask_gateway<command_result, host_command>(
        by_lane, command{.entity = session_ref(id),
                         .operations = {append_items{{value::map({{"content", value{text}}})}}}});
  }
  /// Awake from then on.
  void create_session(const std::string& id) { REQUIRE(execute(id, create{})); }
  void open_lane() {
    lane.emplace(world.system(), lanes, [this] { ++woken; });
  }
  /// Until nobody waits, here or with the workers.
  void run_all() {
    for (int seen = -1; seen != woken;) {
      seen = woken;
      lane->run();
      world.run();
    }
  }

  std::shared_ptr<compat::lanes> lanes = std::make_shared<compat::lanes>();
  gateway by_lane{supervisor, live, lanes};
  std::optional<compat::lane> lane;
  int woken = 0;
};

}  // namespace

TEST_CASE_FIXTURE(node, "whom a lane's thread woke begins when the lane runs") {
  create_session("a");
  open_lane();
  const auto first = append("a", "1");
  const auto second = append("a", "2");
  CHECK(woken == 1);
  world.run();
  CHECK_FALSE(first->has_value());
  for (int i = 0; i < 5; ++i)
    lane->run();  // not the store, to which it sends
  CHECK_FALSE(first->has_value());
  run_all();
  REQUIRE(second->has_value());
  CHECK((**first)->revision == 2);
  CHECK((**second)->revision == 3);
}

TEST_CASE_FIXTURE(node, "a thread without a lane has the workers run whom it wakes") {
  create_session("a");
  open_lane();
  lane.reset();
  const auto done = append("a", "1");
  CHECK(woken == 0);
  world.run();
  CHECK(done->has_value());
}

TEST_CASE_FIXTURE(node, "a lane wakes its thread once for all who wait") {
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i)
    create_session(ids.emplace_back("s" + std::to_string(i)));
  open_lane();
  std::vector<later<command_result>> answers;
  for (const auto& id : ids)
    answers.push_back(append(id, "x"));
  CHECK(woken == 1);
  run_all();
  for (const auto& one : answers) {
    REQUIRE(one->has_value());
    CHECK(**one);
  }
  const int before = woken;
  append("s0", "y");
  CHECK(woken == before + 1);
}

TEST_CASE_FIXTURE(node, "who waits when a lane ends is run by the workers") {
  create_session("a");
  open_lane();
  const auto own = append("a", "1");
  lane.reset();
  world.run();
  REQUIRE(own->has_value());
  CHECK((**own)->revision == 2);
}

TEST_CASE_FIXTURE(node, "an actor that retires before its lane runs answers what it was sent") {
  create_session("a");
  open_lane();
  const auto done = append("a", "1");
  live->find(session_ref("a"))->retire();
  world.run();
  CHECK_FALSE(done->has_value());
  run_all();
  REQUIRE(done->has_value());
  CHECK((**done)->revision == 2);
}

TEST_CASE_FIXTURE(node, "a lane is its thread's and one runtime's") {
  CHECK(compat::lane::number_here() == compat::workers);
  open_lane();
  CHECK(compat::lane::here(*lanes) == &*lane);
  CHECK(compat::lane::number_here() != compat::workers);
  CHECK(compat::lane::here(compat::lanes{}) == nullptr);
  lane.reset();
  CHECK(compat::lane::here(*lanes) == nullptr);
  CHECK(compat::lane::number_here() == compat::workers);
}

TEST_CASE_FIXTURE(node, "nobody can be given to a lane that ended") {
  open_lane();
  const auto gone = compat::lane::number_here();
  lane.reset();
  open_lane();
  std::vector<caf::resumable*> woken_there{nullptr};
  CHECK(compat::lane::number_here() != gone);
  CHECK_FALSE(lanes->give(gone, woken_there));
  CHECK(woken_there.size() == 1);
}
