#include <troupe/actors/gateway.hpp>
#include <troupe/actors/supervisor.hpp>

#include "support/ask_gateway.hpp"
#include "support/deterministic.hpp"
#include "support/fake_store.hpp"
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

/// Actors that a thread's requests wake together.

using namespace troupe;
using namespace troupe::testing;

namespace {

struct node {
  ~node() {
    gathering::hand_over();
    world.system().spawn([this](caf::event_based_actor* self) {
      compat::request(self, supervisor, drain{}).then([] {}, [](const caf::error&) {});
    });
    world.run();
    for (const auto& actor :
         {caf::actor_cast<caf::actor>(supervisor), caf::actor_cast<caf::actor>(store)})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    world.run();
  }

  later<command_result> send(const std::string& id, operation what) {
    return ask_gateway<command_result, host_command>(
        way_in, command{.entity = session_ref(id), .operations = {std::move(what)}});
  }
  later<command_result> append(const std::string& id, const char* text) {
    return send(id, append_items{{value::map({{"content", value{text}}})}});
  }
  /// Awake from then on.
  void create_session(const std::string& id) {
    const auto made = send(id, create{});
    world.run();
    REQUIRE(made->has_value());
    REQUIRE(**made);
  }

  deterministic_system world;
  std::shared_ptr<directory> live = std::make_shared<directory>();
  store_actor store = spawn_fake_store(world.system(), std::make_shared<fake_disk>());
  supervisor_actor supervisor =
      spawn_supervisor(world.system(), {store, live, [] { return timestamp{1'000}; }, 100, 0, 0});
  gateway way_in{supervisor, live};
};

}  // namespace

TEST_CASE_FIXTURE(node, "whom a gathering thread woke begins when it is handed over") {
  create_session("a");
  later<command_result> first, second;
  {
    const gathering now;
    first = append("a", "1");
    second = append("a", "2");
  }
  CHECK(gathering::waits());
  world.run();
  CHECK_FALSE(first->has_value());
  gathering::hand_over();
  CHECK_FALSE(gathering::waits());
  world.run();
  REQUIRE(second->has_value());
  CHECK((**first)->revision == 2);
  CHECK((**second)->revision == 3);
}

TEST_CASE_FIXTURE(node, "a thread that does not gather wakes an actor at once") {
  create_session("a");
  { const gathering over; }
  const auto done = append("a", "1");
  CHECK_FALSE(gathering::waits());
  world.run();
  CHECK(done->has_value());
}

TEST_CASE_FIXTURE(node, "a gathering within another leaves it as it was") {
  create_session("a");
  const gathering outer;
  { const gathering inner; }
  append("a", "1");
  CHECK(gathering::waits());
}

TEST_CASE_FIXTURE(node, "sixteen actors that one thread woke wait for nobody and lose nothing") {
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i)
    create_session(ids.emplace_back("s" + std::to_string(i)));
  std::vector<later<command_result>> answers;
  {
    const gathering now;
    for (const auto& id : ids)
      answers.push_back(append(id, "x"));
  }
  world.run();
  for (std::size_t i = 0; i < ids.size(); ++i)
    CHECK(answers[i]->has_value() == (i < 16));
  CHECK(gathering::waits());
  gathering::hand_over();
  world.run();
  for (const auto& one : answers) {
    REQUIRE(one->has_value());
    CHECK(**one);
  }
}

TEST_CASE_FIXTURE(node, "an actor that retires before it is handed over answers what it was sent") {
  create_session("a");
  later<command_result> done;
  {
    const gathering now;
    done = append("a", "1");
  }
  live->find(session_ref("a"))->retire();
  world.run();
  CHECK_FALSE(done->has_value());
  gathering::hand_over();
  world.run();
  REQUIRE(done->has_value());
  CHECK((**done)->revision == 2);
}
