#pragma once

#include <troupe/state/cache_key.hpp>
#include <troupe/state/expected.hpp>
#include <troupe/state/time.hpp>
#include <troupe/state/value.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

struct cache_limits {
  std::size_t max_entries = 100'000;       ///< then: one goes for each that comes; 0 keeps nothing
  std::uint64_t max_bytes = 256ull << 20;  ///< then: as many go as one needs; see `cache_cost`
  std::uint64_t hash_seed = 0;  ///< random where clients choose keys and labels; changes no answer
};

/// What entries can be invalidated by, beside their key.
enum class cache_label : std::uint8_t { agent = 0, owner = 1, content_hash = 2, tag = 3 };

/// What is kept under a key. An empty label is no label: it matches nothing.
struct cache_content {
  value output{};
  value request{};                  ///< what was asked, for people; the key does not depend on it
  std::string agent{};              ///< who answered
  std::string owner{};              ///< whose result it is
  std::string content_hash{};       ///< of the content it was made from
  std::vector<std::string> tags{};  ///< a tag given twice is one tag

  friend bool operator==(const cache_content&, const cache_content&) = default;
};

/// An entry as it stands at one moment; a copy.
struct cache_entry {
  cache_content content;
  timestamp created{};
  timestamp last_accessed{};
  std::optional<timestamp> expires_at{};  ///< the first moment at which it is a miss; none: never
  std::uint64_t access_count = 0;         ///< hits since it was written; stops at 2^32 - 1

  friend bool operator==(const cache_entry&, const cache_entry&) = default;
};

/// An entry on its way to disk or back. `standing` is the policy's own note.
struct saved_entry {
  cache_key key;
  cache_entry entry;
  std::uint8_t standing = 0;

  friend bool operator==(const saved_entry&, const saved_entry&) = default;
};

/// Counted since the cache was made; `clear` does not reset them.
struct cache_stats {
  std::size_t entries = 0;  ///< held, with those that expired and were not reached yet
  std::uint64_t bytes = 0;  ///< what they cost
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t evictions = 0;          ///< live entries that made room
  std::uint64_t evicted_for_bytes = 0;  ///< of these, where the bytes and not the entries were many
  std::uint64_t expirations = 0;        ///< entries dropped because their time was over
  double average_access_count = 0.0;    ///< of the entries held
  std::uint64_t memory = 0;  ///< bytes taken from the allocator, tables with their free places

  [[nodiscard]] double hit_ratio() const noexcept {
    return hits + misses == 0 ? 0.0
                              : static_cast<double>(hits) / static_cast<double>(hits + misses);
  }
};

/// What one entry is counted against `max_bytes`: its output and request as msgpack, its labels,
/// and `cache_entry_overhead` and `cache_label_overhead` for what the cache itself needs. Counted
/// as if nothing were shared with other entries, so it is what leaving would free at most, and does
/// not depend on who else is there.
[[nodiscard]] std::uint64_t cache_cost(const cache_content& content) noexcept;
inline constexpr std::uint64_t cache_entry_overhead = 256;
inline constexpr std::uint64_t cache_label_overhead = 112;  // each label of an entry

/// What a look found, and where: both good as long as nothing but looks and touches happen.
struct cache_sighting {
  const value* output = nullptr;  ///< null: a miss
  std::uint32_t place = 0;

  explicit operator bool() const noexcept { return output != nullptr; }
};

/// Evicts the least recently used: the order of `set`, `get` and `touch`.
struct lru;

/// Evicts what was asked for only once before what proved useful, so that a scan does not empty the
/// cache; a hit moves nothing. S3-FIFO: Yang, Zhang, Qiu, Yue, Vinayak, "FIFO queues are all you
/// need for cache eviction", SOSP 2023. Departures are told in docs/adr/0005.
struct s3_fifo;

/// Results by key, bounded by entries and bytes: what an agent answered, until it expires, is
/// invalidated or makes room. Made for one owner (an actor); no call may run beside one that is not
/// const. Nothing in it reads a clock: `now` says when a call happens, and an entry is live while
/// `now < expires_at`.
///
/// Promises: an expired entry is never a hit, and goes before any live one. The same calls evict
/// the same entries in the same order. What comes out is a copy or an immutable value: no later
/// change is seen through it, and it may go to any thread.
///
/// Cost: O(1) amortised, and O(log n) where an entry with a time to live comes or goes. One
/// eviction of `s3_fifo` spares no more than 1,000 entries. Only the hash tables are ever moved as
/// a whole, when they double: about 15 ns an entry.
template <class Policy>
class cache {
public:
  explicit cache(const cache_limits& limits = {});
  ~cache();
  cache(cache&&) noexcept;
  cache& operator=(cache&&) noexcept;

  /// Keeps `content` for `ttl` from now (none: for ever), wholly in place of what the key had,
  /// counts and times included. Where there is no room, expired entries go first and then the
  /// policy's choice; a key that was there takes another's place only for the bytes it grew by.
  /// Errors, which change nothing: `too_large` (more than the whole budget, with the limit),
  /// `invalid_value` (a ttl that is not positive).
  expected<void> set(const cache_key& key, const cache_content& content,
                     std::optional<std::chrono::milliseconds> ttl, timestamp now);

  /// The output, and one access more; or a miss. Drops the entry when it has expired.
  std::optional<value> get(const cache_key& key, timestamp now);

  /// The output without a trace: no statistics, no access. What the reader saw is told later by
  /// `touch` and `count_misses`.
  [[nodiscard]] std::optional<value> peek(const cache_key& key, timestamp now) const;

  /// As `peek`, without a copy; a hit can be told by `touch(place, ...)` without finding it again.
  [[nodiscard]] cache_sighting look(const cache_key& key, timestamp now) const;

  /// All that is known of a live entry, without a trace.
  [[nodiscard]] std::optional<cache_entry> inspect(const cache_key& key, timestamp now) const;

  /// Records `count` hits that `peek` gave, the last of them at `now`. They count as hits also when
  /// the entry has gone or was written after `now`; then the answer is false and nothing else
  /// changes. The order of eviction is the order of the calls: give a batch oldest first.
  bool touch(const cache_key& key, std::uint64_t count, timestamp now);
  void count_misses(std::uint64_t count) noexcept;

  /// Records one hit of what `look` found. REQUIRES: since then only looks and touches.
  void touch(std::uint32_t place, timestamp now);
  /// Says that a `touch` of this place is near: its memory is fetched meanwhile.
  void prefetch(std::uint32_t place) const noexcept;

  /// Removes entries and says how many, those that expired unnoticed included. An empty text
  /// matches nothing. O(removed). Of a label at most `max`; as many as that: there may be more.
  bool invalidate(const cache_key& key);
  std::size_t invalidate(cache_label label, std::string_view text, std::size_t max = SIZE_MAX);
  std::size_t clear();

  /// Drops at most `max` entries that have expired, the first to expire first; says how many. Fewer
  /// than `max`: there are no more.
  std::size_t expire(timestamp now, std::size_t max);

  /// Lets at most `max` go as if room were needed: expired ones, then the policy's choice; says how
  /// many went.
  std::size_t evict(std::size_t max, timestamp now);

  /// Calls `use` with the key of every entry that leaves from now on and is not overwritten,
  /// `clear` apart. It must not call the cache.
  void on_removal(std::function<void(const cache_key&)> use);

  /// Whether an entry is held under the key, expired or not.
  [[nodiscard]] bool contains(const cache_key& key) const;

  [[nodiscard]] cache_stats stats() const noexcept;
  [[nodiscard]] const cache_limits& limits() const noexcept;

  /// Every live entry, in such an order that `restore` in the same order gives a cache that evicts
  /// in the same order. `use` must not change the cache.
  void for_each(timestamp now, const std::function<void(const saved_entry&)>& use) const;

  /// One live entry as `for_each` gives it.
  [[nodiscard]] std::optional<saved_entry> save(const cache_key& key, timestamp now) const;

  /// Puts back what `for_each` gave, within the limits: where there is no room the policy evicts.
  /// An entry that has expired by `now`, or whose key is held, is not taken: false. Errors:
  /// `too_large`.
  expected<bool> restore(const saved_entry& saved, timestamp now);

  /// Whether every index, order, label and sum agrees with the entries. O(n): for tests and debug
  /// builds.
  [[nodiscard]] bool consistent() const;

private:
  struct state;
  std::unique_ptr<state> state_;
};

extern template class cache<lru>;
extern template class cache<s3_fifo>;

}  // namespace troupe
