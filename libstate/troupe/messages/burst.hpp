#pragma once

/// Waking many actors at once. Like `caf_compat.hpp` it knows what CAF 0.18 and CAF 1.x spell
/// differently: in 1.x everybody is woken at once, one by one.

#include <troupe/messages/caf_compat.hpp>

#include <caf/actor_system.hpp>
#if CAF_MAJOR_VERSION < 1
#include <caf/execution_unit.hpp>
#include <caf/ref_counted.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#endif

#include <cstddef>
#include <utility>
#include <vector>

namespace troupe::compat {

#if CAF_MAJOR_VERSION >= 1

class burst {
public:
  explicit burst(caf::actor_system&) {}
  [[nodiscard]] bool empty() const noexcept { return true; }
  void hand_over() {}

  template <class Dst, class Message>
  void anon_send(const Dst& dst, Message&& what) {
    compat::anon_send(dst, std::forward<Message>(what));
  }
};

class answering_in_burst {
public:
  template <class Self>
  explicit answering_in_burst(const Self&) {}
};

#else  // 0.18

/// Actors that one thread woke and nobody runs yet. A wake-up of its own is a lock and, while the
/// workers sleep, some calls of the kernel for each; handed over together it is that for sixteen,
/// which one worker then runs one after the other. What they were sent stands in their mailboxes
/// meanwhile, in its place.
///
/// One thread's own. The system must outlive it.
class burst final : public caf::execution_unit {
public:
  static constexpr std::size_t most = 16;  // actors woken; then: they are handed over

  explicit burst(caf::actor_system& system) : caf::execution_unit{&system} {}
  burst(const burst&) = delete;
  burst& operator=(const burst&) = delete;
  ~burst() override { hand_over(); }

  template <class Dst, class Message>
  void anon_send(const Dst& dst, Message&& what) {
    dst->eq_impl(caf::make_message_id(), nullptr, this, std::forward<Message>(what));
  }

  [[nodiscard]] bool empty() const noexcept { return woken_.empty(); }

  /// To the workers. Nobody is forgotten: the destructor does it too.
  void hand_over() {
    if (woken_.size() == 1)
      system().scheduler().enqueue(std::exchange(woken_, {}).front());
    else if (!woken_.empty())
      system().scheduler().enqueue(new together{std::exchange(woken_, {})});
  }

  /// CAF's: `woken` comes with a reference, which the scheduler gives back.
  void exec_later(caf::resumable* woken) override {
    if (woken_.empty())
      woken_.reserve(most);
    woken_.push_back(woken);
    if (woken_.size() == most)
      hand_over();
  }

private:
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

  std::vector<caf::resumable*> woken_;
};

/// While it lives, the answers of an actor with a thread of its own wake those who asked in bursts.
class answering_in_burst {
public:
  template <class Self>
  explicit answering_in_burst(const Self& self)
      : self_{self},
        before_{self->context()},
        woken_{self->home_system()} {
    self_->context(&woken_);
  }
  answering_in_burst(const answering_in_burst&) = delete;
  answering_in_burst& operator=(const answering_in_burst&) = delete;
  ~answering_in_burst() { self_->context(before_); }

private:
  caf::local_actor* self_;
  caf::execution_unit* before_;
  burst woken_;
};

#endif

}  // namespace troupe::compat
