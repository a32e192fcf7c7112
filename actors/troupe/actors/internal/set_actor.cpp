#include <troupe/actors/internal/asker.hpp>
#include <troupe/actors/internal/set_actor.hpp>

#include <utility>
#include <vector>

namespace troupe::internal {

namespace {

/// Reserve, decide, commit, settle, answer: in this order.
///
/// Every set reserves its entities one by one in the order of their names, so that sets which cross
/// wait for each other and never in a circle. Nothing is decided before all are reserved; nothing
/// is written before all have decided; nothing is answered before all know what became of it.
///
/// Whoever ends too early: a reserved entity watches this actor, and this actor hears of an entity
/// that ended when it asks it. Before the commit that refuses the set. After it the successor is
/// told to read again, as it may have read the disk before the set was there.
class set_behavior {
public:
  static inline const char* name = "troupe.set";

  set_behavior(set_actor::pointer self, supervisor_actor supervisor, store_actor store,
               clock_source now)
      : self_{self},
        supervisor_{std::move(supervisor)},
        store_{std::move(store)},
        now_{std::move(now)} {}

  set_actor::behavior_type make_behavior() {
    return {[this](change_set& what) -> caf::result<change_set_result> {
              auto promise = self_->make_response_promise<change_set_result>();
              begin(what, asker<change_set_result>{promise});
              return promise;
            },
            [this](host_change_set& what) { begin(what.set, asker{std::move(what.done)}); }};
  }

private:
  struct member {
    std::size_t place;  // in the set as it was given
    command request;
    reservation reserved{};
    expected<member_decision> decision{};
    std::uint64_t revision = 0;  // that the set makes of it; 0: none
  };

  void begin(change_set& what, asker<change_set_result> asked_by) {
    asked_by_ = std::move(asked_by);
    if (auto order = checked_order(what); !order) {
      answer_ = tl::unexpected(std::move(order.error()));
      end();
    } else {
      once_ = std::move(what.once);
      for (const auto place : *order)
        members_.push_back({place, std::move(what.commands[place])});
      reserve_next();
    }
  }

  void reserve_next() {
    if (reserved_ == members_.size())
      return all_reserved();
    auto& next = members_[reserved_];
    compat::request(self_, supervisor_,
                    reserve_member{next.request.entity, set_actor{self_}, once_})
        .then(
            [this, &next](reservation& x) {
              next.reserved = std::move(x);
              ++reserved_;
              reserve_next();
            },
            [this, &next](const caf::error& why) { refuse(next, from_caf(why)); });
  }

  void all_reserved() {
    for (const auto& one : members_)
      if (one.reserved.made)
        return repeat();
    const auto now = now_();
    left_ = members_.size();
    for (auto& one : members_) {
      one.request.once = once_;
      compat::request(self_, one.reserved.member, decide_member{one.request, now})
          .then(
              [this, &one](member_decision& x) { decided(one, std::move(x)); },
              [this, &one](const caf::error& why) { decided(one, tl::unexpected(from_caf(why))); });
    }
  }

  /// The first time it was made or it was not, as a whole: what has no answer was not changed.
  void repeat() {
    change_set_result out;
    out.answers.resize(members_.size());
    out.repeated = true;
    for (auto& one : members_) {
      const auto& state = one.reserved.state;
      const auto earlier = one.reserved.made.value_or(outcome{.revision = state->revision});
      out.answers[one.place] = {earlier, state, true, true};
    }
    answer_ = std::move(out);
    settle({settle_member::what::dropped});
  }

  void decided(member& one, expected<member_decision> decision) {
    one.decision = std::move(decision);
    if (--left_ > 0)
      return;
    for (auto& x : members_)
      if (!x.decision)
        return refuse(x, std::move(x.decision.error()));
    commit();
  }

  void commit() {
    change_set_result out;
    out.answers.resize(members_.size());
    commit_set changes;
    for (auto& one : members_) {
      if (one.decision->change) {
        one.revision = one.decision->change->sequence;
        changes.changes.push_back(*std::move(one.decision->change));
      }
      out.answers[one.place] = std::move(one.decision->answer);
    }
    answer_ = std::move(out);
    if (changes.changes.empty())
      return settle({settle_member::what::dropped});
    compat::request(self_, store_, std::move(changes))
        .then([this](const commit_receipt&) { settle({settle_member::what::made}); },
              [this](const caf::error& why) { on_commit_failed(from_caf(why)); });
  }

  void on_commit_failed(error why) {
    const bool sure = why.code == errc::store_failed || why.code == errc::store_full;
    answer_ = tl::unexpected(why);
    settle({sure ? settle_member::what::dropped : settle_member::what::unknown, std::move(why)});
  }

  /// Nothing was sent to the store, so whatever became of the entity's actor, nothing was written.
  void refuse(const member& one, error why) {
    if (why.code == errc::outcome_unknown)
      why = {errc::busy, "ended before the set was made, nothing of which was written; repeat it"};
    answer_ = tl::unexpected(refusal_of(one.place, entity_of(one), std::move(why)));
    settle({settle_member::what::dropped});
  }

  /// Tells all that are reserved, and ends when they know.
  void settle(settle_member how) {
    left_ = reserved_;
    if (left_ == 0)
      return end();
    for (std::size_t i = 0; i < reserved_; ++i) {
      auto& one = members_[i];
      const bool matters = how.is != settle_member::what::dropped;
      compat::request(self_, one.reserved.member, how)
          .then([this] { settled(); },
                [this, &one, matters](const caf::error&) {
                  if (matters)
                    have_read_again(one);
                  else
                    settled();
                });
    }
  }

  void have_read_again(const member& one) {
    compat::request(self_, supervisor_, read_again{entity_of(one), one.revision})
        .then([this] { settled(); }, [this](const caf::error&) { settled(); });
  }

  void settled() {
    if (--left_ == 0)
      end();
  }

  void end() {
    if (answer_)
      asked_by_.answer(*std::move(answer_));
    else
      asked_by_.refuse(answer_.error());
    self_->quit();
  }

  static const entity_ref& entity_of(const member& one) { return one.request.entity; }

  set_actor::pointer self_;
  supervisor_actor supervisor_;
  store_actor store_;
  clock_source now_;
  asker<change_set_result> asked_by_;
  std::optional<idempotency> once_;
  std::vector<member> members_;  // in the order of their names; never grows once they are reserved
  std::size_t reserved_ = 0;     // the first so many
  std::size_t left_ = 0;         // answers that are awaited
  expected<change_set_result> answer_;
};

}  // namespace

set_actor spawn_set(caf::actor_system& system, supervisor_actor supervisor, store_actor store,
                    clock_source now) {
  return system.spawn<caf::stateful_actor<set_behavior, set_actor::base>>(
      std::move(supervisor), std::move(store), std::move(now));
}

}  // namespace troupe::internal
