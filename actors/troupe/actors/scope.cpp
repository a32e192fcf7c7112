#include <troupe/actors/internal/commit_line.hpp>
#include <troupe/actors/internal/kept_answers.hpp>
#include <troupe/actors/internal/loading.hpp>
#include <troupe/actors/internal/past.hpp>
#include <troupe/actors/internal/shared_behavior.hpp>
#include <troupe/actors/scope.hpp>
#include <troupe/state/versions.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <list>
#include <utility>

namespace troupe {

namespace {

using internal::asker;
using internal::reply;
using internal::state_ptr;

error still_running() {
  return {errc::in_flight, "the request with this idempotency key is still running"};
}

/// Decide, journal, become, publish, answer: in this order.
///
/// This is the first half: a command is decided against the newest state, and goes down the commit
/// line, `line()`, which does the rest.
///
/// A command that needs what is not at hand (an earlier revision, another entity's state) is held
/// in `held_` while the store is asked, and all that come behind it wait in `waiting_`. So do those
/// behind a change set's reservation (`member_`), until the set is settled.
///
/// There may be a million of these: an entity at rest holds nothing that it does without.
class scope_behavior : private internal::commit_line {
public:
  static inline const char* name = "troupe.scope";

  using commit_line::commit_line;

  scope_actor::behavior_type make_behavior() {
    load();
    static const auto shared = handlers();
    return shared;
  }

  /// The actor's end, however it comes: the supervisor hears of it once nothing is left here.
  [[nodiscard]] auto last_word() const {
    return [entity = shared_entity(), supervisor = around().supervisor](const caf::error& why) {
      compat::anon_send(supervisor, entity_ended{entity, why});
    };
  }

private:
  static scope_behavior& here() { return internal::handled_by<scope_behavior>(); }

  /// One table for all entities, whose handlers find the one that the message is for.
  static scope_actor::behavior_type handlers() {
    return {
        [](host_command& x) {
          here().on_command({std::move(x.envelope), asker{std::move(x.done)}});
        },
        [](host_read& x) {
          here().on_get_state({x.query.latest, asker{std::move(x.done)}});
        },
        [](command& x) {
          return here().asked<command_result>([&](auto to) {
            here().on_command({std::move(x), to});
          });
        },
        [](const get_state& x) {
          return here().asked<state_snapshot>([&](auto to) {
            here().on_get_state({x.latest, to});
          });
        },
        [](reserve_member& x) {
          return here().asked<reservation>([&](auto to) {
            here().on_reserve_member({std::move(x), to});
          });
        },
        [](decide_member& x) {
          return here().asked<member_decision>([&](auto to) { here().on_decide_member(x, to); });
        },
        [](settle_member& x) { here().on_settle_member(x); },
        [](const read_again& x) { here().on_read_again(x.revision); },
        [](retire) { here().on_retire(); }};
  }

  struct waiting_command {
    command request;
    asker<command_result> to;
  };
  struct waiting_read {
    bool latest;
    asker<state_snapshot> to;
  };
  struct waiting_reservation {
    reserve_member request;
    asker<reservation> to;
  };
  using waiting_request = std::variant<waiting_command, waiting_read, waiting_reservation>;

  struct held_command {
    command request;
    internal::any_asker to;  // who asked: somebody, or a set
    timestamp now;
    internal::past past{};
    std::optional<error> fault{};
    bool waits = false;  // until no commit is on its way
    bool kept = false;   // beyond the call that decides it
  };
  struct end_if_kept {
    void operator()(held_command* what) const noexcept {
      if (what->kept)
        delete what;
    }
  };

  /// An actor's request, which `what` answers now or later.
  template <class Answer, class What>
  caf::result<Answer> asked(What what) {
    auto promise = self()->make_response_promise<Answer>();
    what(asker<Answer>{promise});
    return promise;
  }

  // Loading -----------------------------------------------------------------------------------

  void load() {
    compat::request(self(), around().store, load_request{entity(), {}})
        .then([this](const stored_entity& stored) { on_loaded(stored); },
              [this](const caf::error& why) { on_load_failed(from_caf(why)); });
  }

  void on_loaded(const stored_entity& stored) {
    if (std::exchange(stale_, false))
      return load();
    auto state = internal::take_in(stored, answers_);
    if (!state)
      return on_load_failed(state.error());
    count_unfolded(stored.parts.changes.size());
    line().become(*std::move(state));
    // Whoever woke it is still on the way when nobody waits: then it comes to rest after that.
    const bool asked = waiting_ != nullptr;
    take_waiting();
    if (asked || retiring_)
      come_to_rest();
  }

  void count_unfolded(std::size_t changes) {
    static_assert(max_unfolded_changes < std::numeric_limits<decltype(unfolded_)>::max());
    unfolded_ = static_cast<std::uint8_t>(
        std::min<std::size_t>(unfolded_ + changes, max_unfolded_changes + 1));
  }

  void on_load_failed(const error& why) {
    spdlog::error("{} cannot be loaded: {}", to_string(entity()), why.message);
    refuse_waiting(why);
    self()->quit();
  }

  [[nodiscard]] bool loaded() const { return line().durable() != nullptr; }

  // Requests ----------------------------------------------------------------------------------

  void on_command(waiting_command&& what) {
    if (is_full())
      what.to.refuse(full());
    else if (stopped())
      wait(std::move(what));
    else
      execute(std::move(what));
  }

  [[nodiscard]] bool is_full() const {
    return (waiting_ ? waiting_->size() : 0) + line().answers() >= max_commands_in_flight;
  }
  [[nodiscard]] error full() const {
    return {
        .code = errc::busy,
        .message = "this " + std::string{to_string(entity().kind)}
                   + " has 64 commands in flight; wait for an answer, or try again in some 100 ms",
        .limit = max_commands_in_flight,
        .retry_after_ms = 100};
  }

  /// Nothing is begun until it is loaded, what is held was decided, and the set that reserved was
  /// settled.
  [[nodiscard]] bool stopped() const { return !loaded() || held_ || member_; }

  void on_get_state(waiting_read what) {
    if (stopped())
      wait(std::move(what));
    else
      answer_read(std::move(what));
  }

  void on_retire() {
    retiring_ = true;
    if (!stopped())
      line().send_unwritten();
    come_to_rest();
  }

  void wait(waiting_request what) {
    if (!waiting_)
      waiting_ = std::make_unique<std::list<waiting_request>>();
    waiting_->push_back(std::move(what));
  }

  /// What waited, until something is held again.
  void take_waiting() {
    while (waiting_ && !stopped()) {
      auto request = std::move(waiting_->front());
      waiting_->pop_front();
      if (waiting_->empty())
        waiting_.reset();
      if (auto* command = std::get_if<waiting_command>(&request))
        execute(std::move(*command));
      else if (auto* set = std::get_if<waiting_reservation>(&request))
        reserve(std::move(*set));
      else
        answer_read(std::move(std::get<waiting_read>(request)));
    }
    if (retiring_ && !stopped())
      line().send_unwritten();
  }

  void refuse_waiting(const error& why) {
    if (const auto waiting = std::exchange(waiting_, nullptr))
      for (auto& request : *waiting)
        std::visit([&](auto& x) { x.to.refuse(why); }, request);
  }

  void answer_read(waiting_read what) {
    reply out;
    out.needs = what.latest ? 0 : line().all_sent();
    if (what.latest)
      out.state = line().latest();
    out.to = std::move(what.to);
    line().leave_in_turn(std::move(out));
    come_to_rest();
  }

  /// REQUIRES: nothing is held.
  void execute(waiting_command&& what) {
    hold({std::move(what.request), std::move(what.to), around().now()});
  }

  /// It stands on the stack while it is decided, as nearly all are at once; else it is kept.
  void hold(held_command&& what) {
    const auto still_held = [&] { return held_.get() == &what; };
    held_.reset(&what);
    try {
      go_on();
      if (still_held()) {
        held_.reset(new held_command{std::move(what)});
        held_->kept = true;
      }
    } catch (...) {
      if (still_held())
        static_cast<void>(held_.release());
      throw;
    }
  }

  /// Decides the held command, or asks the store for what it lacks and comes back.
  void go_on() {
    auto& [request, to, now, past, fault, waits, kept] = *held_;
    if (fault)
      return refuse(std::move(*fault));
    if (request.once) {
      const auto found = answers_.find(*request.once, around().now());
      if (!found)
        return refuse(found.error());
      if (*found != nullptr && line().holds_answer((**found).revision))
        return refuse(still_running());
      if (*found != nullptr)
        return repeat(**found);
    }
    if (internal::begins_fork(request, *line().latest()) && !all_is_written()) {
      waits = true;
      return;
    }
    if (const auto lack = internal::first_lack(request, *line().latest()))
      return ask(*lack);
    const auto& latest = line().latest();
    past.know(*line().durable(), *latest);
    auto decided = member_ ? decide_one(*latest, request, {.now = now, .versions = &past})
                           : decide(*latest, request, {.now = now, .versions = &past});
    if (!decided && decided.error().code == errc::revision_gone && past.missed())
      return ask({internal::lack::of::own_past, entity(), *past.missed()});
    if (!decided)
      return refuse(std::move(decided.error()));
    if (!decided->answer.changed) {
      reply out;
      out.needs = all_before();
      out.answer = decided->answer;
      out.state = member_ ? latest : nullptr;
      return answer(std::move(out));
    }
    if (auto ok = run_before_hooks(around().hooks.get(), entity(), *latest, *decided); !ok)
      return refuse(std::move(ok.error()));
    if (member_)
      return propose(*std::move(decided));
    write(*std::move(decided));
  }

  void write(decision&& decided) {
    const auto& request = held_->request;
    count_unfolded(1);
    if (request.once)
      answers_.remember({*request.once, decided.what.at, decided.answer});
    answer(line().write(std::move(decided), request));
  }

  void ask(const internal::lack& what) {
    if (what.what == internal::lack::of::own_past) {
      line().send_unwritten();                                        // it may be among these
      held_->past.add(line().durable()->revision, line().durable());  // which may have gone by then
    }
    compat::request(self(), around().store, load_request{what.entity, what.revision})
        .then(
            [this, what](const stored_entity& stored) {
              auto state = join_entity(stored.parts);
              on_found(what, state ? expected<state_ptr>{std::make_shared<const entity_state>(
                                 *std::move(state))}
                                   : tl::unexpected(std::move(state.error())));
            },
            [this, what](const caf::error& why) { on_found(what, tl::unexpected(from_caf(why))); });
  }

  void on_found(const internal::lack& what, expected<state_ptr> state) {
    if (!held_)
      return;
    if (auto ok = internal::supply(held_->request, held_->past, what, std::move(state)); !ok)
      held_->fault = std::move(ok.error());
    take_up();
  }

  /// The held command, and those behind it.
  void take_up() {
    go_on();
    take_waiting();
    come_to_rest();
  }

  /// The store cannot see that a fork, whose revision is any later one, follows a change that was
  /// lost: it is decided when nothing is on its way.
  [[nodiscard]] bool all_is_written() {
    line().send_unwritten();
    return line().none_sent();
  }

  void take_up_fork() {
    if (held_ && line().none_sent() && std::exchange(held_->waits, false))
      take_up();
  }

  /// What an answer without a change of its own waits for: that all it was decided upon is on disk,
  /// unless the caller asked for less.
  [[nodiscard]] std::uint64_t all_before() {
    if (held_->request.level != durability::memory)
      line().send_unwritten();
    return line().all_sent();
  }

  void refuse(error why) {
    reply out;
    out.needs = all_before();
    out.answer = tl::unexpected(std::move(why));
    answer(std::move(out));
  }

  void repeat(const outcome& earlier) {
    reply out;
    out.needs = all_before();
    out.answer = earlier;
    out.durable = line().all_durable_up_to(earlier.revision);
    out.repeated = true;
    out.state = line().latest();
    answer(std::move(out));
  }

  /// The held command's answer takes its place behind those in front.
  void answer(reply&& out) {
    out.to = std::move(held_->to);
    held_.reset();
    line().leave_in_turn(std::move(out));
    come_to_rest();
    forget_dead_set();
  }

  // What the store answered -------------------------------------------------------------------

  void on_durable() override {
    come_to_rest();
    take_up_fork();
  }

  void on_lost() override {
    answers_.forget_after(line().durable()->revision);
    take_up_fork();
    come_to_rest();
  }

  /// No read may trust what was published, and the next activation reads the truth.
  void on_doubt(const error& why) override {
    spdlog::error("{} ends after a commit: {}", to_string(entity()), why.message);
    line().give_up(why);
    if (held_)
      internal::refuse(held_->to, why);
    refuse_waiting(why);
    self()->quit();
  }

  // Change sets -------------------------------------------------------------------------------

  void on_reserve_member(waiting_reservation what) {
    if (is_full())
      what.to.refuse(full());
    else if (stopped())
      wait(std::move(what));
    else
      reserve(std::move(what));
  }

  /// From here on nothing else is done until the set settles it, or ends.
  void reserve(waiting_reservation what) {
    reservation out{member_actor{scope_actor{self()}}, line().durable()};
    if (what.request.once) {
      const auto found = answers_.find(*what.request.once, around().now());
      if (!found)
        return what.to.refuse(found.error());
      if (*found != nullptr && (**found).revision > line().durable()->revision)
        return what.to.refuse(still_running());
      if (*found != nullptr)
        out.made = **found;
    }
    line().send_unwritten();
    member_ = std::make_unique<membership>(membership{what.request.set.address()});
    if (!monitors_)
      monitors_ = std::make_unique<compat::monitors>();
    monitors_->monitor(
        self(), what.request.set,
        [this, set = what.request.set.address()](const caf::error&) { on_set_ended(set); });
    what.to.answer(std::move(out));
  }

  void on_decide_member(decide_member& what, asker<member_decision> to) {
    hold({std::move(what.request), std::move(to), what.now});
  }

  /// The set commits it, or not: until then it is nobody's state.
  void propose(decision&& decided) {
    auto& request = held_->request;
    auto change = line().to_be_stored(decided, request);
    proposal what{std::make_shared<const entity_state>(std::move(decided.next)), {}};
    change.after = what.state;
    if (request.once)
      what.answer = kept_answer{*request.once, decided.what.at, decided.answer};
    std::get<asker<member_decision>>(held_->to).answer(
        {{decided.answer, what.state}, std::move(change)});
    held_.reset();
    member_->proposed = std::move(what);
    forget_dead_set();
  }

  void on_settle_member(settle_member& how) {
    if (!member_)
      return;
    const auto proposed = std::exchange(member_, nullptr)->proposed;
    if (how.is == settle_member::what::unknown && proposed)  // else the set wrote nothing of it
      return on_doubt(how.why);
    if (how.is == settle_member::what::made && proposed) {
      // It followed all that was sent before, which was answered before.
      if (!line().none_sent())
        return on_doubt({errc::outcome_unknown, "a set was made before what it follows"});
      count_unfolded(1);
      if (proposed->answer)
        answers_.remember(*proposed->answer);
      line().become(proposed->state);
    }
    go_on_after_set();
  }

  void go_on_after_set() {
    take_waiting();
    come_to_rest();
  }

  /// Its promises died with it. What it may have sent to the store, the store knows.
  void on_set_ended(const caf::actor_addr& set) {
    if (!member_ || member_->set != set)
      return;
    member_->ended = true;
    if (!held_)
      forget_dead_set();
  }

  void forget_dead_set() {
    if (!member_ || !member_->ended)
      return;
    if (member_->proposed)
      return on_doubt({errc::outcome_unknown, "its change set ended"});
    member_.reset();
    go_on_after_set();
  }

  /// A set may have made `revision` of it before it was loaded, or behind that.
  void on_read_again(std::uint64_t revision) {
    if (!loaded())
      stale_ = true;
    else if (line().durable()->revision < revision)
      on_doubt({errc::outcome_unknown, "a set was made while this actor began"});
  }

  // The end -----------------------------------------------------------------------------------

  [[nodiscard]] bool idle() const { return !stopped() && !waiting_ && line().at_rest(); }

  /// With nothing in hand: an id that was only asked for, or deleted, is not worth an actor; one
  /// that was told to retires, and has a long tail folded first, so that the next activation is
  /// quick.
  void come_to_rest() {
    if (!idle())
      return;
    line().rest();
    internal::forget_room<scope_behavior>(*self());
    if (!line().durable()->live() && !std::exchange(offered_, true))
      compat::send(self(), around().supervisor, ready_to_retire{entity()});
    if (!retiring_)
      return;
    if (unfolded_ > max_unfolded_changes)
      compat::send(self(), around().store, materialise_one{entity()});
    self()->quit();
  }

  [[nodiscard]] commit_line& line() { return *this; }
  [[nodiscard]] const commit_line& line() const { return *this; }

  /// What the set may make of this entity.
  struct proposal {
    state_ptr state;
    std::optional<kept_answer> answer;
  };
  struct membership {
    caf::actor_addr set;
    std::optional<proposal> proposed{};
    bool ended = false;
  };

  // First, where the commit line leaves four bytes.
  std::uint8_t unfolded_ = 0;  // changes, counted to one beyond the limit
  bool retiring_ = false;
  bool offered_ = false;
  bool stale_ = false;  // the load that is on its way may be too old
  internal::kept_answers answers_;
  std::unique_ptr<std::list<waiting_request>> waiting_;  // null: nobody waits
  std::unique_ptr<held_command, end_if_kept> held_;      // is decided, or waits for the store
  std::unique_ptr<membership> member_;                   // reserved by a set
  std::unique_ptr<compat::monitors> monitors_;
};

}  // namespace

scope_actor spawn_scope(caf::actor_system& system, std::shared_ptr<live_entity> entity,
                        std::shared_ptr<scope_surroundings> around) {
  return system.spawn<internal::shared_behavior_actor<scope_behavior, scope_actor::base>>(
      std::move(entity), std::move(around));
}

}  // namespace troupe
