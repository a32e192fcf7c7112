#pragma once

/// Threads of the host that run actors beside what else they do. Like `caf_compat.hpp` it knows
/// what CAF 0.18 and CAF 1.x spell differently: in 1.x CAF's workers run everybody.

#include <troupe/messages/burst.hpp>

#if CAF_MAJOR_VERSION < 1
#include <caf/scoped_execution_unit.hpp>
#endif

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace troupe::compat {

#if CAF_MAJOR_VERSION >= 1

class lanes {};

class lane final : public waker {
public:
  lane(caf::actor_system&, std::shared_ptr<lanes>, std::function<void()>) {}
  void run() noexcept {}
  [[nodiscard]] static lane* here(const lanes&) noexcept { return nullptr; }
  [[nodiscard]] static lane_number number_here() noexcept { return workers; }
};

#else  // 0.18

class lane;

/// The lanes of one runtime. Outlives the actors that they run. Any thread may ask.
class lanes {
public:
  /// Has those run there, if it is open. False: it is not, and `woken` is as it was.
  bool give(lane_number to, std::vector<caf::resumable*>& woken) noexcept;

private:
  friend class lane;

  std::mutex mutex_;  // and of what was given to each
  std::vector<lane*> open_;
  std::optional<caf::scoped_execution_unit> workers_;  // for whom a lane runs actors; once set
};

/// A thread that runs the actors which its own requests put to work, and those again when the store
/// has answered them. So what came with the request is at hand when it is decided, and the answer
/// leaves on the thread that it is for; a worker in between would be woken, wait for a core and
/// read all of it from another core's cache, twice. All others CAF's workers run: also those to
/// whom these actors send.
class lane final : public waker {
public:
  /// Of the calling thread, which has no other. `wake` is called by any thread when somebody waits
  /// and nobody did: it makes this one call `run` soon. It calls nothing of this itself, does not
  /// throw, and takes no lock that is held by who sends, runs or ends.
  lane(caf::actor_system& system, std::shared_ptr<lanes> all, std::function<void()> wake);
  lane(const lane&) = delete;
  lane& operator=(const lane&) = delete;
  /// On the same thread, while the system is there. Who waits still is run by the workers.
  ~lane() override;

  /// Runs everybody who waits, once: each for as many messages as a worker would.
  void run() noexcept;

  /// The calling thread's, if it has one of these; else null.
  [[nodiscard]] static lane* here(const lanes& all) noexcept;
  /// The same lane has it never again, nor has another, of whatever runtime.
  [[nodiscard]] static lane_number number_here() noexcept;

  /// CAF's: `woken` comes with a reference, which `run` gives back.
  void exec_later(caf::resumable* woken) noexcept override;

private:
  friend class lanes;

  void take_given();

  const std::shared_ptr<lanes> all_;
  const std::function<void()> wake_;
  const lane_number number_;
  std::vector<caf::resumable*> woken_, spare_;
  std::vector<caf::resumable*> given_;  // by other threads
};

#endif

}  // namespace troupe::compat
