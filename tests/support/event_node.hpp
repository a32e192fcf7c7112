#pragma once

/// Supervisor, scope actors and event hub over any store, under the deterministic scheduler. What a
/// subscription got is read as text.

#include <troupe/actors/event_hub.hpp>
#include <troupe/actors/gateway.hpp>
#include <troupe/actors/internal/reactions.hpp>
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
#include <vector>

namespace troupe::testing {

class event_node {
public:
  explicit event_node(
      deterministic_system& in,
      std::unique_ptr<troupe::store> owned = std::make_unique<memory_store>(fold_entities()),
      std::shared_ptr<const change_hooks> hooks = {})
      : world{in},
        store{spawn_store(world.system(), std::move(owned),
                          {.detached = false, .on_fatal = {}, .feed = feed})},
        hub{spawn_event_hub(world.system(), {store, feed})},
        supervisor{spawn_supervisor(world.system(), {.store = store,
                                                     .live = live,
                                                     .now = [this] { return clock; },
                                                     .max_live = 100,
                                                     .idle_ms = 0,
                                                     .look_every_ms = 0,
                                                     .hooks = hooks})},
        way_in{supervisor, live} {
    if (hooks)
      reactions = internal::spawn_after_hooks(world.system(), hub, feed, *hooks);
  }
  event_node(const event_node&) = delete;
  event_node& operator=(const event_node&) = delete;
  ~event_node() {
    world.system().spawn([this](caf::event_based_actor* self) {
      compat::request(self, supervisor, drain{}).then([] {}, [](const caf::error&) {});
    });
    world.run();
    drain_hub();
    for (const auto& actor : {caf::actor_cast<caf::actor>(supervisor),
                              caf::actor_cast<caf::actor>(hub), caf::actor_cast<caf::actor>(store)})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    world.run();
  }

  void drain_hub() {
    compat::anon_send(hub, drain{});
    world.run();
  }

  using answer = std::shared_ptr<std::optional<expected<command_result>>>;

  answer send(command what) {
    return ask_gateway<command_result, host_command>(way_in, std::move(what));
  }
  expected<command_result> execute(command what) {
    const auto out = send(std::move(what));
    world.run();
    REQUIRE_MESSAGE(out->has_value(), "the command was not answered");
    return **out;
  }
  expected<command_result> execute(const entity_ref& entity, operation what) {
    return execute(
        command{.entity = entity, .operations = {std::move(what)}, .expected_revision = {}});
  }

  subscription listens(subscribe_options how = {}) {
    auto out = subscribe(hub, *feed, std::move(how));
    REQUIRE_MESSAGE(out.has_value(), (out ? "" : out.error().message));
    return *std::move(out);
  }

  /// A message to the store that a scope would send.
  void commit(std::vector<commit_request> changes) {
    if (changes.size() == 1)
      compat::anon_send(store, std::move(changes.front()));
    else
      compat::anon_send(store, commit_set{std::move(changes)});
  }

  timestamp clock{1'000'000};
  deterministic_system& world;
  std::shared_ptr<commit_feed> feed = std::make_shared<commit_feed>();
  std::shared_ptr<directory> live = std::make_shared<directory>();
  store_actor store;
  event_hub_actor hub;
  supervisor_actor supervisor;
  gateway way_in;
  std::vector<caf::actor> reactions{};
};

/// "session/a 3", "gap 7 1-7", "slow s0-1-4"
inline std::string text_of(const event_delivery& what) {
  if (const auto* gap = std::get_if<event_gap>(&what.what)) {
    if (gap->why == event_gap::cause::slow)
      return "slow " + gap->cursor;
    return "gap " + std::to_string(gap->revision) + ' ' + gap->cursor;
  }
  const auto& change = *std::get<std::shared_ptr<const committed_change>>(what.what);
  return std::string{to_string(change.entity.kind)} + '/' + change.entity.id + ' '
         + std::to_string(change.what.revision);
}

/// All that is there now; at last "end: <code>" when it has ended.
inline std::vector<std::string> taken(subscription& from) {
  std::vector<std::string> out;
  for (;;) {
    const auto next = from.try_next();
    if (!next)
      out.push_back("end: " + std::string{to_string(next.error().code)});
    if (!next || !*next)
      return out;
    out.push_back(text_of(**next));
  }
}

using list = std::vector<std::string>;

inline entity_ref workflow_ref(std::string id) {
  return {.name_space = "default", .kind = entity_kind::workflow, .id = std::move(id)};
}

inline append_items item(std::string text = "x") {
  return {{value::map({{"content", value{text}}})}};
}

}  // namespace troupe::testing
