#include <troupe/actors/event_hub.hpp>
#include <troupe/actors/internal/event_queue.hpp>
#include <troupe/actors/internal/subscribers.hpp>
#include <troupe/state/codec.hpp>
#include <troupe/state/folding.hpp>

#include <algorithm>
#include <deque>
#include <limits>
#include <optional>
#include <utility>

namespace troupe {

namespace {

using internal::subscriber;

/// Every subscription begins with reading: what the journal holds behind its cursor, a slice at a
/// time, until a slice reaches a position that the store has told of or will yet tell of. From
/// there on it is live. What was told before it is live is not for it, and what it read is not told
/// it again: both are known by their position, so no order of messages is relied on but the feed's
/// own.
class event_hub_behavior {
public:
  static inline const char* name = "troupe.event_hub";

  event_hub_behavior(event_hub_actor::pointer self, event_hub_options options)
      : self_{self},
        options_{std::move(options)} {
    options_.feed->tell = [hub = self->address()](committed_batch batch) {
      if (const auto to = caf::actor_cast<event_hub_actor>(hub))
        compat::anon_send(to, std::move(batch));
    };
  }

  ~event_hub_behavior() {
    options_.feed->wanted = false;
    end_all({errc::internal, "the event hub ended"});
  }

  event_hub_actor::behavior_type make_behavior() {
    return {[this](committed_batch& batch) { on_committed(batch); },
            [this](begin_subscription& x) { on_begin(x); },
            [this](const subscription_signal& x) { on_signal(x); }, [this](drain) { on_drain(); }};
  }

private:
  // Subscriptions ---------------------------------------------------------------------------------

  void on_begin(begin_subscription& what) {
    if (draining_)
      return what.queue->end({errc::draining, "the runtime is closing"});
    if (all_.size() >= max_subscriptions)
      return what.queue->end({.code = errc::busy,
                              .message = "there are as many subscriptions as there may be",
                              .limit = max_subscriptions});
    const auto id = ++newest_id_;
    auto& to = all_.add(id, std::move(what.queue), std::move(what.filter));
    to.queue->connect([id, hub = event_hub_actor{self_}](bool closed) {
      compat::anon_send(hub, subscription_signal{id, closed});
    });
    options_.feed->wanted = true;
    begin_reading(to, what.from);
  }

  void on_signal(const subscription_signal& what) {
    auto* from = all_.find(what.id);
    if (from == nullptr)
      return;
    if (what.closed)
      return drop(*from);
    reading_.push_back(what.id);
    read();
  }

  void drop(subscriber& from) {
    all_.erase(from);
    if (all_.size() == 0)
      options_.feed->wanted = false;
  }

  void end(subscriber& one, error why) {
    one.queue->end(std::move(why));
    drop(one);
  }

  void end_all(const error& why) {
    all_.for_each([&](subscriber& one) { one.queue->end(why); });
    all_ = {};
  }

  void on_drain() {
    draining_ = true;
    options_.feed->wanted = false;
    end_all({errc::draining, "the runtime is closing"});
  }

  // Live ------------------------------------------------------------------------------------------

  void on_committed(committed_batch& batch) {
    newest_ = std::max(newest_, batch.through);
    if (!batch.complete)
      return read_instead(batch.after);
    std::size_t bytes = 0;
    for (auto& one : batch.changes) {
      bytes += one.what.payload.size();
      publish(one, batch.epoch);
    }
    options_.feed->bytes -= bytes;
  }

  void publish(const committed_batch::one& told, std::uint64_t epoch) {
    entity_parents before, after;
    if (all_.wants_parents()) {
      after = told.what.after ? parents_of(*told.what.after) : entity_parents{};
      before = told.what.before ? parents_of(*told.what.before) : after;
    }
    all_.find(told.what.entity, before, after, told.position, found_);
    if (found_.empty())
      return;
    auto change = decode(told.what.entity, told.what.payload);
    if (!change) {
      for (auto* one : found_)
        end(*one, change.error());
      return;
    }
    change->epoch = epoch;
    change->position = told.position;
    change->part = told.part;
    change->parts = told.parts;
    const auto shared = std::make_shared<const committed_change>(*std::move(change));
    for (auto* one : found_)
      if (wants_events(one->filter, shared->what)
          && !one->queue->put(delivery_of(one->filter, shared)))
        drop(*one);
  }

  /// The store told only how far it came: from there on all read the journal.
  void read_instead(std::uint64_t behind) {
    all_.for_each([&](subscriber& one) {
      if (one.live)
        begin_reading(one, stream_cursor{options_.feed->epoch, std::max(one.at, behind), 0});
    });
  }

  static expected<committed_change> decode(const entity_ref& entity, std::string_view payload) {
    auto what = decode_change(payload);
    if (!what)
      return fail(what.error().code, to_string(entity) + ": " + what.error().message);
    return committed_change{.entity = entity, .what = *std::move(what), .bytes = payload.size()};
  }

  static event_delivery delivery_of(const event_filter& filter,
                                    const std::shared_ptr<const committed_change>& what) {
    return {what, filter.of_one() ? to_string(entity_cursor_of(*what))
                                  : to_string(stream_cursor_of(*what))};
  }

  // Reading ---------------------------------------------------------------------------------------

  void begin_reading(subscriber& one, const stream_start& from) {
    all_.set_live(one, false);
    one.from = from;
    one.parents.clear();
    reading_.push_back(one.id);
    read();
  }

  /// One slice at a time, of one after the other, so that the store has time for those who write.
  void read() {
    while (!job_ && !reading_.empty()) {
      const auto id = std::exchange(reading_.front(), 0);
      reading_.pop_front();
      auto* one = all_.find(id);
      if (one == nullptr || one->live || !one->queue->room())
        continue;
      job_.emplace(reading_job{.id = id});
      read_changes what;
      if (const auto* at = std::get_if<entity_cursor>(&one->from)) {
        what.of = one->filter.entity;
        what.after = at->revision;
      } else {
        what.after = std::get<stream_cursor>(one->from).position;
        what.wanted = [filter = one->filter](const entity_ref& x) { return may_want(filter, x); };
      }
      compat::request(self_, options_.store, std::move(what))
          .then([this](change_slice& slice) { on_slice(slice); },
                [this](const caf::error& why) { on_unread(from_caf(why)); });
    }
  }

  void on_unread(error why) {
    if (auto* one = all_.find(job_->id))
      end(*one, std::move(why));
    end_job();
  }

  void end_job() {
    job_.reset();
    read();
  }

  void on_slice(change_slice& slice) {
    job_->slice = std::move(slice);
    auto* one = all_.find(job_->id);
    if (one == nullptr)
      return end_job();
    if (!follows(one->from, job_->slice))
      return tell_gap(*one);
    go_on();
  }

  /// Is the slice what came behind the cursor?
  static bool follows(const stream_start& from, const change_slice& slice) {
    if (const auto* at = std::get_if<entity_cursor>(&from))
      return slice.kept && at->epoch == slice.epoch;
    const auto& at = std::get<stream_cursor>(from);
    return slice.kept && at.epoch == slice.epoch && (at.parts == 0 || at.position < slice.position);
  }

  /// Live from here on; of one entity its newest revision is asked for first.
  void tell_gap(subscriber& one) {
    const auto& slice = job_->slice;
    constexpr auto none = std::numeric_limits<std::uint64_t>::max();
    const auto* at = std::get_if<entity_cursor>(&one.from);
    event_gap gap;
    if (one.filter.of_one()) {
      if (at == nullptr || at->revision != none) {
        one.from = entity_cursor{slice.epoch, none};
        reading_.push_front(one.id);
        return end_job();
      }
      gap.revision = slice.newest;
      gap.cursor = to_string(entity_cursor{slice.epoch, slice.newest});
    } else {
      gap.cursor = to_string(stream_cursor{slice.epoch, slice.position, 0});
    }
    one.queue->put_read({gap, gap.cursor});
    one.parents.clear();
    one.from = stream_cursor{slice.epoch, slice.position, 0};
    finish_slice(one, slice.position);
  }

  /// Row by row, until one needs to know whom its entity belongs to and that must be loaded.
  void go_on() {
    auto* one = all_.find(job_->id);
    if (one == nullptr)
      return end_job();
    auto& job = *job_;
    for (; job.next < job.slice.rows.size(); ++job.next) {
      const auto& row = job.slice.rows[job.next];
      if (was_told(one->from, row))
        continue;
      auto change = decode(row.entity, row.payload);
      if (!change)
        return on_unread(std::move(change.error()));
      bool wanted = wants_events(one->filter, change->what);
      if (one->filter.children) {
        const auto child = is_child(*one, row, change->what);
        if (!child)
          return;  // comes back
        wanted = wanted && *child;
      }
      if (!wanted)
        continue;
      change->epoch = job.slice.epoch;
      change->position = row.position;
      change->part = row.part;
      change->parts = row.parts;
      one->queue->put_read(
          delivery_of(one->filter, std::make_shared<const committed_change>(*std::move(change))));
    }
    if (std::holds_alternative<entity_cursor>(one->from))
      one->from = entity_cursor{job.slice.epoch, job.slice.through};
    else
      one->from = stream_cursor{job.slice.epoch, job.slice.through, 0};
    if (!job.slice.more)
      return finish_slice(*one, job.slice.position);
    reading_.push_back(one->id);
    end_job();
  }

  static bool was_told(const stream_start& from, const change_slice::row& row) {
    const auto* at = std::get_if<stream_cursor>(&from);
    return at != nullptr && row.position == at->position + 1 && row.part < at->parts;
  }

  /// All behind the cursor and up to a position is read. Had the store told of more before, that is
  /// read, too.
  void finish_slice(subscriber& one, std::uint64_t position) {
    if (newest_ > position) {
      reading_.push_back(one.id);
    } else {
      one.at = position;
      all_.set_live(one, true);
    }
    end_job();
  }

  /// Nothing while the store is asked for the entity's state behind a revision.
  std::optional<bool> is_child(subscriber& one, const change_slice::row& row, const change& what) {
    auto known = one.parents.find(row.entity);
    if (known == one.parents.end() && !begins_entity(what)) {
      load_parents(row.entity, row.sequence - 1);
      return {};
    }
    const auto before = known == one.parents.end() ? entity_parents{} : known->second;
    auto after = std::exchange(job_->after, {});
    if (!after)
      after = follow(before, what);
    if (!after) {
      job_->wants_after = true;
      load_parents(row.entity, row.sequence);
      return {};
    }
    if (one.parents.size() >= max_known_parents)
      one.parents.clear();
    one.parents.insert_or_assign(row.entity, *after);
    return wants_child(one.filter, row.entity, before, *after);
  }

  void load_parents(const entity_ref& entity, std::uint64_t revision) {
    compat::request(self_, options_.store, load_request{entity, revision})
        .then([this, entity](const stored_entity& stored) { on_loaded(entity, stored); },
              [this](const caf::error& why) { on_not_loaded(from_caf(why)); });
  }

  void on_loaded(const entity_ref& entity, const stored_entity& stored) {
    const auto state = join_entity(stored.parts);
    if (!state)
      return on_unread(state.error());
    auto parents = parents_of(*state);
    if (std::exchange(job_->wants_after, false))
      job_->after = std::move(parents);
    else if (auto* one = all_.find(job_->id))
      one->parents.insert_or_assign(entity, std::move(parents));
    go_on();
  }

  /// Whose child it was then is not known any more: that is a gap.
  void on_not_loaded(error why) {
    auto* one = all_.find(job_->id);
    if (one == nullptr || why.code != errc::revision_gone)
      return on_unread(std::move(why));
    tell_gap(*one);
  }

  struct reading_job {
    std::uint64_t id = 0;
    change_slice slice{};
    std::size_t next = 0;                   // row
    std::optional<entity_parents> after{};  // of that row, where the change does not say
    bool wants_after = false;
  };
  static constexpr std::size_t max_known_parents = 10'000;  // of one; then: all are loaded anew

  event_hub_actor::pointer self_;
  event_hub_options options_;
  internal::subscribers all_;
  std::vector<subscriber*> found_;
  std::deque<std::uint64_t> reading_;  // ids whose turn it is
  std::optional<reading_job> job_;
  std::uint64_t newest_ = 0;  // position that was told
  std::uint64_t newest_id_ = 0;
  bool draining_ = false;
};

}  // namespace

event_hub_actor spawn_event_hub(caf::actor_system& system, event_hub_options options) {
  return system.spawn<caf::stateful_actor<event_hub_behavior, event_hub_actor::base>>(
      std::move(options));
}

expected<subscription> subscribe(const event_hub_actor& hub, const commit_feed& feed,
                                 subscribe_options options) {
  if (auto ok = check_filter(options.filter); !ok)
    return unexpected{std::move(ok.error())};
  stream_start from = stream_cursor{feed.epoch, feed.position, 0};
  if (options.after) {
    auto cursor = parse_cursor(options.filter, *options.after);
    if (!cursor)
      return unexpected{std::move(cursor.error())};
    from = *cursor;
  }
  auto queue = std::make_shared<internal::event_queue>(
      internal::queue_limits{options.max_bytes, std::max<std::size_t>(1, options.max_deliveries)},
      std::move(options.wake));
  compat::anon_send(hub, begin_subscription{queue, std::move(options.filter), from});
  return subscription{std::move(queue)};
}

}  // namespace troupe
