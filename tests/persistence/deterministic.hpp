#pragma once

/// An actor system without threads and with a clock of its own: messages move only when a test says `run()`.

#include <troupe/messages/messages.hpp>

#if CAF_MAJOR_VERSION >= 1
#  include <caf/test/fixture/deterministic.hpp>
#  include <caf/test/reporter.hpp>
#else
#  include <caf/scheduler/test_coordinator.hpp>
#endif

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <memory>

namespace troupe::testing {

#if CAF_MAJOR_VERSION >= 1

class deterministic {
 public:
  caf::actor_system& system() { return fixture_.sys; }
  void run() { fixture_.dispatch_messages(); }

 private:
  struct reporter_guard {  // the fixture prints through CAF's reporter, which doctest lacks
    std::unique_ptr<caf::test::reporter> ptr = caf::test::reporter::make_default();
    reporter_guard() { caf::test::reporter::instance(ptr.get()); }
    ~reporter_guard() { caf::test::reporter::instance(nullptr); }
  };
  struct types {
    types() { init_messages(); }
  };
  types types_;
  reporter_guard guard_;
  caf::test::fixture::deterministic fixture_;
};

#else

class deterministic {
 public:
  ~deterministic() { run(); }
  caf::actor_system& system() { return system_; }
  void run() { scheduler().run(); }

 private:
  struct config : caf::actor_system_config {
    config() {
      init_messages();
      set("caf.scheduler.policy", "testing");
    }
  };
  caf::scheduler::test_coordinator& scheduler() {
    return static_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  }
  config config_;
  caf::actor_system system_{config_};
};

#endif

}  // namespace troupe::testing
