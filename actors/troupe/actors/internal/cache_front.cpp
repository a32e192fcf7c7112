#include <troupe/actors/internal/cache_front.hpp>

#include <spdlog/spdlog.h>

#include <memory>
#include <utility>

namespace troupe::internal {

namespace {

class front_behavior {
public:
  static inline const char* name = "troupe.cache_front";

  front_behavior(cache_actor::pointer self, cache_front_options options)
      : self_{self},
        options_{std::move(options)} {}

  cache_actor::behavior_type make_behavior() {
    for (const auto& shard : options_.shards)
      monitors_.monitor(self_, shard, [this](const caf::error& why) { self_->quit(why); });
    if (options_.store)
      load(0);
    return {[this](set_cached& x) { return hand_on<void>(std::move(x)); },
            [this](get_cached& x) { return hand_on<cached_output>(std::move(x)); },
            [this](compute_cached& x) { return hand_on<compute_answer>(std::move(x)); },
            [this](cache_invalidation& x) { return on_invalidate(std::move(x)); },
            [this](const get_cache_stats& x) { return options_.stats(x); },
            [this](drain) { return on_drain(); }};
  }

private:
  [[nodiscard]] const cache_shard_actor& shard_of(const cache_key& key) const {
    return options_.shards[options_.shard_of(key)];
  }

  template <class Answer, class Message>
  caf::result<Answer> hand_on(Message message) {
    const auto& shard = shard_of(message.id.key);
    return compat::delegate(self_, shard, std::move(message));
  }

  /// The answers of several shards become one; the first error stands for all.
  template <class T>
  struct gathering {
    caf::typed_response_promise<T> promise;
    std::size_t left = 0;
    std::size_t count = 0;
    caf::error fault{};
  };

  caf::result<invalidated> on_invalidate(cache_invalidation what) {
    auto all = std::make_shared<gathering<invalidated>>();
    all->promise = self_->make_response_promise<invalidated>();
    const auto* one = std::get_if<cache_key>(&what.what);
    const auto shards = one != nullptr ? std::vector{shard_of(*one)} : options_.shards;
    all->left = shards.size();
    const auto finish = [all] {
      if (--all->left > 0)
        return;
      if (all->fault)
        all->promise.deliver(all->fault);
      else
        all->promise.deliver(invalidated{all->count});
    };
    for (const auto& shard : shards)
      compat::request(self_, shard, what)
          .then(
              [all, finish](const invalidated& x) {
                all->count += x.count;
                finish();
              },
              [all, finish](const caf::error& why) {
                all->fault = why;
                finish();
              });
    return all->promise;
  }

  caf::result<void> on_drain() {
    draining_ = true;
    auto all = std::make_shared<gathering<void>>();
    all->promise = self_->make_response_promise<void>();
    all->left = options_.shards.size();
    const auto finish = [all] {
      if (--all->left == 0)
        all->promise.deliver();
    };
    for (const auto& shard : options_.shards)
      compat::request(self_, shard, drain{}).then(finish, [finish](const caf::error&) {
        finish();
      });
    return all->promise;
  }

  // What the last run saved, slice by slice: the next is read when the shards took the last. ------

  void load(std::uint64_t after) {
    compat::request(self_, options_.store, load_cached{after})
        .then([this](const loaded_cached& slice) { on_loaded(slice); },
              [this](const caf::error& why) {
                spdlog::warn("the saved results cannot be loaded: {}", from_caf(why).message);
                on_loaded({});
              });
  }

  void on_loaded(const loaded_cached& slice) {
    std::vector<restore_cached> parts(options_.shards.size());
    for (const auto& one : slice.entries)
      parts[options_.shard_of(one.saved.key)].entries.push_back(one);
    const bool more = slice.more && !draining_;
    auto left = std::make_shared<std::size_t>(0);
    const auto next = [this, left, more, last = slice.last] {
      if (--*left == 0 && more)
        load(last);
    };
    for (std::size_t i = 0; i < parts.size(); ++i) {
      parts[i].last = !more;
      if (parts[i].entries.empty() && more)
        continue;
      ++*left;
      compat::request(self_, options_.shards[i], std::move(parts[i]))
          .then(next, [next](const caf::error&) { next(); });
    }
    if (*left == 0 && more)
      load(slice.last);
  }

  cache_actor::pointer self_;
  cache_front_options options_;
  compat::monitors monitors_;
  bool draining_ = false;
};

}  // namespace

cache_actor spawn_cache_front(caf::actor_system& system, cache_front_options options) {
  return system.spawn<caf::stateful_actor<front_behavior, cache_actor::base>>(std::move(options));
}

}  // namespace troupe::internal
