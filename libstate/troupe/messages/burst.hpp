#pragma once

/// Waking many actors at once, for CAF's workers or for a lane (`lane.hpp`). Like `caf_compat.hpp`
/// it knows what CAF 0.18 and CAF 1.x spell differently: in 1.x everybody is woken at once, one by
/// one.

#include <troupe/messages/caf_compat.hpp>

#include <caf/actor_system.hpp>
#if CAF_MAJOR_VERSION < 1
#include <caf/execution_unit.hpp>
#include <caf/ref_counted.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#endif

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace troupe::compat {

class lanes;

/// Which lane of a system an actor runs on.
using lane_number = std::uint32_t;
inline constexpr lane_number workers = 0;  // none: CAF's own threads

#if CAF_MAJOR_VERSION >= 1

class waker {
public:
  template <class Dst, class Message>
  void anon_send(const Dst& dst, Message&& what) {
    compat::anon_send(dst, std::forward<Message>(what));
  }
};

class answering_in_burst {
public:
  template <class Self>
  answering_in_burst(const Self&, lanes*) {}
  void go_to(lane_number) {}
};

#else  // 0.18

/// Sends for a thread of the host, and keeps those whom that woke.
class waker : public caf::execution_unit {
public:
  using caf::execution_unit::execution_unit;

  template <class Dst, class Message>
  void anon_send(const Dst& dst, Message&& what) {
    dst->eq_impl(caf::make_message_id(), nullptr, this, std::forward<Message>(what));
  }
};

/// Actors that one thread woke and nobody runs yet. A wake-up of its own is a lock and, while those
/// who run actors sleep, some calls of the kernel for each; handed over together it is that for
/// sixteen, which one thread then runs one after the other. What they were sent stands in their
/// mailboxes meanwhile, in its place.
///
/// One thread's own. The system must outlive it.
class burst final : public waker {
public:
  static constexpr std::size_t most = 16;  // actors for one place; then: they are handed over

  /// Null: to the workers, all of them.
  burst(caf::actor_system& system, lanes* all) : waker{&system}, lanes_{all} {}
  burst(const burst&) = delete;
  burst& operator=(const burst&) = delete;
  ~burst() override { hand_over(); }

  /// Who is woken from now on runs there.
  void go_to(lane_number lane) {
    for (place_ = 0; places_[place_].lane != lane; ++place_)
      if (place_ + 1 == places_.size())
        places_.push_back({lane, {}});
  }

  /// Each to its lane, or the workers when there is none. Nobody is forgotten: the destructor does
  /// it too.
  void hand_over() {
    for (auto& [lane, woken] : places_)
      hand_over(lane, woken);
  }

  /// CAF's: `woken` comes with a reference, which whoever runs it gives back.
  void exec_later(caf::resumable* woken) override {
    auto& [lane, all] = places_[place_];
    if (all.empty())
      all.reserve(most);
    all.push_back(woken);
    if (all.size() == most)
      hand_over(lane, all);
  }

private:
  struct place {
    lane_number lane;
    std::vector<caf::resumable*> woken;
  };

  bool give(lane_number lane, std::vector<caf::resumable*>& woken);
  void hand_over(lane_number lane, std::vector<caf::resumable*>& woken) {
    if (woken.empty() || (lane != workers && give(lane, woken)))
      return;
    if (woken.size() == 1)
      system().scheduler().enqueue(std::exchange(woken, {}).front());
    else
      system().scheduler().enqueue(new together{std::exchange(woken, {})});
  }

  /// One job of the scheduler that stands for many.
  class together final : public caf::resumable, public caf::ref_counted {
  public:
    explicit together(std::vector<caf::resumable*> woken) : woken_{std::move(woken)} {}
    ~together() override {
      for (; next_ < woken_.size(); ++next_)
        intrusive_ptr_release(woken_[next_]);
    }

    subtype_t subtype() const override { return function_object; }
    resume_result resume(caf::execution_unit* by, std::size_t max_throughput) override {
      while (next_ < woken_.size()) {
        auto* one = woken_[next_++];
        if (one->resume(by, max_throughput) == resume_later)
          by->exec_later(one);
        else
          intrusive_ptr_release(one);
      }
      return done;
    }
    void intrusive_ptr_add_ref_impl() override { ref(); }
    void intrusive_ptr_release_impl() override { deref(); }

  private:
    std::vector<caf::resumable*> woken_;
    std::size_t next_ = 0;
  };

  lanes* lanes_;
  std::vector<place> places_ = {{workers, {}}};
  std::size_t place_ = 0;  // of whoever is woken next
};

/// While it lives, the answers of an actor with a thread of its own wake those who asked in bursts.
class answering_in_burst {
public:
  template <class Self>
  answering_in_burst(const Self& self, lanes* all)
      : self_{self},
        before_{self->context()},
        woken_{self->home_system(), all} {
    self_->context(&woken_);
  }
  answering_in_burst(const answering_in_burst&) = delete;
  answering_in_burst& operator=(const answering_in_burst&) = delete;
  ~answering_in_burst() { self_->context(before_); }

  void go_to(lane_number lane) { woken_.go_to(lane); }

private:
  caf::local_actor* self_;
  caf::execution_unit* before_;
  burst woken_;
};

#endif

}  // namespace troupe::compat
