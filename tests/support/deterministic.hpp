#pragma once

/// An actor system without threads and with a virtual clock: the one place of the tests that
/// touches CAF's own test scheduler. `run()` lets every message be handled; nothing happens in
/// between.

#include <troupe/messages/messages.hpp>

#if CAF_MAJOR_VERSION >= 1
#include <caf/test/fixture/deterministic.hpp>
#include <caf/test/reporter.hpp>
#else
#include <caf/scheduler/test_coordinator.hpp>
#endif

#include <caf/actor_system.hpp>

#include <chrono>
#include <memory>

namespace troupe::testing {

#if CAF_MAJOR_VERSION >= 1

class deterministic_system {
public:
  caf::actor_system& system() { return fixture_.sys; }
  std::size_t run() { return fixture_.dispatch_messages(); }
  /// Handles one message, of the actor whose turn it is. False: there was none.
  bool step() { return fixture_.dispatch_message(); }
  /// Moves the clock of CAF's timers, and lets what fell due be handled.
  void advance(std::chrono::milliseconds by) {
    fixture_.advance_time(by);
    run();
  }

private:
  struct reporter_guard {  // the fixture prints through CAF's reporter, which a foreign test runner
                           // lacks
    reporter_guard() { caf::test::reporter::instance(reporter.get()); }
    ~reporter_guard() { caf::test::reporter::instance(nullptr); }
    std::unique_ptr<caf::test::reporter> reporter = caf::test::reporter::make_default();
  };
  bool initialised_ = (init_messages(), true);
  reporter_guard guard_;
  caf::test::fixture::deterministic fixture_;
};

#else

class deterministic_system {
public:
  deterministic_system()
      : system_{config_},
        scheduler_{static_cast<caf::scheduler::test_coordinator&>(system_.scheduler())} {}
  ~deterministic_system() { run(); }
  deterministic_system(const deterministic_system&) = delete;

  caf::actor_system& system() { return system_; }
  std::size_t run() { return scheduler_.run(); }
  /// Handles what one actor has, of the one whose turn it is. False: there was nothing.
  bool step() { return scheduler_.try_run_once(); }
  /// Moves the clock of CAF's timers, and lets what fell due be handled.
  void advance(std::chrono::milliseconds by) {
    scheduler_.advance_time(by);
    run();
  }

  /// What can run and when, for a simulator that picks for itself.
  caf::scheduler::test_coordinator& scheduler() { return scheduler_; }

private:
  struct config : caf::actor_system_config {
    config() {
      init_messages();
      set("caf.scheduler.policy", "testing");
    }
  };
  config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
};

#endif

}  // namespace troupe::testing
