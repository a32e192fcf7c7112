#pragma once

#include <troupe/actors/cleaner.hpp>
#include <troupe/actors/directory.hpp>
#include <troupe/actors/gateway.hpp>
#include <troupe/actors/supervisor.hpp>

#include "../support/deterministic.hpp"
#include "checker.hpp"
#include "clients.hpp"
#include "event_checker.hpp"
#include "faulty_store.hpp"
#include "plan.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::simulation {

struct findings {
  std::string violation{};   ///< empty: none
  std::uint64_t hash = 0;    ///< of all that happened
  std::uint64_t events = 0;  ///< messages handled
  std::uint64_t crashes = 0, scope_crashes = 0;
  std::uint64_t commands = 0, acknowledged = 0, landed = 0, reads = 0;
  std::uint64_t unknown = 0, quarantined = 0, repeats = 0;  ///< answers of these kinds
  std::uint64_t mismatches = 0;
  std::uint64_t sets = 0, sets_landed = 0, set_crashes = 0;
  std::uint64_t cleanings = 0;                       ///< entities that the cleaner deleted
  std::uint64_t told = 0, resumed = 0, cut_off = 0;  ///< deliveries, and subscriptions
  std::uint64_t virtual_ms = 0;
};

/// One seed: a node of product actors (store, supervisor, entities) on CAF's test
/// scheduler, clients, and all that happens to them. The seed decides which actor runs next, when
/// the clock moves, what is asked and what goes wrong; nothing else does, so that a seed is the
/// same run each time.
class simulator {
public:
  simulator(const plan& how, std::function<void(const std::string&)> told = {});
  ~simulator();
  findings run();

private:
  /// One life of the node.
  struct node {
    std::shared_ptr<node_disk> its_disk = std::make_shared<node_disk>();
    std::shared_ptr<directory> live = std::make_shared<directory>();
    store_actor store;
    supervisor_actor supervisor;
    std::optional<gateway> way_in;
    std::shared_ptr<commit_feed> feed = std::make_shared<commit_feed>();
    event_hub_actor hub;
    cleaner_actor cleaner;
  };
  using actor_id = std::uint64_t;
  struct scope_seen {
    entity_ref entity;
    caf::actor_addr actor;
  };
  struct set_seen {
    std::vector<entity_ref> entities;
    caf::actor_addr actor;
  };

  // Phases
  void chaos();
  void end_in_a_crash();
  void end_healed();
  void drain_under_load();
  void drain_node();
  void settle(const char* when);
  void clean_up();
  void check_sound_node();
  void check_sound_sets();

  // The scheduler
  void step();
  void run_a_job();
  void look_at(caf::scheduled_actor& actor);
  void look_at_set(caf::scheduled_actor& actor);
  void handle(std::size_t job);
  [[nodiscard]] timestamp clock();
  void move_clock(std::int64_t ms);
  void move_clock_by_chance();

  // The node
  void start();
  void crash();
  void crash_a_set();

  // Clients: simulator_clients.cpp
  void ask_something();
  void ask(asked& what);
  void ask_again();
  void ask_otherwise(asked& what);
  void ask(asked_set& what);
  void ask_a_set();
  void read_something();
  void read_strictly(const entity_ref& entity, bool latest);
  void read_published(const entity_ref& entity);
  void take_all_events();

  [[nodiscard]] bool broken() const { return !checker_.violation().empty(); }

  plan plan_;
  dice luck_;
  checker checker_;
  event_checker events_{checker_, luck_, plan_};
  findings found_;
  disk disk_{fold_entities()};
  testing::deterministic_system world_;
  caf::scheduler::test_coordinator& scheduler_ = world_.scheduler();
  std::optional<node> node_;
  std::uint64_t life_ = 0;
  bool crash_wanted_ = false;
  timestamp clock_{1'700'000'000'000};
  std::uint64_t waiting_ = 0;  // requests without an answer, of this life
  std::vector<std::uint64_t> to_repeat_, sets_to_repeat_;
  std::uint64_t store_sleeps_until_ = 0;  // a step
  std::unordered_map<actor_id, scope_seen> scopes_;
  std::map<actor_id, set_seen> sets_;
  std::map<entity_ref, caf::actor_addr> writers_;
  std::uint64_t crash_at_look_ = 0;  // the running actor's so manieth look at the clock; 0: none
  const entity_ref* crashing_ = nullptr;
};

}  // namespace troupe::simulation
