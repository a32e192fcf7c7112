#pragma once

/// The two policies: which entry is to go. Not installed.

#include <troupe/state/internal/cache/entry_table.hpp>
#include <troupe/state/internal/cache/flat_index.hpp>
#include <troupe/state/internal/cache/pool.hpp>

#include <cstdint>

namespace troupe {

/// One chain, the most recently used in front.
struct lru {
  explicit lru(std::uint64_t) noexcept {}

  void admit(internal::cache_nodes& nodes, std::uint32_t at) { entries.push_front(nodes, at); }
  void readmit(internal::cache_nodes& nodes, std::uint32_t at) { admit(nodes, at); }
  void restore(internal::cache_nodes& nodes, std::uint32_t at, std::uint8_t) { admit(nodes, at); }
  void accessed(internal::cache_nodes& nodes, std::uint32_t at, std::uint64_t) noexcept {
    if (entries.front != at) {
      entries.erase(nodes, at);
      entries.push_front(nodes, at);
    }
  }
  void forget(internal::cache_nodes& nodes, std::uint32_t at) noexcept { entries.erase(nodes, at); }
  /// Takes the next to go out of the order. REQUIRES: there is one.
  std::uint32_t evict(internal::cache_nodes& nodes) noexcept {
    const auto at = entries.back;
    entries.erase(nodes, at);
    return at;
  }
  /// Every entry, the next to go first.
  template <class F>
  void walk(const internal::cache_nodes& nodes, F&& use) const {
    for (auto at = entries.back; at != internal::none; at = nodes[at].prev)
      use(at);
  }
  /// Who is most likely to go next, or `none`.
  [[nodiscard]] std::uint32_t next_to_go() const noexcept { return entries.back; }
  [[nodiscard]] std::size_t memory() const noexcept { return 0; }
  [[nodiscard]] bool consistent(const internal::cache_nodes&) const noexcept { return true; }

  internal::chain entries;
};

/// The keys that the small queue let go, oldest last: eight bytes of each.
class ghost_queue {
public:
  explicit ghost_queue(std::uint64_t seed) noexcept : seed_{seed | 1} {}

  void push(std::uint64_t prefix);
  /// Whether it was there; it no longer is.
  bool take(std::uint64_t prefix);
  /// Lets the oldest go until there are at most so many.
  void shrink(std::size_t size);

  [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }
  [[nodiscard]] std::size_t memory() const noexcept { return index_.memory() + ghosts_.memory(); }

private:
  struct ghost {
    std::uint64_t prefix = 0;
    std::uint32_t prev = internal::none, next = internal::none;
  };
  [[nodiscard]] std::uint32_t hash_of(std::uint64_t prefix) const noexcept {
    return static_cast<std::uint32_t>(prefix * seed_ >> 32);
  }
  void erase(std::uint32_t at);

  std::uint64_t seed_;
  internal::flat_index index_;
  internal::pool<ghost> ghosts_;
  internal::chain order_;
};

/// New entries stand in the small queue, meant for a tenth of the bytes held. Its tail goes to main
/// when it was asked for more than once, else out of the cache, leaving a ghost: a key that comes
/// back while its ghost is there goes straight to main. Main's tail gets another round for each of
/// up to three hits.
struct s3_fifo {
  static constexpr std::uint8_t in_main = 4;  // in `standing`, above two bits of frequency
  static constexpr std::uint8_t frequency = 3;
  static constexpr int max_spared = 1'000;  // by one eviction; then: the next goes anyhow

  explicit s3_fifo(std::uint64_t seed) noexcept : ghosts{seed} {}

  void admit(internal::cache_nodes& nodes, std::uint32_t at);
  void readmit(internal::cache_nodes& nodes, std::uint32_t at);
  void restore(internal::cache_nodes& nodes, std::uint32_t at, std::uint8_t standing);
  void accessed(internal::cache_nodes& nodes, std::uint32_t at, std::uint64_t count) noexcept;
  void forget(internal::cache_nodes& nodes, std::uint32_t at) noexcept;
  std::uint32_t evict(internal::cache_nodes& nodes);

  template <class F>
  void walk(const internal::cache_nodes& nodes, F&& use) const {
    for (const auto* q : {&small, &main})
      for (auto at = q->entries.back; at != internal::none; at = nodes[at].prev)
        use(at);
  }

  [[nodiscard]] std::uint32_t next_to_go() const noexcept {
    return small.size > 0 ? small.entries.back : main.entries.back;
  }
  [[nodiscard]] std::size_t memory() const noexcept { return ghosts.memory(); }
  /// Whether both queues are as long and as large as they say.
  [[nodiscard]] bool consistent(const internal::cache_nodes& nodes) const noexcept;

  struct queue {
    internal::chain entries;
    std::uint64_t bytes = 0;
    std::size_t size = 0;
  };
  void push(internal::cache_nodes& nodes, std::uint32_t at, std::uint8_t standing);
  [[nodiscard]] queue& queue_of(std::uint8_t standing) noexcept {
    return (standing & in_main) != 0 ? main : small;
  }

  queue small, main;
  ghost_queue ghosts;
};

}  // namespace troupe
