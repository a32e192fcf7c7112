#pragma once

/// The entries of a cache, found by key, label and time; which of them is to go is for the policy.
/// Not installed.

#include <troupe/state/cache.hpp>
#include <troupe/state/internal/cache/expiry_heap.hpp>
#include <troupe/state/internal/cache/flat_index.hpp>
#include <troupe/state/internal/cache/label_index.hpp>
#include <troupe/state/internal/cache/pool.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::internal {

inline constexpr std::int64_t never = INT64_MAX;

/// What a hit reads: one cache line that only writes of the entry change, so that every core keeps
/// its copy.
struct alignas(64) cache_face {
  cache_key key;
  std::int64_t expires_at = never;
  value output;
  std::uint32_t labels = none;
  std::uint32_t next = none;  // in the pool's free chain
};
static_assert(sizeof(cache_face) == 64);

/// What ordering and counting touch: one more.
struct alignas(64) cache_node {
  std::uint64_t prefix = 0;  // of the key
  std::uint64_t cost = 0;
  value request;
  std::int64_t created = 0;
  std::int64_t last_accessed = 0;
  std::uint32_t access_count = 0;
  std::uint32_t prev = none, next = none;  // in the policy's chain
  std::uint8_t standing = 0;               // the policy's
};
static_assert(sizeof(cache_node) == 64);

using cache_nodes = pool<cache_node>;

struct entry_times {
  timestamp created, last_accessed;
  std::optional<timestamp> expires_at;
  std::uint64_t access_count = 0;
};

/// The first eight bytes of a key; SHA-256 has mixed them.
[[nodiscard]] std::uint64_t key_prefix(const cache_key& key) noexcept;

class entry_table {
public:
  explicit entry_table(std::uint64_t seed) noexcept : seed_{seed | 1}, labels_{seed} {}

  [[nodiscard]] std::uint32_t find(const cache_key& key) const;
  [[nodiscard]] std::uint32_t any(cache_label label, std::string_view text) const {
    return labels_.any(label, text);
  }
  [[nodiscard]] std::uint32_t due(timestamp now) const noexcept { return expiry_.due(now.ms); }
  [[nodiscard]] bool live(std::uint32_t at, timestamp now) const noexcept {
    return now.ms < faces_[at].expires_at || faces_[at].expires_at == never;
  }

  /// A place for a key that is not there, with nothing in it. REQUIRES: `fill` follows.
  std::uint32_t insert(const cache_key& key);
  void fill(std::uint32_t at, const cache_content& content, const entry_times& times);
  /// Takes the content, leaves the key. REQUIRES: `fill` or `erase` follows.
  void empty(std::uint32_t at);
  /// REQUIRES: `empty` came before.
  void erase(std::uint32_t at);

  void access(std::uint32_t at, std::uint64_t count, timestamp now) noexcept;
  /// A touch of this entry is near: those beside it in its chain are fetched meanwhile.
  void prefetch_beside(std::uint32_t at) const noexcept {
    const auto& node = nodes[at];
    if (node.prev != none)
      __builtin_prefetch(&nodes[node.prev], 1);
    if (node.next != none)
      __builtin_prefetch(&nodes[node.next], 1);
  }
  /// This entry goes soon, and after it perhaps the one in front of it.
  void prefetch_to_go(std::uint32_t at) const noexcept {
    if (at == none)
      return;
    __builtin_prefetch(faces_[at].output.bytes().data(), 1);
    if (const auto then = nodes[at].prev; then != none) {
      __builtin_prefetch(&nodes[then], 1);
      __builtin_prefetch(&faces_[then], 1);
    }
  }

  [[nodiscard]] cache_entry read(std::uint32_t at) const;
  [[nodiscard]] const cache_key& key(std::uint32_t at) const noexcept { return faces_[at].key; }
  [[nodiscard]] const value& output(std::uint32_t at) const noexcept { return faces_[at].output; }
  [[nodiscard]] timestamp created(std::uint32_t at) const noexcept { return {nodes[at].created}; }

  [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint64_t accesses() const noexcept { return accesses_; }

  /// What it takes from the allocator: tables as large as they are, and the values' blocks.
  [[nodiscard]] std::uint64_t memory() const noexcept {
    return nodes.memory() + faces_.memory() + index_.memory() + labels_.memory() + expiry_.memory()
           + value_bytes_;
  }

  /// Whether this entry is found by its key, its labels and its time, and adds what the sums must
  /// be. For checks.
  struct sums {
    std::size_t entries = 0, timed = 0, labels = 0;
    std::uint64_t bytes = 0, accesses = 0;
  };
  [[nodiscard]] bool holds(std::uint32_t at, sums& total) const;
  [[nodiscard]] bool holds_just(const sums& total) const noexcept {
    return total.entries == size() && total.timed == expiry_.size() && total.bytes == bytes_
           && total.accesses == accesses_ && total.labels == labels_.attached();
  }

  cache_nodes nodes;  // the policy chains them

private:
  /// Multiply-shift with an odd factor: two keys meet by chance only, unless the seed is known.
  [[nodiscard]] std::uint32_t hash_of(const cache_key& key) const noexcept {
    return static_cast<std::uint32_t>(key_prefix(key) * seed_ >> 32);
  }

  std::uint64_t seed_;
  pool<cache_face> faces_;  // the same places as the nodes
  flat_index index_;
  label_index labels_;
  expiry_heap expiry_;
  std::uint32_t writes_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t value_bytes_ = 0;
  std::uint64_t accesses_ = 0;
};

}  // namespace troupe::internal
