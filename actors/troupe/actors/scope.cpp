#include <troupe/actors/internal/kept_answers.hpp>
#include <troupe/actors/internal/past.hpp>
#include <troupe/actors/scope.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/versions.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <list>
#include <utility>
#include <vector>

namespace troupe {

namespace {

error still_running() {
  return {errc::in_flight, "the request with this idempotency key is still running"};
}

/// What leaves less than there was goes on when the store is full.
bool only_removes(const change& what) {
  return std::ranges::all_of(what.events, [](const event& x) {
    return std::holds_alternative<entity_deleted>(x) || std::holds_alternative<items_removed>(x)
           || std::holds_alternative<entry_erased>(x) || std::holds_alternative<section_cleared>(x);
  });
}

/// Decide, journal, become, publish, answer: in this order.
///
/// Writes are pipelined: a command is decided against `latest_`, which runs ahead of the disk, and
/// its answer waits in `replies_` for its commit. Nothing leaves this actor, refusals and reads
/// included, before every change it was decided upon is durable (the output gate), unless the
/// caller asked for less. A failed commit sets `latest_` back to `durable_`.
///
/// A command that needs what is not at hand (an earlier revision, another entity's state) is held
/// in `held_` while the store is asked, and all that come behind it wait in `waiting_`. So do those
/// behind a change set's reservation (`member_`), until the set is settled.
class scope_behavior {
public:
  static inline const char* name = "troupe.scope";

  scope_behavior(scope_actor::pointer self, scope_options options)
      : self_{self},
        options_{std::move(options)} {}

  /// However it ends, reads go to its successor from here on.
  ~scope_behavior() {
    options_.published->publish(nullptr);
    for (const auto& lost : commits_)
      *options_.relaxed_bytes -= lost.relaxed_bytes;
  }

  scope_actor::behavior_type make_behavior() {
    load();
    return {[this](command& request) { return on_command(request); },
            [this](const get_state& query) { return on_get_state(query); },
            [this](reserve_member& x) { return on_reserve_member(x); },
            [this](decide_member& x) { return on_decide_member(x); },
            [this](settle_member& x) { on_settle_member(x); },
            [this](const read_again&) { on_read_again(); },
            [this](retire) { on_retire(); }};
  }

private:
  using command_promise = caf::typed_response_promise<command_result>;
  using read_promise = caf::typed_response_promise<state_snapshot>;
  using member_promise = caf::typed_response_promise<member_decision>;
  using state_ptr = std::shared_ptr<const entity_state>;

  struct waiting_command {
    command request;
    command_promise promise;
  };
  struct waiting_read {
    bool latest;
    read_promise promise;
  };
  struct waiting_reservation {
    reserve_member request;
    caf::typed_response_promise<reservation> promise;
  };
  using waiting_request = std::variant<waiting_command, waiting_read, waiting_reservation>;

  /// An answer that leaves once as many commits as it `needs` are durable; in the order of the
  /// requests.
  struct reply {
    std::uint64_t needs = 0;
    expected<outcome> answer{};
    state_ptr state{};  // of an answer that does not wait for its own commit
    bool durable = true;
    bool repeated = false;
    command_promise written{};
    read_promise read{};      // instead of written, for a read
    member_promise member{};  // or for a set
  };

  static void deliver(reply& to, const error& why) {
    if (to.read.pending())
      to.read.deliver(to_caf(why));
    else if (to.member.pending())
      to.member.deliver(to_caf(why));
    else
      to.written.deliver(to_caf(why));
  }

  /// A change on its way to the journal.
  struct commit {
    state_ptr state;  // after it
    std::int64_t sent_ms = 0;
    std::uint64_t relaxed_bytes = 0;
  };

  // Loading -----------------------------------------------------------------------------------

  void load() {
    compat::request(self_, options_.store, load_request{options_.entity, {}})
        .then([this](const stored_entity& stored) { on_loaded(stored); },
              [this](const caf::error& why) { on_load_failed(from_caf(why)); });
  }

  void on_loaded(const stored_entity& stored) {
    if (std::exchange(stale_, false))
      return load();
    auto state = join_entity(stored.parts);
    if (!state)
      return on_load_failed(std::move(state.error()));
    if (stored.parts.changes.size() != 0 && state->revision != stored.sequence)
      return on_load_failed({errc::damaged, "the stored changes end at revision "
                                                + std::to_string(state->revision) + ", not at "
                                                + std::to_string(stored.sequence)});
    if (auto ok = remember_answers(stored); !ok)
      return on_load_failed(std::move(ok.error()));
    unfolded_ = stored.parts.changes.size();
    latest_ = std::make_shared<const entity_state>(*std::move(state));
    become_durable(latest_);
    loaded_ = true;
    take_waiting();
    offer_to_retire();
    end_when_idle();
  }

  expected<void> remember_answers(const stored_entity& stored) {
    for (const auto& bytes : stored.answers) {
      const auto answer = decode_answer(bytes);
      if (!answer)
        return tl::unexpected(answer.error());
      answers_.remember(*answer);
    }
    for (const auto& bytes : stored.parts.changes) {
      const auto what = decode_change(bytes);
      if (what && what->asked_by)
        answers_.remember({*what->asked_by, what->at, outcome_of(*what)});
    }
    return {};
  }

  void on_load_failed(error why) {
    spdlog::error("{} cannot be loaded: {}", to_string(options_.entity), why.message);
    for (auto& request : std::exchange(waiting_, {}))
      std::visit([&](auto& x) { x.promise.deliver(to_caf(why)); }, request);
    self_->quit();
  }

  // Requests ----------------------------------------------------------------------------------

  caf::result<command_result> on_command(command& request) {
    auto promise = self_->make_response_promise<command_result>();
    if (is_full())
      promise.deliver(to_caf(full()));
    else if (!loaded_ || stopped())
      waiting_.emplace_back(waiting_command{std::move(request), promise});
    else
      execute({std::move(request), promise});
    return promise;
  }

  [[nodiscard]] bool is_full() const {
    return waiting_.size() + replies_.size() >= max_commands_in_flight;
  }
  [[nodiscard]] error full() const {
    return {.code = errc::busy,
            .message = "this " + std::string{to_string(options_.entity.kind)}
                       + " has 64 commands in flight; wait for an answer",
            .limit = max_commands_in_flight};
  }

  /// Nothing is begun until what is held was decided, and the set that reserved was settled.
  [[nodiscard]] bool stopped() const { return held_ || member_; }

  caf::result<state_snapshot> on_get_state(const get_state& query) {
    auto promise = self_->make_response_promise<state_snapshot>();
    if (!loaded_ || stopped())
      waiting_.emplace_back(waiting_read{query.latest, promise});
    else
      answer_read({query.latest, promise});
    return promise;
  }

  void on_retire() {
    retiring_ = true;
    if (loaded_ && !stopped())
      send_unwritten();
    end_when_idle();
  }

  /// What waited, until something is held again.
  void take_waiting() {
    while (!waiting_.empty() && !stopped()) {
      auto request = std::move(waiting_.front());
      waiting_.pop_front();
      if (auto* command = std::get_if<waiting_command>(&request))
        execute(std::move(*command));
      else if (auto* set = std::get_if<waiting_reservation>(&request))
        reserve(std::move(*set));
      else
        answer_read(std::move(std::get<waiting_read>(request)));
    }
    if (retiring_ && !stopped())
      send_unwritten();
  }

  void answer_read(waiting_read what) {
    reply out;
    out.needs = what.latest ? 0 : sent_;
    out.answer = outcome{};
    if (what.latest)
      out.state = latest_;
    out.read = std::move(what.promise);
    replies_.push_back(std::move(out));
    deliver_ready();
  }

  /// REQUIRES: nothing is held.
  void execute(waiting_command what) {
    held_ = std::make_unique<held_command>(
        held_command{std::move(what), internal::past{durable_, latest_}, options_.now()});
    go_on();
  }

  /// Decides the held command, or asks the store for what it lacks and comes back.
  void go_on() {
    auto& [what, past, now, fault, member, waits] = *held_;
    if (fault)
      return refuse(std::move(*fault));
    auto& request = what.request;
    if (request.once) {
      const auto found = answers_.find(*request.once, options_.now());
      if (!found)
        return refuse(found.error());
      if (*found != nullptr && is_unanswered((**found).revision))
        return refuse(still_running());
      if (*found != nullptr)
        return repeat(**found);
    }
    if (internal::begins_fork(request, *latest_) && !all_is_written()) {
      waits = true;
      return;
    }
    if (const auto lack = internal::first_lack(request, *latest_))
      return ask(*lack);
    auto decided = member_ ? decide_one(*latest_, request, {.now = now, .versions = &past})
                           : decide(*latest_, request, {.now = now, .versions = &past});
    if (!decided && decided.error().code == errc::revision_gone && past.missed())
      return ask({internal::lack::of::own_past, options_.entity, *past.missed()});
    if (!decided)
      return refuse(std::move(decided.error()));
    if (!decided->answer.changed) {
      reply out;
      out.needs = all_before();
      out.answer = decided->answer;
      out.state = member_ ? latest_ : nullptr;
      return answer(std::move(out));
    }
    if (auto ok = run_before_hooks(options_.hooks.get(), options_.entity, *latest_, *decided); !ok)
      return refuse(std::move(ok.error()));
    if (member_)
      return propose(*std::move(decided));
    write(*std::move(decided));
  }

  void ask(const internal::lack& what) {
    if (what.what == internal::lack::of::own_past)
      send_unwritten();  // it may be among these
    compat::request(self_, options_.store, load_request{what.entity, what.revision})
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
    if (auto ok = internal::supply(held_->what.request, held_->past, what, std::move(state)); !ok)
      held_->fault = std::move(ok.error());
    take_up();
  }

  /// The held command, and those behind it.
  void take_up() {
    go_on();
    take_waiting();
    offer_to_retire();
    end_when_idle();
  }

  /// The store cannot see that a fork, whose revision is any later one, follows a change that was
  /// lost: it is decided when nothing is on its way.
  [[nodiscard]] bool all_is_written() {
    send_unwritten();
    return commits_.empty();
  }

  void take_up_fork() {
    if (held_ && commits_.empty() && std::exchange(held_->waits, false))
      take_up();
  }

  /// What an answer without a change of its own waits for: that all it was decided upon is on disk,
  /// unless the caller asked for less.
  [[nodiscard]] std::uint64_t all_before() {
    if (held_->what.request.level != durability::memory)
      send_unwritten();
    return sent_;
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
    out.durable = unwritten_.empty() || earlier.revision <= durable_->revision;
    out.repeated = true;
    out.state = latest_;
    answer(std::move(out));
  }

  /// The held command's answer takes its place behind those in front.
  void answer(reply out) {
    out.written = std::move(held_->what.promise);
    out.member = std::move(held_->member);
    held_.reset();
    replies_.push_back(std::move(out));
    deliver_ready();
    forget_dead_set();
  }

  // Writing -----------------------------------------------------------------------------------

  void write(decision decided) {
    auto& request = held_->what.request;
    auto level = request.level;
    auto change = to_be_stored(decided, request);
    latest_ = std::make_shared<const entity_state>(std::move(decided.next));
    change.after = latest_;
    ++unfolded_;
    if (request.once)
      answers_.remember({*request.once, decided.what.at, decided.answer});
    if (change.base)  // its first body is written beside it
      level = durability::durable;

    reply out;
    out.answer = decided.answer;
    if (level == durability::memory) {
      unwritten_bytes_ += change.payload.size();
      unwritten_.push_back({std::move(change), latest_});
      if (unwritten_bytes_ > max_unwritten_bytes)
        send_unwritten();
    } else {
      send_unwritten();
      const bool early = level == durability::relaxed && may_relax(change.payload.size());
      if (!early)
        level = durability::durable;
      send(std::move(change), latest_, early);
    }
    out.durable = level == durability::durable;
    out.needs = out.durable ? sent_ : 0;
    if (!out.durable)
      out.state = latest_;
    answer(std::move(out));
  }

  [[nodiscard]] commit_request to_be_stored(const decision& decided, const command& request) const {
    commit_request out;
    out.entity = options_.entity;
    out.sequence = decided.what.revision;
    out.payload = encode(decided.what);
    out.frees = only_removes(decided.what);
    internal::add_what_the_store_needs(out, request);
    out.before = latest_;
    return out;
  }

  [[nodiscard]] bool may_relax(std::size_t bytes) const {
    const bool late =
        !commits_.empty() && options_.now().ms - commits_.front().sent_ms > max_relaxed_ms;
    return !late && *options_.relaxed_bytes + bytes <= max_relaxed_bytes;
  }

  [[nodiscard]] bool is_unanswered(std::uint64_t revision) const {
    return std::any_of(replies_.begin(), replies_.end(), [&](const reply& x) {
      return x.answer && x.answer->changed && !x.repeated && x.answer->revision == revision;
    });
  }

  /// Changes of level `memory`, in front of one that is to be durable.
  void send_unwritten() {
    for (auto& [change, state] : std::exchange(unwritten_, {}))
      send(std::move(change), std::move(state), false);
    unwritten_bytes_ = 0;
  }

  void send(commit_request change, state_ptr state, bool relaxed) {
    const auto bytes = relaxed ? change.payload.size() : 0;
    *options_.relaxed_bytes += bytes;
    commits_.push_back({std::move(state), options_.now().ms, bytes});
    ++sent_;
    compat::request(self_, options_.store, std::move(change))
        .then([this, generation = generation_](const commit_receipt&) { on_committed(generation); },
              [this, generation = generation_](const caf::error& why) {
                on_commit_failed(generation, from_caf(why));
              });
  }

  void on_committed(std::uint64_t generation) {
    if (generation != generation_)
      return;
    *options_.relaxed_bytes -= commits_.front().relaxed_bytes;
    become_durable(std::move(commits_.front().state));
    commits_.pop_front();
    ++done_;
    deliver_ready();
    take_up_fork();
  }

  /// All that was decided upon the lost change is lost with it. The store refuses what is on its
  /// way already, since it does not follow, and answers to it are of an older generation.
  void on_commit_failed(std::uint64_t generation, const error& why) {
    if (generation != generation_)
      return;
    ++generation_;
    for (const auto& lost : std::exchange(commits_, {}))
      *options_.relaxed_bytes -= lost.relaxed_bytes;
    done_ = sent_;
    unwritten_.clear();
    unwritten_bytes_ = 0;
    if (why.code != errc::store_failed && why.code != errc::store_full)
      return end_in_doubt(why);
    answers_.forget_after(durable_->revision);
    for (auto& lost : std::exchange(replies_, {})) {
      if (lost.read.pending())
        lost.read.deliver(state_snapshot{durable_});
      else
        deliver(lost, why);
    }
    latest_ = durable_;
    if (held_)  // it is decided anew, upon what is left
      held_->past = internal::past{durable_, latest_};
    take_up_fork();
    offer_to_retire();
    end_when_idle();
  }

  /// Nobody knows what is on disk: no read may trust what was published, and the next activation
  /// reads the truth.
  void end_in_doubt(const error& why) {
    spdlog::error("{} ends after a commit: {}", to_string(options_.entity), why.message);
    options_.published->publish(nullptr);
    for (auto& lost : std::exchange(replies_, {}))
      deliver(lost, why);
    if (held_) {
      reply lost{.written = std::move(held_->what.promise), .member = std::move(held_->member)};
      deliver(lost, why);
    }
    for (auto& request : std::exchange(waiting_, {}))
      std::visit([&](auto& x) { x.promise.deliver(to_caf(why)); }, request);
    self_->quit();
  }

  void become_durable(state_ptr state) {
    durable_ = std::move(state);
    options_.published->publish(durable_);
  }

  /// Answers everything in front of the next commit that is still on its way.
  void deliver_ready() {
    while (!replies_.empty() && replies_.front().needs <= done_) {
      auto ready = std::move(replies_.front());
      replies_.pop_front();
      const auto& state = ready.state ? ready.state : durable_;
      if (ready.read.pending())
        ready.read.deliver(state_snapshot{state});
      else if (!ready.answer)
        deliver(ready, ready.answer.error());
      else if (command_result out{*ready.answer, state, ready.durable, ready.repeated};
               ready.member.pending())
        ready.member.deliver(member_decision{std::move(out)});
      else
        ready.written.deliver(std::move(out));
    }
    if (replies_.empty()) {
      offer_to_retire();
      end_when_idle();
    }
  }

  // Change sets -------------------------------------------------------------------------------

  caf::result<reservation> on_reserve_member(reserve_member& request) {
    auto promise = self_->make_response_promise<reservation>();
    if (is_full())
      promise.deliver(to_caf(full()));
    else if (!loaded_ || stopped())
      waiting_.emplace_back(waiting_reservation{std::move(request), promise});
    else
      reserve({std::move(request), promise});
    return promise;
  }

  /// From here on nothing else is done until the set settles it, or ends.
  void reserve(waiting_reservation what) {
    reservation out{member_actor{scope_actor{self_}}, durable_};
    if (what.request.once) {
      const auto found = answers_.find(*what.request.once, options_.now());
      if (!found)
        return what.promise.deliver(to_caf(found.error()));
      if (*found != nullptr && (**found).revision > durable_->revision)
        return what.promise.deliver(to_caf(still_running()));
      if (*found != nullptr)
        out.made = **found;
    }
    send_unwritten();
    member_.emplace(membership{what.request.set.address()});
    monitors_.monitor(
        self_, what.request.set,
        [this, set = what.request.set.address()](const caf::error&) { on_set_ended(set); });
    what.promise.deliver(std::move(out));
  }

  caf::result<member_decision> on_decide_member(decide_member& what) {
    auto promise = self_->make_response_promise<member_decision>();
    held_ = std::make_unique<held_command>(held_command{
        {std::move(what.request), {}}, internal::past{durable_, latest_}, what.now, {}, promise});
    go_on();
    return promise;
  }

  /// The set commits it, or not: until then it is nobody's state.
  void propose(decision decided) {
    auto& request = held_->what.request;
    auto change = to_be_stored(decided, request);
    proposal what{std::make_shared<const entity_state>(std::move(decided.next)), {}};
    change.after = what.state;
    if (request.once)
      what.answer = kept_answer{*request.once, decided.what.at, decided.answer};
    held_->member.deliver(member_decision{{decided.answer, what.state}, std::move(change)});
    held_.reset();
    member_->proposed = std::move(what);
    forget_dead_set();
  }

  void on_settle_member(settle_member& how) {
    if (!member_)
      return;
    const auto proposed = std::exchange(member_, std::nullopt)->proposed;
    if (how.is == settle_member::what::unknown && proposed)  // else the set wrote nothing of it
      return end_in_doubt(how.why);
    if (how.is == settle_member::what::made && proposed) {
      // It followed all that was sent before, which was answered before.
      if (!commits_.empty())
        return end_in_doubt({errc::outcome_unknown, "a set was made before what it follows"});
      latest_ = proposed->state;
      ++unfolded_;
      if (proposed->answer)
        answers_.remember(*proposed->answer);
      become_durable(latest_);
    }
    go_on_after_set();
  }

  void go_on_after_set() {
    take_waiting();
    offer_to_retire();
    end_when_idle();
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
      return end_in_doubt({errc::outcome_unknown, "its change set ended"});
    member_.reset();
    go_on_after_set();
  }

  void on_read_again() {
    if (loaded_)
      end_in_doubt({errc::outcome_unknown, "a set was made while this actor began"});
    else
      stale_ = true;
  }

  // The end -----------------------------------------------------------------------------------

  [[nodiscard]] bool idle() const {
    return loaded_ && !stopped() && waiting_.empty() && replies_.empty() && commits_.empty()
           && unwritten_.empty();
  }

  /// An id that was only asked for, or deleted, is not worth an actor.
  void offer_to_retire() {
    if (!idle() || durable_->live() || offered_)
      return;
    offered_ = true;
    compat::send(self_, options_.supervisor, ready_to_retire{options_.entity});
  }

  /// A long tail is folded first, so that the next activation is quick.
  void end_when_idle() {
    if (!retiring_ || !idle())
      return;
    if (unfolded_ > max_unfolded_changes)
      compat::send(self_, options_.store, materialise_one{options_.entity});
    self_->quit();
  }

  struct held_command {
    waiting_command what;
    internal::past past;
    timestamp now;
    std::optional<error> fault{};
    member_promise member{};  // instead of `what.promise`, for a set
    bool waits = false;       // until no commit is on its way
  };

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

  scope_actor::pointer self_;
  scope_options options_;
  state_ptr latest_;  // with changes that are on their way
  state_ptr durable_;
  internal::kept_answers answers_;
  std::unique_ptr<held_command> held_;  // most of the time there is none
  std::optional<membership> member_;    // reserved by a set
  compat::monitors monitors_;
  std::list<waiting_request> waiting_;
  std::list<reply> replies_;
  std::list<commit> commits_;
  struct unwritten_change {
    commit_request change;
    state_ptr state;
  };
  std::vector<unwritten_change> unwritten_;  // of level `memory`
  std::size_t unwritten_bytes_ = 0;
  std::uint64_t sent_ = 0;  // commits, of which
  std::uint64_t done_ = 0;  // are durable
  std::uint64_t unfolded_ = 0;
  std::uint64_t generation_ = 0;  // grows with every reset
  bool loaded_ = false;
  bool retiring_ = false;
  bool offered_ = false;
  bool stale_ = false;  // the load that is on its way may be too old
};

}  // namespace

scope_actor spawn_scope(caf::actor_system& system, scope_options options) {
  return system.spawn<caf::stateful_actor<scope_behavior, scope_actor::base>>(std::move(options));
}

}  // namespace troupe
