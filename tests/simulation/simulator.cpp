#include "simulator.hpp"

#include <troupe/persistence/store_actor.hpp>

#include <caf/scheduled_actor.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace troupe::simulation {

namespace {

constexpr std::uint64_t endless = 200'000;  // messages without an answer; then: it hangs
constexpr std::int64_t quarantine_over_ms = 61'000;

}  // namespace

simulator::simulator(const plan& how, std::function<void(const std::string&)> told)
    : plan_{how},
      luck_{how.seed ^ 0x9e3779b97f4a7c15} {
  checker_.told = std::move(told);
  checker_.now.clock = clock_;
  if (how.clean_up)
    checker_.cleaned = how.clean_up->what;
}

simulator::~simulator() {
  if (node_)
    crash();
}

findings simulator::run() {
  start();
  chaos();
  if (!broken())
    plan_.liveness ? end_healed() : end_in_a_crash();
  found_.violation = checker_.violation();
  found_.hash = checker_.hash;
  found_.commands = checker_.begun();
  found_.unknown = checker_.unknown;
  found_.quarantined = checker_.quarantined;
  found_.repeats = checker_.repeats;
  found_.mismatches = checker_.mismatches;
  found_.sets_landed = checker_.sets_landed();
  found_.cleanings = checker_.cleanings;
  found_.told = events_.taken;
  found_.resumed = events_.resumed;
  found_.cut_off = events_.cut_off;
  for (std::uint64_t id = 1; id <= checker_.begun(); ++id) {
    found_.acknowledged += checker_.find(id).acknowledged ? 1 : 0;
    found_.landed += checker_.find(id).landed != 0 ? 1 : 0;
  }
  return found_;
}

// Phases
// ------------------------------------------------------------------------------------------------

void simulator::chaos() {
  for (std::uint64_t i = 0; i < plan_.steps && !broken(); ++i)
    step();
}

/// Safety: whatever was on its way, the next node has what was acknowledged.
void simulator::end_in_a_crash() {
  plan_.scope_crashes = plan_.crashes = plan_.set_crashes = plan_.slow = 0;
  crash();
  start();
  node_->its_disk->sound = true;
  check_sound_node();
}

/// Liveness: once nothing goes wrong any more, all that was asked is answered, everything can be
/// asked again and succeeds, and the node comes to rest.
void simulator::end_healed() {
  if (node_->its_disk->gone || crash_wanted_) {
    crash();
    start();
  }
  auto& its = *node_->its_disk;
  its.sound = true;
  its.full = false;
  plan_.scope_crashes = plan_.crashes = plan_.set_crashes = plan_.slow = 0;
  if (luck_.percent(30))
    return drain_under_load();
  settle("after it was healed");
  if (broken())
    return;
  move_clock(quarantine_over_ms);
  settle("after a minute of rest");
  clean_up();
  check_sound_node();
  if (broken())
    return;
  drain_node();
}

/// What is old goes, though some of it was awake, or an ancestor, when the cleaner came first.
void simulator::clean_up() {
  if (!plan_.clean_up)
    return;
  for (int i = 0; i < 5; ++i) {
    move_clock(quarantine_over_ms);
    settle("while it was cleaned up");
  }
  if (!broken())
    checker_.nothing_old_is_left();
}

/// All that was asked before is done or answered `draining`, and what was answered is on disk.
void simulator::drain_under_load() {
  checker_.drained();
  for (auto some = luck_.below(10); some > 0; --some)
    luck_.percent(70) ? ask_something() : ask_a_set();
  for (auto some = luck_.below(60); some > 0 && !broken(); --some)
    run_a_job();
  drain_node();
}

void simulator::drain_node() {
  auto drained = std::make_shared<bool>(false);
  world_.system().spawn([whom = node_->supervisor, drained](caf::event_based_actor* self) {
    compat::request(self, whom, drain{})
        .then([drained] { *drained = true; }, [](const caf::error&) {});
  });
  settle("while it was drained");
  if (!broken() && (!*drained || node_->live->size() != 0))
    checker_.violated("the node was told to drain and did not come to rest");
  checker_.all_written();
  if (!broken())
    end_in_a_crash();
}

/// Runs what can run. No request may be left without an answer then.
void simulator::settle(const char* when) {
  for (std::uint64_t i = 0; !scheduler_.jobs.empty() && !broken(); ++i) {
    run_a_job();
    if (i > endless)
      return checker_.violated(std::string{"the node does not come to rest "} + when);
  }
  if (waiting_ != 0 && !broken())
    checker_.violated(std::to_string(waiting_) + " requests are not answered " + when);
}

/// Every entity is at its newest revision on disk, and takes another durable change.
void simulator::check_sound_node() {
  settle("at rest");
  checker_.healed();
  for (const auto& entity : entities_of(plan_)) {
    read_strictly(entity, false);
    settle("in the end");
    if (broken())
      return;
    command one{.entity = entity};
    one.operations.emplace_back(create{});
    one.operations.emplace_back(
        patch_state{{set_key{.key = "op", .data = value{checker_.begun() + 1}}}});
    auto& what = checker_.begin(std::move(one));
    ask(what);
    settle("in the end");
    if (!broken() && (!what.acknowledged || checker_.head(entity) != what.landed))
      checker_.violated("a sound node does not take a change of " + to_string(entity));
  }
  check_sound_sets();
  take_all_events();
}

/// A set of as many entities as may be in one is made.
void simulator::check_sound_sets() {
  change_set all;
  for (const auto& entity : entities_of(plan_)) {
    if (all.commands.size() == max_changes_in_set)
      break;
    command one{.entity = entity};
    one.operations.emplace_back(patch_state{
        {set_key{.key = "op", .data = value{checker_.begun() + 1 + all.commands.size()}}}});
    all.commands.push_back(std::move(one));
  }
  auto& what = checker_.begin(std::move(all));
  ask(what);
  settle("in the end");
  for (const auto id : what.members)
    if (!broken() && !checker_.find(id).acknowledged)
      checker_.violated("a sound node does not take a set");
}

// The scheduler
// ------------------------------------------------------------------------------------------------

void simulator::step() {
  if (crash_wanted_ || luck_.below(1'000) < plan_.crashes) {
    crash();
    start();
    return;
  }
  auto roll = luck_.below(1'000);
  const auto falls_in = [&](std::uint64_t share) {
    const bool in = roll < share;
    roll -= in ? 0 : share;
    return in;
  };
  if (falls_in(plan_.commands) && waiting_ < plan_.in_flight)
    return !to_repeat_.empty() && luck_.percent(40) ? ask_again() : ask_something();
  if (falls_in(plan_.reads))
    return read_something();
  if (falls_in(plan_.sets) && waiting_ < plan_.in_flight)
    return ask_a_set();
  if (falls_in(plan_.set_crashes))
    return crash_a_set();
  if (falls_in(plan_.event_steps))
    return events_.act();
  if (falls_in(plan_.ticks))
    return move_clock_by_chance();
  if (plan_.full && falls_in(4)) {
    node_->its_disk->full = !node_->its_disk->full;
    checker_.full(node_->its_disk->full);
  }
  run_a_job();
}

/// The next actor, as the seed says; the store may take its time.
void simulator::run_a_job() {
  auto& jobs = scheduler_.jobs;
  ++checker_.now.step;
  if (jobs.empty())
    return;
  auto at = luck_.below(jobs.size());
  const auto id_of = [&](std::size_t i) { return dynamic_cast<caf::local_actor&>(*jobs[i]).id(); };
  const auto store = node_->store->id();
  if (id_of(at) == store && checker_.now.step < store_sleeps_until_) {
    if (jobs.size() == 1) {
      store_sleeps_until_ = 0;
      move_clock(20);
    }
    at = (at + 1) % jobs.size();
  }
  handle(at);
}

void simulator::handle(std::size_t job) {
  auto& jobs = scheduler_.jobs;
  std::swap(jobs[job], jobs.front());
  auto& actor = dynamic_cast<caf::scheduled_actor&>(*jobs.front());
  checker_.mix(actor.id());
  ++found_.events;
  crash_at_look_ = 0;
  if (actor.id() == node_->store->id() && luck_.percent(plan_.slow))
    store_sleeps_until_ = checker_.now.step + luck_.below(60);
  look_at(actor);
  scheduler_.run_once();
  crash_at_look_ = 0;
}

/// Learns which entity an actor writes, sees that it is the only one, and lets it crash now and
/// then in the middle of what it does.
void simulator::look_at(caf::scheduled_actor& actor) {
  if (std::string_view{actor.name()} == "troupe.set")
    return look_at_set(actor);
  if (std::string_view{actor.name()} != "troupe.scope")
    return;
  auto known = scopes_.find(actor.id());
  if (const auto* head = actor.mailbox().peek(); head != nullptr && known == scopes_.end()) {
    const entity_ref* entity = nullptr;
    if (auto asked = caf::make_const_typed_message_view<command>(head->payload))
      entity = &caf::get<0>(asked).entity;
    else if (auto sent = caf::make_const_typed_message_view<host_command>(head->payload))
      entity = &caf::get<0>(sent).envelope.entity;
    else if (auto read = caf::make_const_typed_message_view<get_state>(head->payload))
      entity = &caf::get<0>(read).entity;
    else if (auto looked = caf::make_const_typed_message_view<host_read>(head->payload))
      entity = &caf::get<0>(looked).query.entity;
    else if (auto set = caf::make_const_typed_message_view<reserve_member>(head->payload))
      entity = &caf::get<0>(set).entity;
    if (entity != nullptr) {
      known = scopes_.emplace(actor.id(), scope_seen{*entity, actor.address()}).first;
      if (const auto before = writers_.find(*entity); before != writers_.end()) {
        const auto still = caf::actor_cast<caf::strong_actor_ptr>(before->second);
        if (still && !still->get()->getf(caf::abstract_actor::is_terminated_flag))
          checker_.violated("two live actors write " + to_string(*entity));
      }
      writers_.insert_or_assign(*entity, actor.address());
    }
  }
  if (known != scopes_.end() && luck_.percent(plan_.scope_crashes)) {
    crash_at_look_ = 1 + luck_.below(3);
    crashing_ = &known->second.entity;
  }
}

/// Learns which entities a set's actor reserves.
void simulator::look_at_set(caf::scheduled_actor& actor) {
  const auto* head = actor.mailbox().peek();
  if (head == nullptr)
    return;
  if (auto asked = caf::make_const_typed_message_view<host_change_set>(head->payload)) {
    auto& seen = sets_[actor.id()];
    seen.actor = actor.address();
    for (const auto& one : caf::get<0>(asked).set.commands)
      seen.entities.push_back(one.entity);
  }
}

timestamp simulator::clock() {
  if (crash_at_look_ > 0 && --crash_at_look_ == 0) {
    ++found_.scope_crashes;
    checker_.scope_crashed(*crashing_);
    if (checker_.told)
      checker_.told("the actor of " + to_string(*crashing_) + " crashed");
    throw std::runtime_error{"simulated crash"};
  }
  return clock_;
}

/// By hours only while nobody waits for an answer, and who repeats a command behind these hours
/// repeats one that has landed: whether its key is forgotten is clear then.
void simulator::move_clock_by_chance() {
  if (plan_.days && waiting_ == 0 && luck_.percent(10)) {
    sets_to_repeat_.clear();
    std::erase_if(to_repeat_, [this](auto id) {
      return checker_.newest_with_its_key(checker_.find(id)).landed == 0;
    });
    return move_clock((luck_.percent(50) ? 5 : 25) * 3'600'000);
  }
  move_clock(luck_.percent(2)    ? quarantine_over_ms
             : luck_.percent(20) ? 1'000 + static_cast<std::int64_t>(luck_.below(6'000))
                                 : static_cast<std::int64_t>(luck_.below(100)));
}

void simulator::move_clock(std::int64_t ms) {
  clock_.ms += ms;
  checker_.now.clock = clock_;
  found_.virtual_ms += static_cast<std::uint64_t>(ms);
  checker_.mix(static_cast<std::uint64_t>(ms));
  scheduler_.advance_time(std::chrono::milliseconds{ms});
}

// The node
// ------------------------------------------------------------------------------------------------

void simulator::start() {
  ++life_;
  waiting_ = 0;
  crash_wanted_ = false;
  store_sleeps_until_ = 0;
  auto& is = node_.emplace();
  auto below = std::make_unique<faulty_store>(disk_, checker_, events_, luck_, plan_, is.its_disk);
  is.store = spawn_store(world_.system(), std::move(below),
                         {.detached = false,
                          .on_fatal =
                              [this, its = is.its_disk](const error&) {
                                its->gone = its->gone || luck_.percent(70);
                                crash_wanted_ = true;
                              },
                          .feed = is.feed});
  is.supervisor = spawn_supervisor(world_.system(), {.store = is.store,
                                                     .live = is.live,
                                                     .now = [this] { return clock(); },
                                                     .max_live = plan_.max_live,
                                                     .idle_ms = plan_.idle_ms});
  is.way_in.emplace(is.supervisor, is.live);
  if (plan_.clean_up)
    is.cleaner = spawn_cleaner(world_.system(), {.store = is.store,
                                                 .supervisor = is.supervisor,
                                                 .live = is.live,
                                                 .now = [this] { return clock_; },
                                                 .spare_awake = plan_.idle_ms != 0,
                                                 .policy = plan_.clean_up});
  if (plan_.readers == 0)
    return;
  is.hub = spawn_event_hub(world_.system(), {is.store, is.feed});
  events_.node_began(is.hub, is.feed);
}

/// All actors vanish: what they still do on their way out is seen by nobody and reaches no disk.
void simulator::crash() {
  ++found_.crashes;
  node_->its_disk->gone = true;
  ++life_;
  for (const auto& actor :
       {caf::actor_cast<caf::actor>(node_->supervisor), caf::actor_cast<caf::actor>(node_->store)})
    caf::anon_send_exit(actor, caf::exit_reason::kill);
  for (const auto& [id, scope] : scopes_)
    if (const auto left = caf::actor_cast<caf::actor>(scope.actor))
      caf::anon_send_exit(left, caf::exit_reason::kill);
  for (const auto& [id, set] : sets_)
    if (const auto left = caf::actor_cast<caf::actor>(set.actor))
      caf::anon_send_exit(left, caf::exit_reason::kill);
  if (node_->cleaner)
    caf::anon_send_exit(caf::actor_cast<caf::actor>(node_->cleaner), caf::exit_reason::kill);
  if (node_->hub)
    caf::anon_send_exit(caf::actor_cast<caf::actor>(node_->hub), caf::exit_reason::kill);
  events_.node_crashed();
  scopes_.clear();
  sets_.clear();
  writers_.clear();
  node_.reset();
  crash_at_look_ = 0;
  for (std::uint64_t i = 0; !scheduler_.jobs.empty() && i < endless; ++i)
    scheduler_.run_once();
  checker_.node_crashed();
  checker_.mix("crash");
  if (checker_.told)
    checker_.told("the node crashed");
}

/// The actor of one change set ends, wherever it stands.
void simulator::crash_a_set() {
  std::erase_if(sets_, [](const auto& one) {
    const auto actor = caf::actor_cast<caf::strong_actor_ptr>(one.second.actor);
    return !actor || actor->get()->getf(caf::abstract_actor::is_terminated_flag);
  });
  if (sets_.empty())
    return;
  const auto at = std::next(sets_.begin(), static_cast<std::ptrdiff_t>(luck_.below(sets_.size())));
  for (const auto& entity : at->second.entities)
    checker_.fault(entity);
  caf::anon_send_exit(caf::actor_cast<caf::actor>(at->second.actor), caf::exit_reason::kill);
  ++found_.set_crashes;
  checker_.mix("set crashed");
  if (checker_.told)
    checker_.told("the actor of a set crashed");
}

}  // namespace troupe::simulation
