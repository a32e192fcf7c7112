#include <troupe/actors/internal/cache_shard_actor.hpp>
#include <troupe/actors/internal/invalidation_log.hpp>
#include <troupe/actors/internal/write_behind.hpp>
#include <troupe/state/ids.hpp>
#include <troupe/state/internal/cache/packed.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <utility>

namespace troupe::internal {

namespace {

struct hash_of_id {
  std::size_t operator()(const cache_id& id) const noexcept { return hash_of_key{}(id.key); }
};

expected<void> check_content(const cache_content& content) {
  if (content.tags.size() > max_cache_tags)
    return unexpected{error{.code = errc::too_many_elements,
                            .message = "a result has at most 64 tags",
                            .limit = max_cache_tags}};
  const auto fits = [](const std::string& text) { return text.size() <= max_cache_label_bytes; };
  if (fits(content.agent) && fits(content.owner) && fits(content.content_hash)
      && std::all_of(content.tags.begin(), content.tags.end(), fits))
    return {};
  return unexpected{error{.code = errc::too_large,
                          .message = "an agent, owner, content hash or tag is too long",
                          .limit = max_cache_label_bytes}};
}

/// Calls back whoever sent the message that is handled now.
template <class T, class Self>
std::pair<caf::typed_response_promise<T>, completion<T>> promised(Self self) {
  auto promise = self->template make_response_promise<T>();
  return {promise, completion<T>{[promise](expected<T> answer) mutable {
            if (!answer)
              promise.deliver(to_caf(std::move(answer.error())));
            else if constexpr (std::is_void_v<T>)
              promise.deliver();
            else
              promise.deliver(*std::move(answer));
          }}};
}

/// Writes at once, removes in slices, and tells disk behind. An invalidation is answered when the
/// entries are gone from memory and disk.
class shard_behavior {
public:
  static inline const char* name = "troupe.cache";

  shard_behavior(cache_shard_actor::pointer self, cache_shard_actor_options options)
      : self_{self},
        options_{std::move(options)},
        entries_{*options_.entries} {
    entries_.counts.saving = saving();
    entries_.counts.loading = loading_ = saving();
  }

  /// However it ends, nobody keeps up what was promised of the entries: none is found any more.
  ~shard_behavior() { entries_.close(); }

  cache_shard_actor::behavior_type make_behavior() {
    return {[this](set_cached& x) -> caf::result<void> {
              if (auto done = on_set(x); !done)
                return to_caf(std::move(done.error()));
              return {};
            },
            [this](const get_cached& x) { return on_get(x); },
            [this](compute_cached& x) -> caf::result<compute_answer> {
              auto [promise, done] = promised<compute_answer>(self_);
              on_compute(std::move(x.id), std::move(done), true);
              return promise;
            },
            [this](cache_invalidation& x) -> caf::result<invalidated> {
              auto [promise, done] = promised<invalidated>(self_);
              on_invalidate(std::move(x), std::move(done));
              return promise;
            },
            [this](drain) -> caf::result<void> {
              auto [promise, done] = promised<void>(self_);
              on_drain(std::move(done));
              return promise;
            },
            [this](host_set_cached& x) { x.done(on_set(x.request)); },
            [this](host_compute_cached& x) {
              on_compute(std::move(x.request.id), std::move(x.done), false);
            },
            [this](host_invalidate_cached& x) {
              on_invalidate(std::move(x.request), std::move(x.done));
            },
            [this](host_drain_cache& x) { on_drain(std::move(x.done)); },
            [this](finish_computation& x) { on_finish_computation(x); },
            [this](const restore_cached& x) { on_restore(x); },
            [this](const sweep_cache& x) { on_sweep(x); },
            [this](const flush_cache&) { on_flush(); }};
  }

private:
  // Writing and reading --------------------------------------------------------------------------

  expected<void> on_set(set_cached& x) {
    if (draining_)
      return fail(errc::draining, "the cache is closing");
    if (auto ok = checked_id(x.id.name_space); !ok)
      return unexpected{std::move(ok.error())};
    if (auto ok = check_content(x.content); !ok)
      return ok;
    x.content.output = packed(x.content.output, options_.compress_from);
    if (!options_.content_invalidation)
      x.content.content_hash.clear();
    const auto ttl = x.ttl ? x.ttl : options_.default_ttl;
    auto done = entries_.set(x.id, x.content, ttl, options_.now());
    if (!done)
      return unexpected{std::move(done.error())};
    if (const auto at = turns_.find(x.id); at != turns_.end())
      at->second.superseded = true;
    if (saving()) {
      unsaved_.written(std::move(done->name_space), x.id.key, done->replaced || loading_);
      if (loading_)
        decided_.insert(x.id.key);
      note_removed();
    }
    wait_for_sweep();
    return {};
  }

  cached_output on_get(const get_cached& x) {
    auto out = entries_.get(x.id.name_space, x.id.key, options_.now());
    return {out ? std::optional{unpacked(*out)} : std::nullopt};
  }

  // Computing once -------------------------------------------------------------------------------

  struct waiting {
    completion<compute_answer> done;
    std::uint64_t since = 0;  // the newest invalidation when it was asked
  };
  struct turn {
    std::uint64_t number = 0;
    std::uint64_t since = 0;
    bool superseded = false;  // a result was set meanwhile, and is newer
    std::vector<waiting> waits{};
  };

  /// A host thread has looked already, and its miss was counted.
  void on_compute(cache_id id, completion<compute_answer> done, bool count) {
    const auto now = options_.now();
    const auto kept = count ? entries_.get(id.name_space, id.key, now)
                            : entries_.peek(id.name_space, id.key, now);
    if (kept)
      return done(compute_answer{unpacked(*kept)});
    const auto [at, fresh] = turns_.try_emplace(id);
    if (!fresh) {
      ++entries_.counts.waits;
      at->second.waits.push_back({std::move(done), invalidations_.newest()});
      return;
    }
    at->second.number = ++turns_given_;
    at->second.since = invalidations_.newest();
    ++entries_.counts.computations;
    // A turn may outlive the actor and its system, so it holds neither.
    computation go{[where = caf::actor_cast<caf::actor_addr>(cache_shard_actor{self_}),
                    id = std::move(id), number = turns_given_](expected<computed_result> result) {
      if (const auto shard = caf::actor_cast<cache_shard_actor>(where))
        compat::anon_send(shard, finish_computation{id, number, std::move(result)});
    }};
    done(compute_answer{{}, std::move(go)});
  }

  /// Who asked after an invalidation that the result falls under does not get it.
  void on_finish_computation(finish_computation& x) {
    const auto at = turns_.find(x.id);
    if (at == turns_.end() || at->second.number != x.turn)
      return;
    const auto ended = std::move(at->second);
    turns_.erase(at);
    if (!x.result) {
      for (const auto& one : ended.waits)
        one.done(unexpected{x.result.error()});
      return forget_invalidations();
    }
    const auto output = x.result->content.output;
    const auto stale =
        invalidations_.newest_match(ended.since, x.id.name_space, x.id.key, x.result->content);
    auto kept = expected<void>{};
    if (stale == 0 && !ended.superseded) {
      set_cached request{x.id, std::move(x.result->content), x.result->ttl};
      kept = on_set(request);
    }
    forget_invalidations();
    for (const auto& one : ended.waits) {
      if (one.since < stale || stale == 0)
        one.done(compute_answer{output});
      else
        on_compute(x.id, one.done, false);
    }
    x.result->kept(std::move(kept));
  }

  void forget_invalidations() {
    if (turns_.empty())
      invalidations_.forget();
  }

  // Removing -------------------------------------------------------------------------------------

  struct removal {
    cache_invalidation what;
    completion<invalidated> done;
    std::size_t count = 0;
    bool answered = false;
    std::unique_ptr<cache_shard::corpse> body{};  // of a namespace that was cleared
  };

  void on_invalidate(cache_invalidation what, completion<invalidated> done) {
    if (draining_)
      return done(fail(errc::draining, "the cache is closing"));
    const auto* with = std::get_if<cache_invalidation::labelled>(&what.what);
    if (with != nullptr && with->label == cache_label::content_hash
        && !options_.content_invalidation)
      return done(fail(errc::not_supported, "invalidation by content is switched off"));
    if (!turns_.empty())
      invalidations_.add(what);
    removal fresh{std::move(what), std::move(done)};
    if (std::holds_alternative<cache_invalidation::everything>(fresh.what.what)) {
      fresh.body = entries_.clear(fresh.what.name_space);
      fresh.count = fresh.body ? fresh.body->size() : 0;
    }
    removals_.push_back(std::move(fresh));
    if (removals_.size() == 1)
      remove_slice();
    go_on_sweeping();
  }

  /// Of the oldest request. What can be found no more is answered though its memory is not free.
  void remove_slice() {
    auto& first = removals_.front();
    bool more = false;
    if (first.body) {
      if (!saving())
        answer(first);
      more = first.body->drop(sweep_slice, [&](const removed_entry& x) {
        if (saving())
          note_removed(x);
      });
    } else {
      std::size_t done = 0, last = sweep_under_lock;
      for (; last == sweep_under_lock && done < sweep_slice; done += last)
        last = entries_.invalidate(first.what, sweep_under_lock);
      first.count += done;
      more = last == sweep_under_lock;
      note_removed();
    }
    if (more)
      return;
    if (loading_)
      awaiting_load_.push_back(std::move(first));
    else
      answer_when_saved(std::move(first));
    removals_.pop_front();
  }

  void answer(removal& which) {
    if (!std::exchange(which.answered, true))
      entries_.counts.invalidations += which.count;
    if (disk_lost_)
      which.done(fail(errc::store_failed,
                      "removed from memory; what an earlier save left on disk "
                      "may come back at the next start"));
    else
      which.done(invalidated{which.count});
  }

  // Sweeping -------------------------------------------------------------------------------------

  void on_sweep(const sweep_cache& x) {
    (x.timed ? sweep_due_ : sweeping_) = false;
    if (!removals_.empty())
      remove_slice();
    std::size_t done = 0, last = sweep_under_lock;
    for (const auto now = options_.now(); last == sweep_under_lock && done < sweep_slice;
         done += last)
      last = entries_.expire(now, sweep_under_lock);
    note_removed();
    more_expired_ = last == sweep_under_lock;
    go_on_sweeping();
    wait_for_sweep();
  }

  /// Behind what waits in the mailbox.
  void go_on_sweeping() {
    if ((removals_.empty() && !more_expired_) || std::exchange(sweeping_, true))
      return;
    compat::send(self_, cache_shard_actor{self_}, sweep_cache{});
  }

  void wait_for_sweep() {
    if (sweep_due_ || sweeping_ || entries_.empty())
      return;
    sweep_due_ = true;
    compat::send_after(self_, cache_shard_actor{self_}, options_.sweep_interval, sweep_cache{true});
  }

  // Saving ---------------------------------------------------------------------------------------

  struct waiting_for_disk {
    removal request;
    std::size_t keys = 0;  // to be saved before
  };

  [[nodiscard]] bool saving() const { return static_cast<bool>(options_.store); }

  void note_removed() {
    if (saving()) {
      for (const auto& x : entries_.take_removed())
        note_removed(x);
      wait_for_flush();
    }
  }

  void note_removed(const removed_entry& x) {
    unsaved_.removed(x);
    if (loading_)
      decided_.insert(x.key);
  }

  void wait_for_flush() {
    entries_.counts.unsaved = unsaved_.size() + on_the_way_;
    if (unsaved_.size() == 0 || on_the_way_ > 0 || std::exchange(flush_due_, true))
      return;
    compat::send_after(self_, cache_shard_actor{self_}, options_.save_interval, flush_cache{});
  }

  void on_flush() {
    flush_due_ = false;
    to_flush_ = unsaved_.size();
    flush();
  }

  /// One save is on its way at a time, so that memory for them is bounded.
  void flush() {
    if (on_the_way_ > 0)
      return;
    save_cached batch;
    std::size_t bytes = 0;
    for (const auto now = options_.now(); on_the_way_ < max_save_keys && bytes < max_save_bytes;
         ++on_the_way_) {
      const auto next = unsaved_.take();
      if (!next)
        break;
      if (auto saved = entries_.inspect(*next->name_space, next->key, now)) {
        bytes += cache_cost(saved->entry.content);
        batch.written.push_back({*next->name_space, *std::move(saved)});
      } else {
        batch.erased.push_back(next->key);
      }
    }
    if (on_the_way_ == 0)
      return all_saved();
    compat::request(self_, options_.store, std::move(batch))
        .then([this] { on_saved(); }, [this](const caf::error& why) { on_save_failed(why); });
  }

  void on_saved() {
    const auto saved = std::exchange(on_the_way_, 0);
    to_flush_ -= std::min(to_flush_, saved);
    while (!awaiting_disk_.empty() && awaiting_disk_.front().keys <= saved) {
      answer(awaiting_disk_.front().request);
      awaiting_disk_.pop_front();
    }
    for (auto& one : awaiting_disk_)
      one.keys -= std::min(one.keys, saved);
    if (to_flush_ > 0 || !awaiting_disk_.empty() || draining_)
      flush();
    wait_for_flush();
  }

  /// The store threw away what it could not write, so an error means that it could not even do
  /// that.
  void on_save_failed(const caf::error& why) {
    const auto what = from_caf(why);
    spdlog::error("the result cache is not saved any more: {}", what.message);
    options_.store = nullptr;
    entries_.counts.saving = false;
    unsaved_.clear();
    on_the_way_ = to_flush_ = 0;
    entries_.counts.unsaved = 0;
    disk_lost_ = true;
    entries_.forget_removed();
    finish_loading();  // what was written and removed meanwhile is no longer noted
    all_saved();
  }

  void answer_when_saved(removal done) {
    const auto keys = unsaved_.size() + on_the_way_;
    if (!saving() || keys == 0)
      return answer(done);
    awaiting_disk_.push_back({std::move(done), keys});
    flush();
  }

  /// Requests that wait are answered before, whatever comes.
  void on_drain(completion<void> done) {
    draining_ = true;
    drained_.push_back(std::move(done));
    while (!removals_.empty())
      remove_slice();
    for (auto& one : std::exchange(awaiting_load_, {}))
      one.done(fail(errc::draining, "the cache closes before all of it was loaded"));
    if (!saving())
      return all_saved();
    flush();
  }

  void all_saved() {
    for (auto& one : std::exchange(awaiting_disk_, {}))
      answer(one.request);
    if (draining_) {
      for (const auto& done : std::exchange(drained_, {}))
        done(expected<void>{});
    }
  }

  // Loading --------------------------------------------------------------------------------------

  void on_restore(const restore_cached& x) {
    if (!loading_ || draining_)
      return;
    const auto now = options_.now();
    for (const auto& one : x.entries)
      restore(one, now);
    note_removed();
    wait_for_sweep();
    if (x.last)
      finish_loading();
  }

  void finish_loading() {
    entries_.counts.loading = loading_ = false;
    decided_.clear();
    for (auto& one : std::exchange(awaiting_load_, {}))
      answer_when_saved(std::move(one));
  }

  /// What was written or removed since the start is newer, and what was invalidated since stays
  /// away.
  void restore(const saved_result& one, timestamp now) {
    const auto& [name_space, saved] = one;
    if (decided_.contains(saved.key))
      return;
    const auto gone = [&](const removal& x) {
      return matches(x.what, name_space, saved.key, saved.entry.content);
    };
    if (const auto at = std::find_if(awaiting_load_.begin(), awaiting_load_.end(), gone);
        at != awaiting_load_.end()) {
      ++at->count;
    } else if (const auto by = std::find_if(removals_.begin(), removals_.end(), gone);
               by != removals_.end()) {
      ++by->count;
    } else {
      auto kept = saved;
      if (!options_.content_invalidation)
        kept.entry.content.content_hash.clear();
      if (const auto taken = entries_.restore(name_space, kept, now); taken && *taken)
        return;
    }
    note_removed({std::make_shared<const std::string>(name_space), saved.key});
  }

  cache_shard_actor::pointer self_;
  cache_shard_actor_options options_;
  cache_shard& entries_;
  std::unordered_map<cache_id, turn, hash_of_id> turns_;
  std::uint64_t turns_given_ = 0;
  invalidation_log invalidations_;  // while turns are given
  std::deque<removal> removals_;    // the first is being removed
  bool sweeping_ = false, sweep_due_ = false, more_expired_ = false;
  write_behind unsaved_;
  std::size_t on_the_way_ = 0;  // keys of the save that the store has
  std::size_t to_flush_ = 0;    // keys that were waiting when the timer fired
  bool flush_due_ = false;
  std::deque<waiting_for_disk> awaiting_disk_;
  bool disk_lost_ = false;  // a save failed: nobody knows what the next start will find
  bool loading_ = false;
  std::unordered_set<cache_key, hash_of_key> decided_;  // while loading
  std::vector<removal> awaiting_load_;
  bool draining_ = false;
  std::vector<completion<void>> drained_;
};

}  // namespace

cache_shard_actor spawn_cache_shard(caf::actor_system& system, cache_shard_actor_options options) {
  return system.spawn<caf::stateful_actor<shard_behavior, cache_shard_actor::base>>(
      std::move(options));
}

}  // namespace troupe::internal
