#include <troupe/messages/burst.hpp>
#include <troupe/messages/metrics.hpp>
#include <troupe/persistence/internal/commits.hpp>
#include <troupe/persistence/internal/fold_lane.hpp>
#include <troupe/persistence/internal/sweeper.hpp>
#include <troupe/persistence/maintenance.hpp>
#include <troupe/persistence/store_actor.hpp>

#include <caf/typed_response_promise.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

namespace {

/// What the actor also says to itself, behind all that waits in its mailbox.
using store_impl = maintained_store_actor::extend<caf::result<void>(caf::tick_atom)>;

[[noreturn]] void end_process(const error& what) {
  spdlog::critical("the store failed and the node ends without acknowledging anything more: {}",
                   what.message);
  spdlog::default_logger()->flush();
  std::_Exit(75);
}

/// Copies on a thread of its own, for one request; nobody waits but who asked.
using copier_actor = caf::typed_actor<caf::result<backup_made>(make_backup)>;

/// Folds beside the owner of the store, who is answered when the job of the lane was run.
using folder_actor = caf::typed_actor<caf::result<void>(caf::tick_atom)>;

/// What the copies and the owner of the store share: it waits for them before it closes the store.
struct copies {
  std::atomic<bool> wanted = true;
  std::atomic<std::size_t> running = 0;
};

/// Counted until it ends, whichever way.
class running_copy {
public:
  explicit running_copy(copies& all) : all_{all} {}
  running_copy(const running_copy&) = delete;
  running_copy& operator=(const running_copy&) = delete;
  ~running_copy() {
    --all_.running;
    all_.running.notify_all();
  }

private:
  copies& all_;
};

caf::result<backup_made> copy_store(const store& from, copies& all, const make_backup& how) {
  const running_copy counted{all};
  const auto goes_on = [&](std::uint64_t, std::uint64_t) {
    return all.wanted && (!how.goes_on || how.goes_on());
  };
  const auto made = from.backup(how.to, {.compacting = how.compacting, .progress = goes_on});
  if (!made)
    return to_caf(made.error());
  const auto& content = made->content;
  return backup_made{content.entities, content.records, content.position, made->bytes};
}

class store_behavior {
public:
  static constexpr const char* name = "troupe.store";

  store_behavior(store_impl::pointer self, std::unique_ptr<store> owned, store_options options)
      : self_{self},
        store_{std::move(owned)},
        options_{std::move(options)} {
    if (!options_.on_fatal)
      options_.on_fatal = end_process;
    note_position();
  }

  ~store_behavior() {
    static_cast<void>(lane_->drop());
    copies_->wanted = false;
    for (auto left = copies_->running.load(); left != 0; left = copies_->running.load())
      copies_->running.wait(left);
  }
  store_behavior(const store_behavior&) = delete;
  store_behavior& operator=(const store_behavior&) = delete;

  store_impl::behavior_type make_behavior() {
    tick();  // the tail of the last run may be beyond its bound
    return {
        [this](commit_request& x) { return guarded([&] { return on_commit_request(x); }); },
        [this](commit_set& x) { return guarded([&] { return on_commit_set(x); }); },
        [this](const load_request& x) { return guarded([&] { return on_load_request(x); }); },
        [this](const list_request& x) { return guarded([&] { return on_list_request(x); }); },
        [this](const read_changes& x) { return guarded([&] { return on_read_changes(x); }); },
        [this](const materialise_one& x) { return guarded([&] { return on_materialise_one(x); }); },
        [this](const materialise_all&) { return guarded([&] { return on_materialise_all(); }); },
        [this](const get_store_stats&) { return on_get_store_stats(); },
        [this](const adopt_entities& x) { return guarded([&] { return on_adopt_entities(x); }); },
        [this](const erase_entity& x) { return guarded([&] { return on_erase_entity(x); }); },
        [this](make_backup& x) { return on_make_backup(x); },
        [this](const free_room& x) { return guarded([&] { return on_free_room(x); }); },
        [this](caf::tick_atom) { guarded([&] { on_tick(); }); }};
  }

private:
  static constexpr std::size_t swept_from = 16;  // requests; fewer are let go of at once

  struct waiting_answer {
    caf::typed_response_promise<commit_receipt> promise;
    std::size_t requests;  // of `waiting_` in their order
  };

  struct waiting_for_room {
    std::uint64_t position;
    std::uint64_t kept_bytes;
    caf::typed_response_promise<store_stats> promise;
  };

  struct waiting_for_snapshots {
    std::uint64_t position;
    caf::typed_response_promise<void> promise;
  };

  /// What no handler expects, such as memory that ran out, leaves the store in an unknown state.
  template <class F>
  std::invoke_result_t<F> guarded(F handler) {
    try {
      return handler();
    } catch (const std::exception& why) {
      if (!std::exchange(fatal_, true))
        options_.on_fatal({errc::store_failed, why.what()});
      throw;
    }
  }

  caf::result<commit_receipt> on_commit_request(commit_request& request) {
    request.together = 0;
    if (request.base)
      fold_parent(request.parent);
    waiting_bytes_ += request.payload.size();
    waiting_.push_back(std::move(request));
    if (pressed_)
      messages_.push_back(self_->current_mailbox_element()->content());
    return answer_after_commit(1);
  }

  /// So that a fork shares its parent's chunks, which then stand in the store already.
  void fold_parent(const entity_ref& parent) {
    commit_waiting();
    const auto done = store_->materialise(parent);
    check_fatal();
    if (!done)
      spdlog::warn("a fork of {} shares less than it could: {}", to_string(parent),
                   done.error().message);
  }

  caf::result<commit_receipt> on_commit_set(commit_set& set) {
    if (set.changes.empty() || set.changes.size() > max_changes_in_set)
      return to_caf({errc::store_failed, "a set has one to eight changes"});
    for (const auto& one : set.changes)
      if (one.base)
        fold_parent(one.parent);
    for (std::size_t i = 0; i < set.changes.size(); ++i) {
      waiting_bytes_ += set.changes[i].payload.size();
      set.changes[i].together = i == 0 ? static_cast<std::uint32_t>(set.changes.size() - 1) : 0;
      waiting_.push_back(std::move(set.changes[i]));
    }
    return answer_after_commit(set.changes.size());
  }

  /// The newest `requests` of those that wait are answered by one promise.
  caf::result<commit_receipt> answer_after_commit(std::size_t requests) {
    promises_.push_back({self_->make_response_promise<commit_receipt>(), requests});
    const auto promise = promises_.back().promise;
    if (waiting_.size() >= max_batch_changes || waiting_bytes_ >= max_batch_bytes)
      commit_waiting();
    else
      tick();
    return promise;
  }

  /// Sees what was sent before it: a session that crashed with changes on their way restarts from
  /// all of them.
  caf::result<stored_entity> on_load_request(const load_request& request) {
    const auto same = [&](const commit_request& x) { return x.entity == request.entity; };
    if (std::any_of(waiting_.begin(), waiting_.end(), same))
      commit_waiting();
    auto found = request.revision ? store_->load_at(request.entity, *request.revision)
                                  : store_->load(request.entity);
    check_fatal();
    if (!found)
      return to_caf(std::move(found.error()));
    return std::move(*found);
  }

  caf::result<listing> on_list_request(const list_request& request) {
    commit_waiting();
    auto found = store_->list(request);
    check_fatal();
    if (!found)
      return to_caf(std::move(found.error()));
    return std::move(*found);
  }

  caf::result<store_stats> on_get_store_stats() {
    auto found = store_->full_stats();
    check_fatal();
    if (!found)
      return to_caf(std::move(found.error()));
    return *found;
  }

  /// Waits for nothing: what is not committed is told when it is.
  caf::result<change_slice> on_read_changes(const read_changes& request) {
    auto slice = internal::read_slice(*store_, request);
    check_fatal();
    if (!slice)
      return to_caf(std::move(slice.error()));
    return std::move(*slice);
  }

  caf::result<void> on_materialise_one(const materialise_one& request) {
    commit_waiting();
    const auto done = store_->materialise(request.entity);
    check_fatal();
    if (!done)
      return to_caf(done.error());
    return caf::unit;
  }

  caf::result<void> on_materialise_all() {
    commit_waiting();
    const auto promise = self_->make_response_promise<void>();
    snapshots_wanted_.push_back({store_->stats().position, promise});
    tick();
    return promise;
  }

  caf::result<adopted> on_adopt_entities(const adopt_entities& what) {
    commit_waiting();
    const auto done = store_->adopt(what.entities);
    check_fatal();
    if (!done)
      return to_caf(done.error());
    return adopted{what.entities.size()};
  }

  caf::result<erasure> on_erase_entity(const erase_entity& what) {
    commit_waiting();
    const auto done = store_->erase(what.entity);
    check_fatal();
    if (!done)
      return to_caf(done.error());
    return *done;
  }

  /// The copier looks at the store through a pointer, which the destructor keeps valid.
  caf::result<backup_made> on_make_backup(make_backup& what) {
    commit_waiting();
    ++copies_->running;
    const auto copier = self_->home_system().spawn<caf::detached>(
        [from = store_.get(), all = copies_](copier_actor::pointer) -> copier_actor::behavior_type {
          return {[from, all](const make_backup& how) { return copy_store(*from, *all, how); }};
        });
    return compat::delegate(self_, copier, std::move(what));
  }

  caf::result<store_stats> on_free_room(const free_room& what) {
    commit_waiting();
    const auto promise = self_->make_response_promise<store_stats>();
    room_wanted_.push_back({store_->stats().position, what.kept_bytes, promise});
    tick();
    return promise;
  }

  /// Everything that waited has been read: one transaction for all of it, then what was folded
  /// beside it.
  void on_tick() {
    ticking_ = false;
    if (lets_go_first())
      return tick();
    const auto before = store_->stats().tail_bytes;
    commit_waiting();
    const bool wrote = fold_slices(store_->stats().tail_bytes - before);
    left_out_ = wrote && !left_out_;
    if (!left_out_)
      compact_slice();  // else behind another batch: at most every second one waits for both
    const bool next_slice = !folding_ && (wants_slice() || !room_wanted_.empty());
    if (!waiting_.empty() || next_slice || wants_compaction())
      tick();  // else the folder's answer is the next
  }

  void tick() {
    if (std::exchange(ticking_, true))
      return;
    compat::send(self_, store_impl{self_}, caf::tick_atom_v);
  }

  /// Answers leave after the transaction, in the order of the requests; then it is told.
  void commit_waiting() {
    if (waiting_.empty())
      return;
    const auto begun = std::chrono::steady_clock::now();
    const auto before = store_->stats().position;
    auto results = store_->commit(waiting_);
    note(results, std::chrono::steady_clock::now() - begun);
    check_fatal();
    note_position();
    answer_waiting(results);
    if (options_.feed && options_.feed->wanted)
      internal::tell_commits(*options_.feed, before, store_->stats(), waiting_, results);
    waiting_bytes_ = 0;
    if (waiting_.size() < swept_from) {
      messages_.clear();
      return waiting_.clear();
    }
    if (!answered_.empty())
      sweeper_.sweep(self_, answered_);
    answered_.requests.swap(waiting_);
    answered_.messages.swap(messages_);
    tick();
  }

  /// The last batch is let go of while those who were answered come back, so that the next one is
  /// full. When nearly as many wait already, a worker lets go of it: the disk shall not be idle.
  bool lets_go_first() {
    if (answered_.empty())
      return false;
    pressed_ = waiting_.size() >= answered_.requests.size() * 3 / 4;
    if (pressed_) {
      sweeper_.sweep(self_, answered_);
      return false;
    }
    answered_.clear();
    return !waiting_.empty();
  }

  void answer_waiting(std::vector<expected<commit_receipt>>& results) {
    std::optional<compat::answering_in_burst> together;
    if (options_.detached)
      together.emplace(self_, options_.lanes.get());
    auto result = results.begin();
    auto request = waiting_.begin();
    for (auto& [promise, requests] : promises_) {  // those of a set are answered alike
      if (together)
        together->go_to(request->lane);
      if (*result)
        promise.deliver(**result);
      else
        promise.deliver(to_caf(std::move(result->error())));
      result += static_cast<std::ptrdiff_t>(requests);
      request += static_cast<std::ptrdiff_t>(requests);
    }
    promises_.clear();
  }

  void note_position() {
    if (!options_.feed)
      return;
    const auto now = store_->stats();
    options_.feed->epoch = now.epoch;
    options_.feed->position = now.position;
  }

  void note(const std::vector<expected<commit_receipt>>& results,
            std::chrono::steady_clock::duration took) {
    const auto failed = std::count_if(results.begin(), results.end(),
                                      [](const auto& result) { return !result.has_value(); });
    const auto made = static_cast<std::int64_t>(results.size()) - failed;
    if (failed > 0)
      measured_.failed_commits->inc(failed);
    if (made == 0)
      return;
    measured_.commits->inc();
    measured_.changes->inc(made);
    measured_.commit_batch->observe(made);
    measured_.commit_time->observe(std::chrono::duration<double>(took).count());
  }

  [[nodiscard]] bool wants_slice() const {
    const auto tail = store_->stats().tail_bytes;
    const bool for_room =
        !room_wanted_.empty() && store_->stats().materialised < room_wanted_.front().position;
    return !snapshots_wanted_.empty() || for_room || tail > slices_from()
           || (store_->short_of_room() && tail > failed_at_);
  }

  /// Right behind a slice the next one costs one transaction less: it finds the log empty. So it
  /// goes on for a while.
  [[nodiscard]] bool wants_next() const {
    const auto bound = store_->options().tail_bytes;
    return failed_at_ == 0 && store_->stats().tail_bytes > bound - bound / 16;
  }

  /// After a slice that failed, the next is tried when another quarter of the tail has come.
  [[nodiscard]] std::uint64_t slices_from() const {
    return std::max(store_->options().tail_bytes, failed_at_ + store_->options().tail_bytes / 4);
  }

  /// Bytes of the tail that the owner sees folded before it goes on, while so many are added: none
  /// as long as folding beside it keeps up.
  [[nodiscard]] std::uint64_t due_beside(std::uint64_t added) const {
    const auto bound = store_->options().tail_bytes;
    const auto alone = bound + bound / 2;
    const auto tail = store_->stats().tail_bytes;
    const auto beyond = std::min(tail - std::min(tail, alone), bound / 2);
    return bound < 2 ? added
                     : static_cast<std::uint64_t>(2.0 * static_cast<double>(added)
                                                  * static_cast<double>(beyond)
                                                  / static_cast<double>(bound / 2));
  }

  /// Slices are read and folded beside the commits and written between two batches. When the tail
  /// is half its bound beyond it all the same, batches wait for slices: the further, the more, from
  /// the whole bound beyond it on for twice as much as writers add, and so a start never replays
  /// more than that. Answers whether it wrote one.
  bool fold_slices(std::uint64_t added) {
    const bool ended = folding_ && lane_->ran();
    if (ended)
      end_fold();
    const auto before = store_->stats().tail_bytes;
    const auto due = due_beside(added);
    while (wants_slice() && before - store_->stats().tail_bytes < due) {
      if (!folding_)
        begin_fold();
      if (folding_)
        end_fold();
    }
    if (!folding_ && (wants_slice() || (ended && wants_next()))) {
      begin_fold();
      if (folding_)
        ask_folder();
    }
    return ended;
  }

  void begin_fold() {
    auto job = store_->begin_fold(options_.live);
    if (!job)
      return slice_done(unexpected{job.error()});
    if (*job == nullptr)
      return slice_done(false);
    lane_->offer(std::move(*job));
    folding_ = true;
  }

  void ask_folder() {
    if (!folder_) {
      const auto folds = [lane = lane_](folder_actor::pointer) -> folder_actor::behavior_type {
        return {[lane](caf::tick_atom) { lane->run(); }};
      };
      folder_ = options_.detached ? self_->home_system().spawn<caf::detached>(folds)
                                  : self_->home_system().spawn(folds);
    }
    compat::request(self_, folder_, caf::tick_atom_v)
        .then([this] { tick(); },
              [this](const caf::error&) {  // it is gone
                lane_->run();
                tick();
              });
  }

  /// Writes what the lane's job has made; runs it, or waits for it, where that is still to be done.
  void end_fold() {
    folding_ = false;
    const auto begun = std::chrono::steady_clock::now();
    const auto job = lane_->take();
    const auto before = store_->stats();
    const auto more = store_->end_fold(*job);
    const auto after = store_->stats();
    measured_.slices->inc();
    measured_.folds->inc(static_cast<std::int64_t>(after.folds - before.folds));
    measured_.live_folds->inc(static_cast<std::int64_t>(after.live_folds - before.live_folds));
    measured_.slice_time->observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
    slice_done(more);
  }

  void slice_done(const expected<bool>& more) {
    check_fatal();
    failed_at_ = more ? 0 : store_->stats().tail_bytes;
    if (!more) {
      spdlog::error("cannot write snapshots; the journal grows: {}", more.error().message);
      for (auto& one : std::exchange(room_wanted_, {}))
        one.promise.deliver(to_caf(more.error()));
    }
    std::erase_if(snapshots_wanted_, [&](waiting_for_snapshots& one) {
      if (!more)
        one.promise.deliver(to_caf(more.error()));
      else if (store_->stats().materialised >= one.position)
        one.promise.deliver();
      else
        return false;
      return true;
    });
  }

  [[nodiscard]] bool wants_compaction() const {
    return store_->stats().covered_bytes > compacted_from_ + kept_bytes();
  }

  /// What snapshots cover is kept while there is room for it, and nobody asks for it.
  [[nodiscard]] std::uint64_t kept_bytes() const {
    if (store_->short_of_room())
      return 0;
    return room_wanted_.empty() ? store_->options().covered_bytes : room_wanted_.front().kept_bytes;
  }

  /// One slice between two batches; after one that failed, the next when another quarter has come.
  void compact_slice() {
    expected<bool> more = false;
    if (wants_compaction()) {
      more = store_->compact(std::numeric_limits<std::uint64_t>::max(), kept_bytes());
      check_fatal();
      compacted_from_ = 0;
      if (!more) {
        compacted_from_ = store_->stats().covered_bytes - kept_bytes() * 3 / 4;
        spdlog::error("cannot free the journal's oldest records; it grows: {}",
                      more.error().message);
      }
    }
    answer_for_room(more);
  }

  /// The first of those who asked for room, when there is nothing left to free for it.
  void answer_for_room(const expected<bool>& more) {
    if (room_wanted_.empty() || (more && *more)
        || (more && store_->stats().materialised < room_wanted_.front().position))
      return;
    auto promise = room_wanted_.front().promise;
    room_wanted_.erase(room_wanted_.begin());
    if (!more)
      return promise.deliver(to_caf(more.error()));
    auto found = store_->full_stats();
    check_fatal();
    if (found)
      promise.deliver(*found);
    else
      promise.deliver(to_caf(std::move(found.error())));
  }

  void check_fatal() {
    if (store_->failed() != nullptr && !std::exchange(fatal_, true))
      options_.on_fatal(*store_->failed());
  }

  store_impl::pointer self_;
  std::unique_ptr<store> store_;
  store_options options_;
  metrics measured_{metrics::of(self_->home_system())};
  std::vector<commit_request> waiting_;
  std::vector<waiting_answer> promises_;
  std::vector<caf::message> messages_;  // that those came in, when they are to be swept
  internal::spent_batch answered_;      // the last batch
  internal::sweeper sweeper_;
  bool pressed_ = false;  // nearly a batch waited when the last one was answered
  std::size_t waiting_bytes_ = 0;
  std::vector<waiting_for_snapshots> snapshots_wanted_;
  std::vector<waiting_for_room> room_wanted_;  // one after another
  std::shared_ptr<copies> copies_ = std::make_shared<copies>();
  std::shared_ptr<internal::fold_lane> lane_ = std::make_shared<internal::fold_lane>();
  folder_actor folder_;
  bool folding_ = false;              // a job is in the lane
  std::uint64_t failed_at_ = 0;       // tail bytes when the last slice failed
  std::uint64_t compacted_from_ = 0;  // more covered bytes than allowed when compaction failed
  bool left_out_ = false;             // compaction, by the last tick
  bool ticking_ = false;
  bool fatal_ = false;
};

}  // namespace

maintained_store_actor spawn_store(caf::actor_system& system, std::unique_ptr<store> owned,
                                   store_options options) {
  using actor = caf::stateful_actor<store_behavior, store_impl::base>;
  if (options.detached)
    return system.spawn<actor, caf::detached>(std::move(owned), std::move(options));
  return system.spawn<actor>(std::move(owned), std::move(options));
}

maintained_store_actor spawn_store(caf::actor_system& system, journal_store owned,
                                   store_options options) {
  return spawn_store(system, std::make_unique<journal_store>(std::move(owned)), std::move(options));
}

}  // namespace troupe
