#pragma once

/// What was invalidated while something older was still on its way. Not installed.

#include <troupe/messages/cache_messages.hpp>

#include <cstdint>
#include <deque>
#include <string_view>

namespace troupe::internal {

/// Whether an entry is one of those that were to go.
[[nodiscard]] bool matches(const cache_invalidation& what, std::string_view name_space,
                           const cache_key& key, const cache_content& content);

/// Invalidations in their order, numbered 1, 2, 3 ... One owner.
class invalidation_log {
public:
  /// The number of the newest.
  [[nodiscard]] std::uint64_t newest() const noexcept { return newest_; }

  void add(cache_invalidation what);

  /// The newest behind `begun` that an entry falls under; 0: none. What is no longer kept counts as
  /// if everything fell under it.
  [[nodiscard]] std::uint64_t newest_match(std::uint64_t begun, std::string_view name_space,
                                           const cache_key& key,
                                           const cache_content& content) const;

  /// Nothing that began before the present is on its way any more.
  void forget() { kept_.clear(); }

private:
  static constexpr std::size_t max_kept = 1'024;  // then: the oldest match everything

  std::deque<cache_invalidation> kept_;  // the last of them is `newest_`
  std::uint64_t newest_ = 0;
};

}  // namespace troupe::internal
