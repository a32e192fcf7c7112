#pragma once

/// The language of the cache's tests: a cache without threads, whose clock the test moves. Keys are
/// numbers; an output that is not named is its key's number.

#include <troupe/actors/result_cache.hpp>

#include "support/caches.hpp"
#include "support/deterministic.hpp"
#include "support/printing.hpp"
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

inline cache_id id_of(std::uint64_t n, std::string name_space = "default") {
  return {std::move(name_space), key_of(n)};
}

inline cache_invalidation by_key(std::uint64_t n, std::string name_space = "default") {
  return {std::move(name_space), key_of(n)};
}
inline cache_invalidation by_label(cache_label label, std::string text,
                                   std::string name_space = "default") {
  return {std::move(name_space), cache_invalidation::labelled{label, std::move(text)}};
}
inline cache_invalidation all_of(std::string name_space = "default") {
  return {std::move(name_space), cache_invalidation::everything{}};
}

template <class T>
using answer = std::shared_ptr<std::optional<expected<T>>>;

template <class T>
answer<T> no_answer() {
  return std::make_shared<std::optional<expected<T>>>();
}
template <class T>
auto into(const answer<T>& where) {
  return [where](expected<T> x) {
    REQUIRE(!where->has_value());  // called once
    where->emplace(std::move(x));
  };
}

struct cache_world {
  explicit cache_world(result_cache_options options = {}) { start(std::move(options)); }
  cache_world(const cache_world&) = delete;
  ~cache_world() { stop(); }

  void start(result_cache_options options) {
    options.now = [clock = clock] { return *clock; };
    if (options.shards == 0)
      options.shards = 1;
    held = spawn_result_cache(actors.system(), std::move(options));
    actors.run();
  }
  void stop() {
    held = {};
    actors.run();
  }

  [[nodiscard]] timestamp now() const { return *clock; }
  /// Moves both clocks.
  void elapse(std::int64_t ms) {
    clock->ms += ms;
    actors.advance(std::chrono::milliseconds{ms});
  }

  template <class T>
  expected<T> answered(const answer<T>& a) {
    actors.run();
    REQUIRE_MESSAGE(a->has_value(), "the request was not answered");
    return **a;
  }

  expected<void> set(set_cached request) {
    auto out = no_answer<void>();
    held.set(std::move(request), into(out));
    return answered(out);
  }
  expected<void> put(std::uint64_t n, std::optional<std::chrono::milliseconds> ttl = {},
                     std::string name_space = "default") {
    return set({id_of(n, std::move(name_space)), {.output = n}, ttl});
  }
  std::size_t invalidate(cache_invalidation what) {
    auto out = no_answer<invalidated>();
    held.invalidate(std::move(what), into(out));
    return answered(out).value().count;
  }
  [[nodiscard]] std::optional<value> get(std::uint64_t n,
                                         std::string name_space = "default") const {
    return held.get(id_of(n, std::move(name_space)));
  }
  [[nodiscard]] bool has(std::uint64_t n, std::string name_space = "default") const {
    return held.inspect(id_of(n, std::move(name_space))).has_value();
  }

  std::shared_ptr<timestamp> clock = std::make_shared<timestamp>(timestamp{1'000'000});
  deterministic_system actors;
  result_cache held;
};

}  // namespace troupe::testing
