#pragma once

#include <troupe/state/expected.hpp>
#include <troupe/state/limits.hpp>
#include <troupe/state/persistent_vector.hpp>
#include <troupe/state/time.hpp>
#include <troupe/state/value.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>

namespace troupe {

/// A look at one item of a history: no ownership, no allocation. It is good as long as a history
/// with the item lives unchanged: the one asked or a copy of it. An append may move the last chunk.
struct item_view {
  std::uint64_t seq = 0;
  timestamp at;
  value_view fields;  ///< a map

  /// Structural, as for values: whatever the order of keys.
  friend bool operator==(const item_view&, const item_view&) = default;
};

/// Neighbouring items of a history as they stand in memory and, unchanged, on disk.
///
/// `bytes` is on disk; whoever stores it owns the version number. All of it is needed to read it
/// and nothing else; the bytes of the first n items are the beginning of the bytes of all.
///
///     8 bytes   seq of the first item, little-endian, at least 1
///     8 bytes   time of the first item in ms, little-endian, two's complement
///     then for each item, at least one and at most 32, up to the end of the bytes:
///       varint  its seq - the first item's: 0, then ascending
///       varint  its time - the first item's, modulo 2^64, zigzag (0, -1, 1, -2 ... is 0, 1, 2, 3)
///       map     its fields, canonical msgpack
///
/// A varint is 7 bits a byte, the lowest first, the high bit set on all but the last, and as short
/// as it can be. Times and numbers are told against the first item and not against the item before,
/// so that any item is read without those before it.
struct packed_chunk {
  std::size_t first_index = 0;  ///< of its first item in the history
  std::size_t count = 0;        ///< items
  bool sealed = false;          ///< no append to this history adds to it
  std::string_view bytes;       ///< good as long as an `item_view` into it
};

/// The items of one conversation in their order, packed: an item costs its msgpack and about twelve
/// bytes. It is a value that grows at its end: a copy is two reference counts, whatever the size,
/// and no change to one copy is ever seen through another. Copies share their items in chunks that
/// are never modified, so a history, its snapshots and forks together hold each item once.
///
/// Threads: one object is used like any plain value (many readers or one writer). Different objects
/// are independent, also where they share chunks: one thread may append to the newest copy while
/// others read, copy, append to and drop other copies. Handing an object to another thread needs
/// the caller's own synchronisation, as for an int.
///
/// A chunk is complete with 32 items or 16 KiB; an item of 16 KiB or more stands in one of its own.
/// Where chunks begin depends on the items only, so equal items appended one by one give equal
/// chunks.
///
/// Cost: copy, size, bytes, back O(1); access and search O(log n); append amortised O(1), it copies
/// at most one chunk's items (less than 32 KiB), and only when the chunk is too small or another
/// copy has gone on with it. An empty history owns no heap, one of a single chunk one block.
class history {
public:
  class const_iterator;
  using value_type = item_view;

  history() noexcept = default;
  history(const history& other) noexcept;
  history(history&& other) noexcept;  ///< leaves an empty one
  history& operator=(history other) noexcept;
  ~history();
  void swap(history& other) noexcept;

  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return tail_count_ == 0; }

  /// Bytes of the fields of all items, as canonical msgpack.
  [[nodiscard]] std::uint64_t bytes() const noexcept;

  /// REQUIRES: index < size().
  [[nodiscard]] item_view operator[](std::size_t index) const noexcept;
  /// REQUIRES: !empty().
  [[nodiscard]] item_view back() const noexcept;

  /// The newest item's number; 0 when there is none.
  [[nodiscard]] std::uint64_t last_seq() const noexcept;

  /// The index of the first item with a larger number; size() when there is none.
  [[nodiscard]] std::size_t first_after(std::uint64_t seq) const noexcept;

  /// Valid until this object is changed, moved from or destroyed. The fastest scan.
  [[nodiscard]] const_iterator begin() const noexcept;
  [[nodiscard]] const_iterator end() const noexcept;

  /// Appends to this object and to no copy of it. REQUIRES: seq > last_seq(), `fields` is a map of
  /// less than 2 GiB; it may lie in this very history. When it throws (no memory) nothing has
  /// changed.
  void append(std::uint64_t seq, timestamp at, value_view fields);

  /// The first n items (all when there are fewer), sharing every chunk; what lies behind them in
  /// the last chunk stays in memory until that chunk is appended to or trimmed.
  [[nodiscard]] history take(std::size_t n) const;

  /// Gives back the memory kept free for appends; the content stays, views into it do not. Does
  /// nothing where another copy holds the last chunk, since that would then stand twice.
  void shrink_to_fit();

  /// Calls `visit(packed_chunk)` for each chunk in order. No chunk is empty, and only the last may
  /// be unsealed.
  template <class F>
  void for_each_chunk(F&& visit) const {
    for (std::size_t number = 0; number != chunk_count(); ++number)
      visit(packed(number));
  }

  /// The history whose chunks have these bytes, from anywhere: every length and number is checked,
  /// an item nests at most `depth` levels. Errors: `damaged`.
  static expected<history> from_chunks(std::span<const std::string_view> chunks,
                                       std::size_t depth = limits{}.depth);

  /// How many leading items a and b hold as the very same objects: a lower bound of their common
  /// prefix found without looking at an item, in O(log^2 n).
  friend std::size_t shared_prefix(const history& a, const history& b) noexcept {
    return a.shared_with(b);
  }

  /// The length of the longest prefix of equal items; what is shared is not compared.
  friend std::size_t common_prefix(const history& a, const history& b) { return a.common_with(b); }

  friend bool operator==(const history& a, const history& b) {
    return a.size() == b.size() && a.common_with(b) == a.size();
  }

private:
  struct chunk;

  /// One reference to a chunk, or null.
  class chunk_ptr {
  public:
    chunk_ptr() noexcept = default;
    explicit chunk_ptr(chunk* adopted) noexcept : chunk_(adopted) {}
    chunk_ptr(const chunk_ptr& other) noexcept;
    chunk_ptr(chunk_ptr&& other) noexcept : chunk_(std::exchange(other.chunk_, nullptr)) {}
    chunk_ptr& operator=(chunk_ptr other) noexcept {
      std::swap(chunk_, other.chunk_);
      return *this;
    }
    ~chunk_ptr();

    chunk* operator->() const noexcept { return chunk_; }
    [[nodiscard]] chunk* get() const noexcept { return chunk_; }

  private:
    chunk* chunk_ = nullptr;
  };

  [[nodiscard]] std::size_t chunk_count() const noexcept;
  [[nodiscard]] const chunk& chunk_at(std::size_t number) const noexcept;
  [[nodiscard]] std::size_t chunk_end(std::size_t number) const noexcept;
  [[nodiscard]] std::size_t chunk_of(std::size_t index) const noexcept;
  [[nodiscard]] packed_chunk packed(std::size_t number) const noexcept;
  [[nodiscard]] std::size_t shared_with(const history& other) const noexcept;
  [[nodiscard]] std::size_t common_with(const history& other) const;
  [[nodiscard]] bool accepts(std::size_t item_bytes) const noexcept;
  [[nodiscard]] std::size_t room_of_next(std::size_t item_bytes) const noexcept;
  bool append_chunk(std::string_view bytes, std::size_t depth);

  persistent_vector<chunk_ptr> sealed_;  // all chunks but the last
  chunk_ptr tail_;                       // null when empty
  std::uint32_t tail_count_ = 0;         // of its items are ours
  std::uint32_t tail_bytes_ = 0;         // of fields in those
};

/// Random access; yields items by value. A step within a chunk does not search.
class history::const_iterator {
public:
  using value_type = item_view;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::random_access_iterator_tag;
  using iterator_category = std::input_iterator_tag;  // it has no reference to give
  using reference = item_view;
  using pointer = void;

  const_iterator() noexcept = default;

  /// REQUIRES, as any iterator: not at the end.
  item_view operator*() const noexcept;
  item_view operator[](difference_type n) const noexcept { return *(*this + n); }

  const_iterator& operator++() noexcept { return *this += 1; }
  const_iterator& operator--() noexcept { return *this += -1; }
  const_iterator operator++(int) noexcept { return std::exchange(*this, *this + 1); }
  const_iterator operator--(int) noexcept { return std::exchange(*this, *this - 1); }
  const_iterator& operator+=(difference_type n) noexcept {
    index_ += static_cast<std::size_t>(n);
    if (index_ - first_ >= count_)
      seek();
    return *this;
  }
  const_iterator& operator-=(difference_type n) noexcept { return *this += -n; }

  friend const_iterator operator+(const_iterator it, difference_type n) noexcept { return it += n; }
  friend const_iterator operator+(difference_type n, const_iterator it) noexcept { return it += n; }
  friend const_iterator operator-(const_iterator it, difference_type n) noexcept { return it -= n; }
  friend difference_type operator-(const const_iterator& a, const const_iterator& b) noexcept {
    return static_cast<difference_type>(a.index_) - static_cast<difference_type>(b.index_);
  }
  friend bool operator==(const const_iterator& a, const const_iterator& b) noexcept {
    return a.index_ == b.index_;
  }
  friend auto operator<=>(const const_iterator& a, const const_iterator& b) noexcept {
    return a.index_ <=> b.index_;
  }

private:
  friend class history;
  const_iterator(const history* owner, std::size_t index) noexcept : owner_(owner), index_(index) {
    seek();
  }

  /// Finds the chunk of index_; at the end there is none.
  void seek() noexcept;

  const history* owner_ = nullptr;
  std::size_t index_ = 0;
  const chunk* chunk_ = nullptr;
  std::size_t first_ = 0;  // index of the chunk's first item
  std::size_t count_ = 0;  // of its items belong to the owner
};

}  // namespace troupe
