#pragma once

/// The part of the result cache that readers see without a message. Not installed.

#include <troupe/actors/short_mutex.hpp>
#include <troupe/messages/cache_messages.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::internal {

inline constexpr std::size_t max_cache_name_spaces = 1'000;  // of a shard; then: quota_exceeded

struct cache_shard_options {
  cache_limits limits{};  ///< of this shard
  bool s3_fifo = false;
  /// What this shard may hold of a namespace; none: as much as it may hold at all.
  std::function<std::optional<cache_limits>(const std::string&)> quota{};
  bool note_removals = false;  ///< for `take_removed`
};

/// An entry that left, and its namespace.
struct removed_entry {
  std::shared_ptr<const std::string> name_space;
  cache_key key;
};

/// What setting an entry found.
struct written_entry {
  bool replaced = false;
  std::shared_ptr<const std::string> name_space{};
};

/// What the actor counts, for readers.
struct cache_shard_counts {
  std::atomic<std::uint64_t> unsaved = 0, invalidations = 0, computations = 0, waits = 0;
  std::atomic<bool> loading = false, saving = false;
};

/// Entries of some of the keys, each namespace a cache of its own under one budget: no key, label
/// or order of one namespace touches another. Where the budget is full, what expired goes first,
/// then the namespace that holds most gives.
///
/// A reader's hit is noted, not applied: whoever writes or asks next applies what was noted, in the
/// order of the hits, before anything else; a reader does when the notes are full. So the order of
/// eviction is exact. Outputs come out packed as they were put in.
class cache_shard {
public:
  explicit cache_shard(cache_shard_options options);
  ~cache_shard();

  // Any thread. ----------------------------------------------------------------------------------

  [[nodiscard]] std::optional<value> get(std::string_view name_space, const cache_key& key,
                                         timestamp now);
  /// Without a trace.
  [[nodiscard]] std::optional<value> peek(std::string_view name_space, const cache_key& key,
                                          timestamp now);
  [[nodiscard]] std::optional<saved_entry> inspect(std::string_view name_space,
                                                   const cache_key& key, timestamp now);
  /// Adds what is held and what was counted; `average_access_count` as the sum over the entries.
  void add_stats(result_cache_stats& to, const std::optional<std::string>& name_space);

  void add_name_spaces(std::set<std::string>& to);

  // One thread at a time: the actor that owns it. ------------------------------------------------

  /// Errors: those of `cache::set`; `quota_exceeded`.
  expected<written_entry> set(const cache_id& id, const cache_content& content,
                              std::optional<std::chrono::milliseconds> ttl, timestamp now);
  /// At most `max`; as many as that: there may be more.
  std::size_t invalidate(const cache_invalidation& what, std::size_t max);
  /// Takes all out of a namespace at once; what it held goes when the answer does, so let it go in
  /// slices. Null: nothing was there.
  class corpse;
  std::unique_ptr<corpse> clear(const std::string& name_space);
  /// Drops at most `max` that expired; says how many.
  std::size_t expire(timestamp now, std::size_t max);
  expected<bool> restore(const std::string& name_space, const saved_entry& saved, timestamp now);
  /// What left since the last call and was not overwritten.
  std::vector<removed_entry> take_removed();
  /// Nobody asks any more.
  void forget_removed();
  [[nodiscard]] bool empty();
  /// From here on nothing is found.
  void close();

  cache_shard_counts counts;

private:
  struct space;
  struct note {
    space* where = nullptr;
    std::uint32_t place = 0;
    timestamp at{};
  };
  static constexpr std::size_t max_notes = 256;  // then: the reader applies them
  /// A note of the namespace that `hint_` names.
  struct fresh_note {
    std::uint32_t place = 0;
    std::uint32_t after_ms = 0;  // `base_`
  };
  static constexpr std::size_t max_fresh = 5;  // then: they are copied to the others

  [[nodiscard]] space* find(std::string_view name_space) noexcept;
  space* find_or_make(const std::string& name_space);
  void drop_if_empty(space* which);
  void drop_empty();
  void note_hit(std::uint32_t place, timestamp at);
  void copy_fresh_notes();
  void keep_fresh_notes();
  void apply_notes();
  void trim(timestamp now);
  void check() const;

  // All that most hits write is one line of the processor's cache: a line that another core wrote
  // costs a hit as much as everything else it does.
  alignas(64) short_mutex mutex_;
  std::uint32_t fresh_ = 0;
  space* hint_ = nullptr;  // the last one found
  timestamp base_{};
  std::array<fresh_note, max_fresh> fresh_notes_;

  alignas(64) std::array<note, max_notes> notes_;
  std::size_t noted_ = 0;
  cache_shard_options options_;
  std::unordered_map<std::string_view, std::unique_ptr<space>> spaces_;  // keys are their names
  std::vector<removed_entry> removed_;
  result_cache_stats past_;  // counts of namespaces that are gone, and misses in none
};

/// What `clear` took.
class cache_shard::corpse {
public:
  explicit corpse(std::unique_ptr<space> body);
  ~corpse();

  [[nodiscard]] std::size_t size() const;
  /// Lets at most `max` go and tells `use` their keys; whether there are more.
  bool drop(std::size_t max, const std::function<void(const removed_entry&)>& use);

private:
  std::unique_ptr<space> body_;
};

}  // namespace troupe::internal
