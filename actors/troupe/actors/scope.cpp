#include <troupe/actors/internal/kept_answers.hpp>
#include <troupe/actors/internal/past.hpp>
#include <troupe/actors/scope.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/versions.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

namespace troupe {

namespace {

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
/// in `held_` while the store is asked, and all that come behind it wait in `waiting_`.
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
            [this](retire) { on_retire(); }};
  }

private:
  using command_promise = caf::typed_response_promise<command_result>;
  using read_promise = caf::typed_response_promise<state_snapshot>;
  using state_ptr = std::shared_ptr<const entity_state>;

  struct waiting_command {
    command request;
    command_promise promise;
  };
  struct waiting_read {
    bool latest;
    read_promise promise;
  };
  using waiting_request = std::variant<waiting_command, waiting_read>;

  /// An answer that leaves once as many commits as it `needs` are durable; in the order of the
  /// requests.
  struct reply {
    std::uint64_t needs = 0;
    expected<outcome> answer{};
    state_ptr state{};  // of an answer that does not wait for its own commit
    bool durable = true;
    bool repeated = false;
    command_promise written{};
    read_promise read{};  // instead of written, for a read
  };

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
    if (waiting_.size() + replies_.size() >= max_commands_in_flight)
      promise.deliver(to_caf({.code = errc::busy,
                              .message = "this " + std::string{to_string(options_.entity.kind)}
                                         + " has 64 commands in flight; wait for an answer",
                              .limit = max_commands_in_flight}));
    else if (!loaded_ || held_)
      waiting_.emplace_back(waiting_command{std::move(request), promise});
    else
      execute({std::move(request), promise});
    return promise;
  }

  caf::result<state_snapshot> on_get_state(const get_state& query) {
    auto promise = self_->make_response_promise<state_snapshot>();
    if (!loaded_ || held_)
      waiting_.emplace_back(waiting_read{query.latest, promise});
    else
      answer_read({query.latest, promise});
    return promise;
  }

  void on_retire() {
    retiring_ = true;
    if (loaded_ && !held_)
      send_unwritten();
    end_when_idle();
  }

  /// What waited, until a command is held again.
  void take_waiting() {
    while (!waiting_.empty() && !held_) {
      auto request = std::move(waiting_.front());
      waiting_.pop_front();
      if (auto* command = std::get_if<waiting_command>(&request))
        execute(std::move(*command));
      else
        answer_read(std::move(std::get<waiting_read>(request)));
    }
    if (retiring_ && !held_)
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
    held_.emplace(held_command{std::move(what), internal::past{durable_, latest_}});
    go_on();
  }

  /// Decides the held command, or asks the store for what it lacks and comes back.
  void go_on() {
    auto& [what, past, fault] = *held_;
    if (fault)
      return refuse(std::move(*fault));
    auto& request = what.request;
    if (request.once) {
      const auto found = answers_.find(*request.once, options_.now());
      if (!found)
        return refuse(found.error());
      if (*found != nullptr && is_unanswered((**found).revision))
        return refuse({errc::in_flight, "the request with this idempotency key is still running"});
      if (*found != nullptr)
        return repeat(**found);
    }
    if (const auto lack = internal::first_lack(request, *latest_))
      return ask(*lack);
    auto decided = decide(*latest_, request, {.now = options_.now(), .versions = &past});
    if (!decided && decided.error().code == errc::revision_gone && past.missed())
      return ask({internal::lack::of::own_past, options_.entity, *past.missed()});
    if (!decided)
      return refuse(std::move(decided.error()));
    if (!decided->answer.changed) {
      reply out;
      out.needs = sent_;
      out.answer = decided->answer;
      return answer(std::move(out));
    }
    if (auto ok = run_before_hooks(options_.hooks.get(), options_.entity, *latest_, *decided); !ok)
      return refuse(std::move(ok.error()));
    write(*std::move(decided));
  }

  void ask(const internal::lack& what) {
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
    go_on();
    take_waiting();
    offer_to_retire();
    end_when_idle();
  }

  void refuse(error why) {
    reply out;
    out.needs = sent_;
    out.answer = tl::unexpected(std::move(why));
    answer(std::move(out));
  }

  void repeat(const outcome& earlier) {
    reply out;
    out.needs = sent_;
    out.answer = earlier;
    out.durable = earlier.revision <= durable_->revision;
    out.repeated = true;
    out.state = latest_;
    answer(std::move(out));
  }

  /// The held command's answer takes its place behind those in front.
  void answer(reply out) {
    out.written = std::move(held_->what.promise);
    held_.reset();
    replies_.push_back(std::move(out));
    deliver_ready();
  }

  // Writing -----------------------------------------------------------------------------------

  void write(decision decided) {
    auto& request = held_->what.request;
    auto level = request.level;
    commit_request change;
    change.entity = options_.entity;
    change.sequence = decided.what.revision;
    change.payload = encode(decided.what);
    change.frees = only_removes(decided.what);
    internal::add_what_the_store_needs(change, request);
    change.before = latest_;
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
        lost.written.deliver(to_caf(why));
    }
    latest_ = durable_;
    if (held_)  // it is decided anew, upon what is left
      held_->past = internal::past{durable_, latest_};
    offer_to_retire();
    end_when_idle();
  }

  /// Nobody knows what is on disk: no read may trust what was published, and the next activation
  /// reads the truth.
  void end_in_doubt(const error& why) {
    spdlog::error("{} ends after a commit: {}", to_string(options_.entity), why.message);
    options_.published->publish(nullptr);
    for (auto& lost : std::exchange(replies_, {})) {
      if (lost.read.pending())
        lost.read.deliver(to_caf(why));
      else
        lost.written.deliver(to_caf(why));
    }
    if (held_)
      held_->what.promise.deliver(to_caf(why));
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
      else if (ready.answer)
        ready.written.deliver(command_result{*ready.answer, state, ready.durable, ready.repeated});
      else
        ready.written.deliver(to_caf(ready.answer.error()));
    }
    if (replies_.empty()) {
      offer_to_retire();
      end_when_idle();
    }
  }

  // The end -----------------------------------------------------------------------------------

  [[nodiscard]] bool idle() const {
    return loaded_ && !held_ && waiting_.empty() && replies_.empty() && commits_.empty()
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
    std::optional<error> fault{};
  };

  scope_actor::pointer self_;
  scope_options options_;
  state_ptr latest_;  // with changes that are on their way
  state_ptr durable_;
  internal::kept_answers answers_;
  std::optional<held_command> held_;
  std::deque<waiting_request> waiting_;
  std::deque<reply> replies_;
  std::deque<commit> commits_;
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
};

}  // namespace

scope_actor spawn_scope(caf::actor_system& system, scope_options options) {
  return system.spawn<caf::stateful_actor<scope_behavior, scope_actor::base>>(std::move(options));
}

}  // namespace troupe
