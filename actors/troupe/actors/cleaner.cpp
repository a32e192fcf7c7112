#include <troupe/actors/cleaner.hpp>
#include <troupe/messages/metrics.hpp>

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <exception>
#include <unordered_set>
#include <utility>

namespace troupe {

namespace {

/// A walk goes over the kinds twice: first for the ancestors of what lives, then for what is to go.
/// Both read headers in slices, so the store commits in between, and nothing wakes for them.
class cleaner_behavior {
public:
  static inline const char* name = "troupe.cleaner";

  cleaner_behavior(cleaner_actor::pointer self, cleaner_options options)
      : self_{self},
        options_{std::move(options)} {}

  cleaner_actor::behavior_type make_behavior() {
    come_again();
    return {[this](host_cleanup& x) { on_cleanup(std::move(x)); },
            [this](cleanup_due) { on_due(); }};
  }

private:
  /// What the store's thread fills in while it reads; this actor looks when it was answered.
  struct seen_headers {
    std::unordered_set<std::size_t> ancestors;  // hashes: two that meet spare one more
    std::uint64_t looked_at = 0;
  };

  struct walk {
    host_cleanup asked;
    timestamp now;
    bool deletes = false;  // the second time over the kinds
    std::size_t kind = 0;  // of `asked.what.kinds`
    std::string after{};
    std::size_t on_their_way = 0;
    std::optional<std::string> next{};
    std::shared_ptr<seen_headers> seen = std::make_shared<seen_headers>();
    cleanup_report report{};
  };

  void come_again() {
    if (options_.policy)
      compat::send_after(self_, cleaner_actor{self_}, options_.policy->every, cleanup_due{});
  }

  void on_due() {
    on_cleanup({options_.policy->what, false,
                completion<cleanup_report>{[this](const expected<cleanup_report>& done) {
                  if (!done && done.error().code == errc::outcome_unknown)
                    return;  // this actor ends
                  if (!done)
                    spdlog::warn("cleaning up stopped: {}", done.error().message);
                  else if (done->deleted != 0)
                    spdlog::info("cleaned up: {} of {} deleted", done->deleted, done->looked_at);
                  come_again();
                }}});
  }

  void on_cleanup(host_cleanup asked) {
    waiting_.push_back(std::move(asked));
    if (!walk_)
      begin();
  }

  void begin() {
    if (waiting_.empty())
      return;
    walk_.emplace(walk{.asked = std::move(waiting_.front()), .now = options_.now()});
    waiting_.pop_front();
    walk_->deletes = walk_->asked.everything;  // which spares no ancestors
    read_slice();
  }

  // Reading -----------------------------------------------------------------------------------

  void read_slice() {
    auto& w = *walk_;
    const auto& kinds = w.asked.what.kinds;
    if (w.kind == kinds.size()) {
      if (w.deletes)
        return end();
      w.deletes = true;
      w.kind = 0;
      if (kinds.empty())
        return end();
    }
    list_request slice{.name_space = w.asked.what.name_space,
                       .kind = kinds[w.kind],
                       .after = w.after,
                       .limit = cleanup_batch,
                       .look_at = cleanup_slice};
    slice.wanted = w.deletes ? what_is_due(w) : ancestors(w);
    compat::request(self_, options_.store, std::move(slice))
        .then([this](const listing& found) { on_slice(found); },
              [this](const caf::error& why) { stop(from_caf(why)); });
  }

  static std::function<bool(const entity_header&)> ancestors(const walk& w) {
    return [seen = w.seen](const entity_header& x) {
      if (x.live() && x.forked_from)
        seen->ancestors.insert(std::hash<entity_ref>{}(x.forked_from->parent));
      return false;
    };
  }

  static std::function<bool(const entity_header&)> what_is_due(const walk& w) {
    return [seen = w.seen, now = w.now, max_age = w.asked.what.max_age.count(),
            tag = w.asked.what.tag, everything = w.asked.everything](const entity_header& x) {
      if (!x.live() || (!tag.empty() && std::ranges::find(x.tags, tag) == x.tags.end()))
        return false;
      ++seen->looked_at;
      const auto age = now.ms - x.last_activity.ms;
      const auto allowed = x.ttl_ms != 0 ? static_cast<std::int64_t>(
                               std::min<std::uint64_t>(x.ttl_ms, std::uint64_t{INT64_MAX}))
                                         : max_age;
      return everything || (allowed > 0 && age >= allowed);
    };
  }

  void on_slice(const listing& found) {
    auto& w = *walk_;
    w.next = found.next;
    ++w.on_their_way;  // this slice itself
    for (const auto& row : found.rows)
      remove({w.asked.what.name_space, w.asked.what.kinds[w.kind], row.id}, row.header.revision);
    done_with_one();
  }

  // Deleting ----------------------------------------------------------------------------------

  void remove(entity_ref entity, std::uint64_t revision) {
    auto& w = *walk_;
    if (!w.asked.everything) {
      if (w.seen->ancestors.contains(std::hash<entity_ref>{}(entity))) {
        ++w.report.forked;
        return;
      }
      if (options_.spare_awake && options_.live->find(entity)) {
        ++w.report.awake;
        return;
      }
    }
    command request{.entity = std::move(entity), .operations = {erase{}}};
    if (!w.asked.everything)
      request.expected_revision = revision;
    ++w.on_their_way;
    compat::request(self_, options_.supervisor, std::move(request))
        .then(
            [this](const command_result&) {
              ++walk_->report.deleted;
              reaps_->inc();
              done_with_one();
            },
            [this](const caf::error& why) { on_refused(from_caf(why)); });
  }

  void on_refused(const error& why) {
    if (why.code == errc::revision_conflict || why.code == errc::not_found)
      ++walk_->report.changed;
    else
      ++walk_->report.failed;
    done_with_one();
  }

  void done_with_one() {
    auto& w = *walk_;
    if (--w.on_their_way > 0)
      return;
    if (w.next) {
      w.after = std::move(*w.next);
    } else {
      w.after.clear();
      ++w.kind;
    }
    read_slice();
  }

  void end() {
    walk_->report.looked_at = walk_->seen->looked_at;
    tell(walk_->report);
  }
  void stop(error why) { tell(tl::unexpected(std::move(why))); }

  void tell(expected<cleanup_report> what) {
    const auto over = std::move(*walk_);
    walk_.reset();
    try {
      over.asked.done(std::move(what));
    } catch (const std::exception& why) {  // the host's fault must not end this actor
      spdlog::error("a callback of the host threw: {}", why.what());
    }
    begin();
  }

  cleaner_actor::pointer self_;
  cleaner_options options_;
  std::deque<host_cleanup> waiting_;
  std::optional<walk> walk_;
  metrics::count* reaps_ = metrics::of(self_->home_system()).reaps;
};

}  // namespace

cleaner_actor spawn_cleaner(caf::actor_system& system, cleaner_options options) {
  return system.spawn<caf::stateful_actor<cleaner_behavior, cleaner_actor::base>>(
      std::move(options));
}

}  // namespace troupe
