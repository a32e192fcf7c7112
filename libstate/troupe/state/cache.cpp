#include <troupe/state/cache.hpp>
#include <troupe/state/internal/cache/entry_table.hpp>
#include <troupe/state/internal/cache/eviction.hpp>

#include <string>
#include <utility>

namespace troupe {

using internal::none;

namespace {

std::optional<error> refusal(const cache_limits& limits, std::uint64_t cost) {
  if (limits.max_entries == 0)
    return error{errc::too_large, "this cache is set to hold no entries", {}, {}, 0};
  if (cost > limits.max_bytes)
    return error{
        errc::too_large, "the entry is larger than the whole cache", {}, {}, limits.max_bytes};
  return std::nullopt;
}

/// The time of expiry; one beyond the end of time is none.
std::optional<timestamp> expiry_of(std::optional<std::chrono::milliseconds> ttl, timestamp now) {
  if (!ttl || (now.ms > 0 && ttl->count() >= internal::never - now.ms))
    return std::nullopt;
  return timestamp{now.ms + ttl->count()};
}

}  // namespace

std::uint64_t cache_cost(const cache_content& content) noexcept {
  auto out = cache_entry_overhead + content.output.bytes().size() + content.request.bytes().size();
  const auto add = [&out](const std::string& label) {
    if (!label.empty())
      out += cache_label_overhead + label.size();
  };
  add(content.agent);
  add(content.owner);
  add(content.content_hash);
  for (const auto& tag : content.tags)
    add(tag);
  return out;
}

template <class Policy>
struct cache<Policy>::state {
  explicit state(const cache_limits& x) : limits{x}, entries{x.hash_seed}, policy{x.hash_seed} {}

  /// Removes an entry that the policy no longer knows.
  void drop(std::uint32_t at) {
    if (removal)
      removal(entries.key(at));
    entries.empty(at);
    entries.erase(at);
  }

  void remove(std::uint32_t at) {
    policy.forget(entries.nodes, at);
    drop(at);
  }

  /// The next write into a full cache finds its victim in the processor's cache.
  void fetch_next_to_go() const noexcept {
    if (entries.size() == limits.max_entries)
      entries.prefetch_to_go(policy.next_to_go());
  }

  std::size_t drop_expired(timestamp now, std::size_t max) {
    std::size_t count = 0;
    for (std::uint32_t at; count < max && (at = entries.due(now)) != none; ++count)
      remove(at);
    expirations += count;
    return count;
  }

  /// Lets entries go until there is room for `more` and `cost`.
  void make_room(std::size_t more, std::uint64_t cost, timestamp now) {
    while (true) {
      const bool many = entries.size() + more > limits.max_entries;
      if (!many && entries.bytes() <= limits.max_bytes - cost)
        return;
      if (drop_expired(now, 1) == 1)
        continue;
      drop(policy.evict(entries.nodes));
      ++evictions;
      evicted_for_bytes += many ? 0u : 1u;
    }
  }

  [[nodiscard]] std::uint32_t find_live(const cache_key& key, timestamp now) const {
    const auto at = entries.find(key);
    return at == none || !entries.live(at, now) ? none : at;
  }

  cache_limits limits;
  internal::entry_table entries;
  Policy policy;
  std::function<void(const cache_key&)> removal;
  std::uint64_t hits = 0, misses = 0, evictions = 0, evicted_for_bytes = 0, expirations = 0;
};

template <class Policy>
cache<Policy>::cache(const cache_limits& limits) : state_{std::make_unique<state>(limits)} {}
template <class Policy>
cache<Policy>::~cache() = default;
template <class Policy>
cache<Policy>::cache(cache&&) noexcept = default;
template <class Policy>
cache<Policy>& cache<Policy>::operator=(cache&&) noexcept = default;

template <class Policy>
expected<void> cache<Policy>::set(const cache_key& key, const cache_content& content,
                                  std::optional<std::chrono::milliseconds> ttl, timestamp now) {
  auto& s = *state_;
  if (ttl && ttl->count() <= 0)
    return fail(errc::invalid_value, "a time to live is positive");
  const auto cost = cache_cost(content);
  if (auto refused = refusal(s.limits, cost))
    return unexpected{std::move(*refused)};
  const internal::entry_times times{now, now, expiry_of(ttl, now), 0};
  auto at = s.entries.find(key);
  if (at == none) {
    s.make_room(1, cost, now);
    at = s.entries.insert(key);
    s.entries.fill(at, content, times);
    s.policy.admit(s.entries.nodes, at);
    s.fetch_next_to_go();
  } else {
    // Out of the order while room is made, so that it cannot go for its own sake.
    s.policy.forget(s.entries.nodes, at);
    s.entries.empty(at);
    s.make_room(0, cost, now);
    s.entries.fill(at, content, times);
    s.policy.readmit(s.entries.nodes, at);
  }
  return {};
}

template <class Policy>
std::optional<value> cache<Policy>::get(const cache_key& key, timestamp now) {
  auto& s = *state_;
  const auto at = s.entries.find(key);
  if (at != none && s.entries.live(at, now)) {
    ++s.hits;
    s.entries.access(at, 1, now);
    s.policy.accessed(s.entries.nodes, at, 1);
    return s.entries.output(at);
  }
  ++s.misses;
  if (at != none) {
    s.remove(at);
    ++s.expirations;
  }
  return std::nullopt;
}

template <class Policy>
std::optional<value> cache<Policy>::peek(const cache_key& key, timestamp now) const {
  const auto at = state_->find_live(key, now);
  if (at == none)
    return std::nullopt;
  return state_->entries.output(at);
}

template <class Policy>
cache_sighting cache<Policy>::look(const cache_key& key, timestamp now) const {
  const auto at = state_->find_live(key, now);
  if (at == none)
    return {};
  return {&state_->entries.output(at), at};
}

template <class Policy>
std::optional<cache_entry> cache<Policy>::inspect(const cache_key& key, timestamp now) const {
  const auto at = state_->find_live(key, now);
  if (at == none)
    return std::nullopt;
  return state_->entries.read(at);
}

template <class Policy>
bool cache<Policy>::touch(const cache_key& key, std::uint64_t count, timestamp now) {
  auto& s = *state_;
  s.hits += count;
  const auto at = s.find_live(key, now);
  if (count == 0 || at == none || now < s.entries.created(at))
    return false;
  s.entries.access(at, count, now);
  s.policy.accessed(s.entries.nodes, at, count);
  return true;
}

template <class Policy>
void cache<Policy>::touch(std::uint32_t place, timestamp now) {
  auto& s = *state_;
  ++s.hits;
  s.entries.access(place, 1, now);
  s.policy.accessed(s.entries.nodes, place, 1);
}

template <class Policy>
void cache<Policy>::prefetch(std::uint32_t place) const noexcept {
  state_->entries.prefetch_beside(place);
}

template <class Policy>
void cache<Policy>::count_misses(std::uint64_t count) noexcept {
  state_->misses += count;
}

template <class Policy>
bool cache<Policy>::invalidate(const cache_key& key) {
  const auto at = state_->entries.find(key);
  if (at == none)
    return false;
  state_->remove(at);
  return true;
}

template <class Policy>
std::size_t cache<Policy>::invalidate(cache_label label, std::string_view text, std::size_t max) {
  std::size_t count = 0;
  for (std::uint32_t at; count < max && (at = state_->entries.any(label, text)) != none; ++count)
    state_->remove(at);
  return count;
}

template <class Policy>
std::size_t cache<Policy>::clear() {
  auto& s = *state_;
  const auto count = s.entries.size();
  s.entries = internal::entry_table{s.limits.hash_seed};
  s.policy = Policy{s.limits.hash_seed};
  return count;
}

template <class Policy>
std::size_t cache<Policy>::expire(timestamp now, std::size_t max) {
  return state_->drop_expired(now, max);
}

template <class Policy>
std::size_t cache<Policy>::evict(std::size_t max, timestamp now) {
  auto& s = *state_;
  std::size_t count = 0;
  for (; count < max && s.entries.size() > 0; ++count) {
    if (s.drop_expired(now, 1) == 1)
      continue;
    s.drop(s.policy.evict(s.entries.nodes));
    ++s.evictions;
  }
  return count;
}

template <class Policy>
void cache<Policy>::on_removal(std::function<void(const cache_key&)> use) {
  state_->removal = std::move(use);
}

template <class Policy>
cache_stats cache<Policy>::stats() const noexcept {
  const auto& s = *state_;
  const auto size = s.entries.size();
  return {
      .entries = size,
      .bytes = s.entries.bytes(),
      .hits = s.hits,
      .misses = s.misses,
      .evictions = s.evictions,
      .evicted_for_bytes = s.evicted_for_bytes,
      .expirations = s.expirations,
      .average_access_count =
          size == 0 ? 0.0 : static_cast<double>(s.entries.accesses()) / static_cast<double>(size),
      .memory = s.entries.memory() + s.policy.memory()};
}

template <class Policy>
const cache_limits& cache<Policy>::limits() const noexcept {
  return state_->limits;
}

template <class Policy>
void cache<Policy>::for_each(timestamp now,
                             const std::function<void(const saved_entry&)>& use) const {
  const auto& s = *state_;
  s.policy.walk(s.entries.nodes, [&](std::uint32_t at) {
    if (s.entries.live(at, now))
      use({s.entries.key(at), s.entries.read(at), s.entries.nodes[at].standing});
  });
}

template <class Policy>
std::optional<saved_entry> cache<Policy>::save(const cache_key& key, timestamp now) const {
  const auto& entries = state_->entries;
  const auto at = state_->find_live(key, now);
  if (at == none)
    return std::nullopt;
  return saved_entry{key, entries.read(at), entries.nodes[at].standing};
}

template <class Policy>
bool cache<Policy>::contains(const cache_key& key) const {
  return state_->entries.find(key) != none;
}

template <class Policy>
expected<bool> cache<Policy>::restore(const saved_entry& saved, timestamp now) {
  auto& s = *state_;
  const auto& [content, created, last_accessed, expires_at, access_count] = saved.entry;
  const auto cost = cache_cost(content);
  if (auto refused = refusal(s.limits, cost))
    return unexpected{std::move(*refused)};
  if ((expires_at && *expires_at <= now) || s.entries.find(saved.key) != none)
    return false;
  s.make_room(1, cost, now);
  const auto at = s.entries.insert(saved.key);
  s.entries.fill(at, content, {created, last_accessed, expires_at, access_count});
  s.policy.restore(s.entries.nodes, at, saved.standing);
  return true;
}

template <class Policy>
bool cache<Policy>::consistent() const {
  const auto& s = *state_;
  internal::entry_table::sums total;
  bool good = true;
  s.policy.walk(s.entries.nodes,
                [&](std::uint32_t at) { good = good && s.entries.holds(at, total); });
  return good && s.entries.holds_just(total) && s.policy.consistent(s.entries.nodes);
}

template class cache<lru>;
template class cache<s3_fifo>;

}  // namespace troupe
