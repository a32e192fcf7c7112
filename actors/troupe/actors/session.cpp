#include <troupe/actors/session.hpp>
#include <troupe/state/codec.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace troupe {

namespace {

/// Earlier revisions are not kept at hand yet, and a fork needs its parent's.
expected<void> check_supported(const command& request) {
  for (const auto& op : request.operations) {
    if (std::holds_alternative<undo>(op) || std::holds_alternative<redo>(op)
        || std::holds_alternative<restore>(op) || std::holds_alternative<create_checkpoint>(op)
        || std::holds_alternative<fork_from>(op) || std::holds_alternative<merge_fork>(op))
      return fail(errc::not_supported, "this version does not keep earlier revisions yet");
  }
  return {};
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
/// included, before every change it was decided upon is durable (the output gate). A failed commit
/// sets `latest_` back to `durable_`.
class session_behavior {
public:
  static inline const char* name = "troupe.session";

  session_behavior(session_actor::pointer self, session_options options)
      : self_{self},
        options_{std::move(options)} {}

  /// However it ends, reads go to its successor from here on.
  ~session_behavior() { options_.published->publish(nullptr); }

  session_actor::behavior_type make_behavior() {
    load();
    return {[this](command& request) { return on_command(request); },
            [this](const get_state&) { return on_get_state(); }, [this](retire) { on_retire(); }};
  }

private:
  using command_promise = caf::typed_response_promise<command_result>;
  using read_promise = caf::typed_response_promise<state_snapshot>;

  struct waiting_command {
    command request;
    command_promise promise;
  };
  using waiting_request = std::variant<waiting_command, read_promise>;  // while the state is loaded

  /// An answer that may leave once `commit` is durable; answers leave in the order of the requests.
  struct reply {
    bool needs_commit = false;
    entity_state state{};  // after that commit
    expected<outcome> answer{};
    command_promise written{};
    read_promise read{};  // instead of written, for a read
  };

  // Loading -----------------------------------------------------------------------------------

  void load() {
    compat::request(self_, options_.store, load_request{options_.entity})
        .then([this](const stored_entity& stored) { on_loaded(stored); },
              [this](const caf::error& why) { on_load_failed(from_caf(why)); });
  }

  void on_loaded(const stored_entity& stored) {
    auto state = restore_entity(stored.snapshot, stored.changes);
    if (!state)
      return on_load_failed(std::move(state.error()));
    if (state->revision != stored.sequence)
      return on_load_failed({errc::damaged, "the stored changes end at revision "
                                                + std::to_string(state->revision) + ", not at "
                                                + std::to_string(stored.sequence)});
    latest_ = *std::move(state);
    become_durable(latest_);
    loaded_ = true;
    for (auto& request : std::exchange(waiting_, {})) {
      if (auto* waiting = std::get_if<waiting_command>(&request))
        execute(waiting->request, std::move(waiting->promise));
      else
        answer_read(std::move(std::get<read_promise>(request)));
    }
    offer_to_retire();
    end_when_idle();
  }

  void on_load_failed(error why) {
    spdlog::error("session {} cannot be loaded: {}", to_string(options_.entity), why.message);
    for (auto& request : std::exchange(waiting_, {})) {
      if (auto* waiting = std::get_if<waiting_command>(&request))
        waiting->promise.deliver(to_caf(why));
      else
        std::get<read_promise>(request).deliver(to_caf(why));
    }
    self_->quit();
  }

  // Requests ----------------------------------------------------------------------------------

  caf::result<command_result> on_command(command& request) {
    auto promise = self_->make_response_promise<command_result>();
    if (!loaded_)
      waiting_.emplace_back(std::in_place_type<waiting_command>, std::move(request), promise);
    else
      execute(request, promise);
    return promise;
  }

  caf::result<state_snapshot> on_get_state() {
    auto promise = self_->make_response_promise<state_snapshot>();
    if (!loaded_)
      waiting_.emplace_back(std::in_place_type<read_promise>, promise);
    else
      answer_read(promise);
    return promise;
  }

  void on_retire() {
    retiring_ = true;
    end_when_idle();
  }

  void execute(const command& request, command_promise promise) {
    if (replies_.size() - first_reply_ >= max_commands_in_flight) {
      promise.deliver(
          to_caf({.code = errc::busy,
                  .message = "this session has 64 commands in flight; wait for an answer",
                  .limit = max_commands_in_flight}));
      return;
    }
    if (auto ok = check_supported(request); !ok) {
      promise.deliver(to_caf(std::move(ok.error())));
      return;
    }
    auto decided = decide(latest_, request, {.now = options_.now()});
    if (!decided || !decided->answer.changed) {
      auto answer =
          decided ? expected<outcome>{decided->answer} : tl::unexpected(std::move(decided.error()));
      replies_.push_back({.answer = std::move(answer), .written = std::move(promise)});
      return deliver_ready();
    }
    latest_ = std::move(decided->next);
    replies_.push_back({.needs_commit = true,
                        .state = latest_,
                        .answer = decided->answer,
                        .written = std::move(promise)});
    compat::request(self_, options_.store,
                    commit_request{options_.entity, decided->what.revision, encode(decided->what),
                                   only_removes(decided->what)})
        .then([this, generation = generation_](const commit_receipt&) { on_committed(generation); },
              [this, generation = generation_](const caf::error& why) {
                on_commit_failed(generation, from_caf(why));
              });
  }

  void answer_read(read_promise promise) {
    replies_.push_back({.answer = outcome{}, .read = std::move(promise)});
    deliver_ready();
  }

  // Commits -----------------------------------------------------------------------------------

  void on_committed(std::uint64_t generation) {
    if (generation != generation_)
      return;
    auto& front = replies_[first_reply_];
    become_durable(std::move(front.state));
    front.needs_commit = false;
    deliver_ready();
  }

  /// All that was decided upon the lost change is lost with it. The store refuses what is on its
  /// way already, since it does not follow, and answers to it are of an older generation.
  void on_commit_failed(std::uint64_t generation, const error& why) {
    if (generation != generation_)
      return;
    ++generation_;
    if (why.code != errc::store_failed && why.code != errc::store_full)
      return end_in_doubt(why);
    for (auto& lost : take_replies()) {
      if (lost.read.pending())
        lost.read.deliver(state_snapshot{durable_});
      else
        lost.written.deliver(to_caf(why));
    }
    latest_ = *durable_;
    offer_to_retire();
    end_when_idle();
  }

  /// Nobody knows what is on disk: no read may trust what was published, and the next activation
  /// reads the truth.
  void end_in_doubt(const error& why) {
    spdlog::error("session {} ends after a commit: {}", to_string(options_.entity), why.message);
    options_.published->publish(nullptr);
    for (auto& lost : take_replies()) {
      if (lost.read.pending())
        lost.read.deliver(to_caf(why));
      else
        lost.written.deliver(to_caf(why));
    }
    self_->quit();
  }

  void become_durable(entity_state state) {
    durable_ = std::make_shared<const entity_state>(std::move(state));
    options_.published->publish(durable_);
  }

  /// Answers everything in front of the next commit that is still on its way.
  void deliver_ready() {
    for (; first_reply_ < replies_.size() && !replies_[first_reply_].needs_commit; ++first_reply_) {
      auto& ready = replies_[first_reply_];
      if (ready.read.pending())
        ready.read.deliver(state_snapshot{durable_});
      else if (ready.answer)
        ready.written.deliver(command_result{*ready.answer, durable_});
      else
        ready.written.deliver(to_caf(ready.answer.error()));
    }
    if (first_reply_ == replies_.size()) {
      replies_.clear();
      first_reply_ = 0;
      offer_to_retire();
      end_when_idle();
    } else if (first_reply_ >= max_commands_in_flight) {
      replies_.erase(replies_.begin(),
                     replies_.begin() + static_cast<std::ptrdiff_t>(first_reply_));
      first_reply_ = 0;
    }
  }

  std::vector<reply> take_replies() {
    auto out = std::exchange(replies_, {});
    out.erase(out.begin(),
              out.begin() + static_cast<std::ptrdiff_t>(std::exchange(first_reply_, 0)));
    return out;
  }

  // The end -----------------------------------------------------------------------------------

  /// An id that was only asked for, or deleted, is not worth an actor.
  void offer_to_retire() {
    if (durable_->live() || latest_.live() || offered_)
      return;
    offered_ = true;
    compat::send(self_, options_.supervisor, ready_to_retire{options_.entity});
  }

  void end_when_idle() {
    if (retiring_ && loaded_ && replies_.empty())
      self_->quit();
  }

  session_actor::pointer self_;
  session_options options_;
  entity_state latest_;  // with changes that are on their way
  std::shared_ptr<const entity_state> durable_;
  std::vector<waiting_request> waiting_;
  std::vector<reply> replies_;  // in the order of requests, from first_reply_ on
  std::size_t first_reply_ = 0;
  std::uint64_t generation_ = 0;  // grows with every reset
  bool loaded_ = false;
  bool retiring_ = false;
  bool offered_ = false;
};

}  // namespace

session_actor spawn_session(caf::actor_system& system, session_options options) {
  return system.spawn<caf::stateful_actor<session_behavior, session_actor::base>>(
      std::move(options));
}

}  // namespace troupe
