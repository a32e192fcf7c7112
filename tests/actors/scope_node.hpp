#pragma once

/// What the tests of the scope actor share.

#include <troupe/actors/gateway.hpp>
#include <troupe/actors/supervisor.hpp>

#include "support/deterministic.hpp"
#include "support/fake_store.hpp"
#include "support/printing.hpp"
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

/// Supervisor, sessions and gateway over a fake store; requests are sent as a host thread would.
struct scope_node {
  ~scope_node() {
    disk->hold = false;
    release_all();
    drained();
    for (const auto& actor :
         {caf::actor_cast<caf::actor>(supervisor), caf::actor_cast<caf::actor>(store)})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    world.run();
  }

  template <class T>
  using answer = std::shared_ptr<std::optional<expected<T>>>;

  answer<command_result> send(operation what, std::string id = "s",
                              std::optional<std::uint64_t> revision = {}) {
    auto out = std::make_shared<std::optional<expected<command_result>>>();
    way_in.send(host_command{
        {session_ref(std::move(id)), {std::move(what)}, revision},
        completion<command_result>{[out](expected<command_result> x) { *out = std::move(x); }}});
    return out;
  }

  answer<command_result> send_at(durability level, operation what) {
    auto out = std::make_shared<std::optional<expected<command_result>>>();
    command request{.entity = session_ref("s"),
                    .operations = {std::move(what)},
                    .expected_revision = {},
                    .level = level};
    way_in.send(
        host_command{std::move(request),
                     completion<command_result>{[out](expected<command_result> x) { *out = x; }}});
    return out;
  }

  answer<state_snapshot> read(std::string id = "s") {
    auto out = std::make_shared<std::optional<expected<state_snapshot>>>();
    way_in.send(host_read{
        {session_ref(std::move(id))},
        completion<state_snapshot>{[out](expected<state_snapshot> x) { *out = std::move(x); }}});
    return out;
  }

  /// As an actor asks, always by the supervisor.
  answer<command_result> send_directly(operation what) {
    auto out = std::make_shared<std::optional<expected<command_result>>>();
    world.system().spawn([this, out, what](caf::event_based_actor* self) {
      compat::request(self, supervisor, command{session_ref("s"), {what}})
          .then([out](const command_result& x) { *out = x; },
                [out](const caf::error& why) { *out = tl::unexpected(from_caf(why)); });
    });
    return out;
  }

  template <class T>
  static expected<T> now(const answer<T>& a) {
    REQUIRE_MESSAGE(a->has_value(), "the request was not answered");
    return **a;
  }

  expected<command_result> execute(operation what, std::string id = "s") {
    auto a = send(std::move(what), std::move(id));
    world.run();
    return now(a);
  }

  entity_state committed(std::string id = "s") {
    auto a = read(std::move(id));
    world.run();
    return *now(a)->state;
  }

  void release() { testing::release(store); }
  void release_all() {
    for (auto left = disk->held.size(); left > 0; --left)
      release();
    world.run();
  }

  std::shared_ptr<bool> drained() {
    auto done = std::make_shared<bool>(false);
    auto waiter = world.system().spawn([this, done](caf::event_based_actor* self) {
      compat::request(self, supervisor, drain{})
          .then([done] { *done = true; }, [](const caf::error&) {});
    });
    world.run();
    return done;
  }

  timestamp clock() {
    if (std::exchange(crash_next_command, false))
      throw std::runtime_error{"planted crash"};
    return time;
  }

  bool crash_next_command = false;
  timestamp time{1'000};
  std::shared_ptr<change_hooks> hooks = std::make_shared<change_hooks>();
  std::shared_ptr<fake_disk> disk = std::make_shared<fake_disk>();
  std::shared_ptr<directory> live = std::make_shared<directory>();
  testing::deterministic_system world;
  store_actor store = testing::spawn_fake_store(world.system(), disk);
  supervisor_actor supervisor =
      spawn_supervisor(world.system(), {store, live, [this] { return clock(); }, 100, 0, 0, hooks});
  gateway way_in{supervisor, live};
};

inline append_items item(std::string text) {
  return {{value::map({{"content", value{text}}})}};
}

inline std::vector<std::string> texts(const entity_state& state) {
  std::vector<std::string> out;
  for (const auto& i : state.items)
    out.emplace_back(*i.fields.find("content")->as_string());
  return out;
}

}  // namespace troupe::testing
