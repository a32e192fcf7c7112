#pragma once

/// Supervisor and scope actors over the store in memory, under the deterministic scheduler, with a
/// clock that the test moves.

#include <troupe/actors/gateway.hpp>
#include <troupe/actors/supervisor.hpp>
#include <troupe/persistence/memory_store.hpp>
#include <troupe/persistence/store_actor.hpp>

#include "ask_gateway.hpp"
#include "deterministic.hpp"
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace troupe::testing {

struct memory_node {
  explicit memory_node(std::size_t max_live = 100, std::int64_t idle_ms = 0)
      : supervisor{spawn_supervisor(world.system(),
                                    {store, live, [this] { return clock; }, max_live, idle_ms, 0})},
        way_in{supervisor, live} {}
  memory_node(const memory_node&) = delete;
  memory_node& operator=(const memory_node&) = delete;
  ~memory_node() {
    world.system().spawn([this](caf::event_based_actor* self) {
      compat::request(self, supervisor, drain{}).then([] {}, [](const caf::error&) {});
    });
    world.run();
    for (const auto& actor :
         {caf::actor_cast<caf::actor>(supervisor), caf::actor_cast<caf::actor>(store)})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    world.run();
  }

  template <class T>
  using answer = std::shared_ptr<std::optional<expected<T>>>;

  answer<command_result> send(command what) {
    return ask_gateway<command_result, host_command>(way_in, std::move(what));
  }

  expected<command_result> execute(command what) {
    const auto out = send(std::move(what));
    world.run();
    REQUIRE_MESSAGE(out->has_value(), "the command was not answered");
    return **out;
  }
  expected<command_result> execute(const std::string& id, operation what) {
    return execute(command{
        .entity = session_ref(id), .operations = {std::move(what)}, .expected_revision = {}});
  }

  entity_state read(const std::string& id, bool latest = false) {
    const auto out = ask_gateway<state_snapshot, host_read>(
        way_in, get_state{.entity = session_ref(id), .latest = latest});
    world.run();
    REQUIRE_MESSAGE(out->has_value(), "the read was not answered");
    return *(**out)->state;
  }

  /// The supervisor looks for what is idle.
  void look() {
    compat::anon_send(supervisor, look_for_idle{});
    world.run();
  }

  /// All that is live goes to sleep, so that the next request begins with the store.
  void sleep(const std::string& id) {
    compat::anon_send(supervisor, ready_to_retire{session_ref(id)});
    world.run();
    REQUIRE(live->find(session_ref(id)) == nullptr);
  }

  timestamp clock{1'000'000};
  std::shared_ptr<directory> live = std::make_shared<directory>();
  deterministic_system world;
  store_actor store = spawn_store(world.system(), std::make_unique<memory_store>(fold_entities()),
                                  {.detached = false, .on_fatal = {}});
  supervisor_actor supervisor;
  gateway way_in;
};

}  // namespace troupe::testing
