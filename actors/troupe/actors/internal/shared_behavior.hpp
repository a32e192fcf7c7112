#pragma once

/// Actors of one kind with one table of handlers between them. Not installed.

#include <troupe/messages/caf_compat.hpp>

#include <utility>

namespace troupe::internal {

/// Whose message this thread handles; null between messages.
template <class State>
inline thread_local State* handled_here = nullptr;

/// REQUIRES: called by a handler of a `shared_behavior_actor`.
template <class State>
[[nodiscard]] State& handled_by() noexcept {
  return *handled_here<State>;
}

/// What `resume` takes and returns, which CAF 0.18 and 1.x spell differently.
template <class Function>
struct resume_signature;
template <class Result, class Place, class Most>
struct resume_signature<Result (caf::resumable::*)(Place, Most)> {
  using result = Result;
  using place = Place;
  using most = Most;
};

/// A stateful actor whose handlers hold nothing, not even their actor, which `handled_by` tells: so
/// `State::make_behavior` may return a copy of one table to every actor, and none has its own. At
/// its end, however it comes, and when the state is gone, what `State::last_word` returned is
/// called with the reason; an attached functor would be an allocation for each actor alive.
template <class State, class Base>
class shared_behavior_actor : public caf::stateful_actor<State, Base> {
  using super = caf::stateful_actor<State, Base>;
  using signature = resume_signature<decltype(&caf::resumable::resume)>;

public:
  using super::super;

  typename signature::result resume(typename signature::place where,
                                    typename signature::most messages) override {
    struct handling {
      State* before;
      explicit handling(State& now) : before{std::exchange(handled_here<State>, &now)} {}
      handling(const handling&) = delete;
      handling& operator=(const handling&) = delete;
      ~handling() { handled_here<State> = before; }
    };
    const handling now{this->state};
    return super::resume(where, messages);
  }

  /// What CAF keeps for answers that it waits for, when it waits for none.
  void forget_room() {
    if (this->multiplexed_responses_.empty())
      this->multiplexed_responses_ = {};
  }

  void on_exit() override {
    const auto last_word = this->state.last_word();
    super::on_exit();
    last_word(this->fail_state_);
  }
};

/// REQUIRES: called by a handler of this actor, which is a `shared_behavior_actor` of the state.
template <class State, class Base>
void forget_room(Base& self) {
  static_cast<shared_behavior_actor<State, Base>&>(self).forget_room();
}

}  // namespace troupe::internal
