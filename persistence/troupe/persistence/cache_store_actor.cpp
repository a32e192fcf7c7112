#include <troupe/persistence/cache_store.hpp>

#include <caf/actor_system.hpp>

#include <utility>

namespace troupe {

namespace {

class cache_store_behavior {
public:
  static inline const char* name = "troupe.cache_store";

  cache_store_behavior(cache_store_actor::pointer, cache_store store) : store_{std::move(store)} {}

  cache_store_actor::behavior_type make_behavior() {
    return {[this](const save_cached& x) -> caf::result<void> {
              if (auto done = store_.write(x); !done)
                return to_caf(std::move(done.error()));
              return {};
            },
            [this](const load_cached& x) { return store_.load(x.after); },
            [this](const get_cache_store_stats&) { return store_.stats(); }};
  }

private:
  cache_store store_;
};

}  // namespace

cache_store_actor spawn_cache_store(caf::actor_system& system, cache_store store,
                                    const cache_store_options& options) {
  using actor = caf::stateful_actor<cache_store_behavior, cache_store_actor::base>;
  if (options.detached)
    return system.spawn<actor, caf::detached>(std::move(store));
  return system.spawn<actor>(std::move(store));
}

}  // namespace troupe
