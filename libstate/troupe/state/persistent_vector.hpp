#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace troupe {

/// Whether an append may use a free slot of a chunk that other copies hold too.
enum class tail_sharing { on, off };

/// A sequence that grows at its end and is a value: a copy is one reference count, whatever the
/// size, and no change to one copy is ever seen through another. Copies share their elements in
/// chunks of 32, so a history of 10,000 turns, its snapshots, forks and checkpoints together hold
/// each turn once. Elements are never modified.
///
/// Threads: one object is used like any plain value (many readers or one writer). Different objects
/// are independent, also where they share chunks: one thread may append to the newest copy while
/// others read, copy and drop older ones. Handing an object to another thread needs the caller's
/// own synchronisation, as for an int.
///
/// Cost: copy and take within the last chunk O(1); `operator[]` and `take` O(log32 n); `push_back`
/// amortised O(1), it copies at most one chunk (31 elements) and only when this object was forked
/// off or other copies hold a chunk that is too small. An empty vector owns no heap, ten elements
/// own a chunk of twelve.
///
/// T may be incomplete where the vector is a member. A T that can hold, however deep, a
/// `persistent_vector<T>` must turn tail sharing off: else `v.push_back(item)` with an item that
/// holds a copy of v puts the copy into a chunk it owns itself, a cycle that is never freed. An
/// append beside a live older copy then copies the last chunk.
template <class T, tail_sharing Sharing = tail_sharing::on>
class persistent_vector {
public:
  class const_iterator;
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;

  persistent_vector() noexcept = default;

  persistent_vector(std::initializer_list<T> elements)
      : persistent_vector(elements.begin(), elements.end()) {}

  template <std::input_iterator It, std::sentinel_for<It> End>
  persistent_vector(It first, End last) {
    for (; first != last; ++first)
      push_back(*first);
  }

  persistent_vector(const persistent_vector& other) noexcept
      : body_(other.body_),
        size_(other.size_) {
    if (body_ != nullptr)
      share(body_);
  }

  persistent_vector(persistent_vector&& other) noexcept
      : body_(std::exchange(other.body_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}

  persistent_vector& operator=(persistent_vector other) noexcept {
    swap(other);
    return *this;
  }

  ~persistent_vector() {
    if (body_ != nullptr)
      release_body(body_, level_of(tail_offset() / chunk_size));
  }

  void swap(persistent_vector& other) noexcept {
    std::swap(body_, other.body_);
    std::swap(size_, other.size_);
  }

  [[nodiscard]] size_type size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// REQUIRES: i < size(). The reference is good for as long as any copy that holds the element.
  [[nodiscard]] const T& operator[](size_type i) const noexcept { return *element(i); }

  /// REQUIRES: !empty().
  [[nodiscard]] const T& front() const noexcept { return *element(0); }
  [[nodiscard]] const T& back() const noexcept { return *element(size_ - 1); }

  /// Valid until this object is changed, moved from or destroyed.
  [[nodiscard]] const_iterator begin() const noexcept { return const_iterator(this, 0); }
  [[nodiscard]] const_iterator end() const noexcept { return const_iterator(this, size_); }

  /// Calls `visit(std::span<const T>)` for each run of adjacent elements, in order: the fastest
  /// scan.
  template <class F>
  void for_each_chunk(F&& visit) const {
    for (size_type at = 0; at < size_; at += chunk_size)
      visit(std::span<const T>(element(at), std::min<size_type>(chunk_size, size_ - at)));
  }

  /// Appends to this object and to no copy of it. It changes in place, and does not return a new
  /// vector, because the one owner of a history then appends without touching a reference count;
  /// who wants the old version copies it first. When it throws (an element's copy constructor, no
  /// memory) nothing has changed.
  void push_back(T item);

  /// The first n elements (all of them when there are fewer), sharing every chunk; the elements
  /// beyond n live on only in other copies, except those of the last chunk kept.
  [[nodiscard]] persistent_vector take(size_type n) const;

  /// Drops everything in this object only.
  void clear() noexcept { *this = persistent_vector(); }

  /// How many leading elements a and b hold as the very same objects: a lower bound of their common
  /// prefix found without looking at an element, in O(log^2 n).
  friend size_type shared_prefix(const persistent_vector& a, const persistent_vector& b) noexcept {
    return a.shared_with(b);
  }

  /// The length of the longest prefix of equal elements; what is shared is not compared.
  friend size_type common_prefix(const persistent_vector& a, const persistent_vector& b) {
    const auto start = static_cast<difference_type>(a.shared_with(b));
    const auto stop = std::mismatch(a.begin() + start, a.end(), b.begin() + start, b.end()).first;
    return static_cast<size_type>(stop - a.begin());
  }

  friend bool operator==(const persistent_vector& a, const persistent_vector& b) {
    return a.size_ == b.size_ && common_prefix(a, b) == a.size_;
  }

private:
  static constexpr unsigned bits = 5;
  static constexpr std::uint32_t chunk_size = 1U << bits;
  static constexpr std::uint32_t first_capacity = 4;

  struct node {
    std::atomic<std::uint32_t> refs{1};
  };

  /// Up to 32 elements. Slots [0, used) are constructed and belong to whoever claimed them; slots
  /// are claimed in order, so a vector that sees n elements of this chunk may append in place
  /// exactly if used == n.
  struct chunk : node {
    explicit chunk(std::uint32_t slots) noexcept : capacity(slots) {}

    static constexpr std::size_t offset() {
      return (sizeof(chunk) + alignof(T) - 1) / alignof(T) * alignof(T);
    }
    T* slots() noexcept {
      return reinterpret_cast<T*>(reinterpret_cast<std::byte*>(this) + offset());
    }
    bool claim(std::uint32_t slot) noexcept {
      return slot < capacity
             && used.compare_exchange_strong(slot, slot + 1, std::memory_order_acq_rel,
                                             std::memory_order_relaxed);
    }

    const std::uint32_t capacity;
    std::atomic<std::uint32_t> used{0};
  };

  /// An inner node, never changed once built. Children of level 1 are full chunks, of higher levels
  /// branches.
  struct branch : node {
    explicit branch(std::uint32_t children_count) noexcept : count(children_count) {}
    node** children() noexcept { return reinterpret_cast<node**>(this + 1); }

    const std::uint32_t count;
  };
  static_assert(sizeof(branch) % alignof(node*) == 0);

  /// What a vector and its copies share: the full chunks as a 32-way trie (null if none), then the
  /// last chunk, which is never empty. One body serves every size whose last element lies in that
  /// chunk.
  struct body : node {
    body(node* full, chunk* last) noexcept : prefix(full), tail(last) {}
    node* prefix;
    chunk* tail;
  };

  /// Level 0 is a chunk, level n a branch with n levels below it; at most 12 levels for any size.
  struct releaser {
    unsigned level = 0;
    void operator()(node* n) const noexcept { release(n, level); }
  };
  using node_ptr = std::unique_ptr<node, releaser>;

  persistent_vector(body* adopted, size_type size) noexcept : body_(adopted), size_(size) {}

  template <class Node>
  static Node* share(Node* n) noexcept {
    n->refs.fetch_add(1, std::memory_order_relaxed);
    return n;
  }
  static node_ptr shared(node* n, unsigned level) noexcept {
    return node_ptr(n == nullptr ? nullptr : share(n), releaser{level});
  }
  static bool is_unique(const node* n) noexcept {
    return n->refs.load(std::memory_order_acquire) == 1;
  }
  static bool drop(node* n) noexcept {
    return is_unique(n) || n->refs.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  /// The level of a trie of that many chunks.
  static unsigned level_of(size_type chunks) noexcept {
    if (chunks == 0)
      return 0;
    return (static_cast<unsigned>(std::bit_width((chunks - 1) | 1U)) + bits - 1) / bits;
  }
  static std::uint32_t slot_of(size_type chunk_index, unsigned level) noexcept {
    return static_cast<std::uint32_t>(chunk_index >> (bits * (level - 1))) & (chunk_size - 1);
  }
  static node* child(node* n, size_type chunk_index, unsigned level) noexcept {
    return static_cast<branch*>(n)->children()[slot_of(chunk_index, level)];
  }
  static size_type offset_of(size_type size) noexcept {
    return (size - 1) & ~static_cast<size_type>(chunk_size - 1);
  }
  size_type tail_offset() const noexcept { return offset_of(size_); }
  std::uint32_t tail_size() const noexcept {
    return size_ == 0 ? 0 : static_cast<std::uint32_t>(size_ - tail_offset());
  }

  const T* element(size_type i) const noexcept {
    return chunk_at(i / chunk_size)->slots() + i % chunk_size;
  }
  bool owns_tail_alone() const noexcept {
    return body_ != nullptr && is_unique(body_) && is_unique(body_->tail);
  }
  bool may_use_spare_slot() const noexcept {
    return Sharing == tail_sharing::on ? body_ != nullptr : owns_tail_alone();
  }

  /// The last chunk is full, too small, or gone on with by another copy: goes on in one of its own.
  void replace_tail(T&& item) {
    const bool full = tail_size() == chunk_size;
    const auto kept = full ? 0 : tail_size();
    const auto room = kept + std::max(first_capacity, kept / 2 / first_capacity * first_capacity);
    auto owned = make_chunk(size_ < chunk_size ? std::min(room, chunk_size) : chunk_size);
    auto* const tail = static_cast<chunk*>(owned.get());
    const auto chunks = size_ == 0 ? 0 : tail_offset() / chunk_size;
    const auto level = level_of(chunks);
    node_ptr prefix;
    if (full)
      prefix = with_leaf(body_->prefix, chunks, shared(body_->tail, 0));
    else if (chunks != 0)
      prefix = shared(body_->prefix, level);

    // Nothing throws after elements have been moved out of the old chunk.
    auto fresh = std::make_unique<body>(nullptr, nullptr);
    const bool movable = owns_tail_alone();
    for (std::uint32_t i = 0; i != kept; ++i) {
      T& from = body_->tail->slots()[i];
      if (movable)
        std::construct_at(tail->slots() + i, std::move(from));
      else
        std::construct_at(tail->slots() + i, std::as_const(from));
      tail->used.store(i + 1, std::memory_order_relaxed);
    }
    std::construct_at(tail->slots() + kept, std::move(item));
    tail->used.store(kept + 1, std::memory_order_relaxed);

    fresh->prefix = prefix.release();
    fresh->tail = static_cast<chunk*>(owned.release());
    if (body_ != nullptr)
      release_body(body_, level);
    body_ = fresh.release();
  }

  chunk* chunk_at(size_type chunk_index) const noexcept {
    const auto chunks = tail_offset() / chunk_size;
    if (chunk_index == chunks)
      return body_->tail;
    auto* n = body_->prefix;
    for (auto level = level_of(chunks); level != 0; --level)
      n = child(n, chunk_index, level);
    return static_cast<chunk*>(n);
  }

  /// A chunk is only ever reached behind the chunks it was first appended to, so chunks are shared
  /// up to some point and never again behind it: a binary search finds it.
  size_type shared_with(const persistent_vector& other) const noexcept {
    const auto smaller = std::min(size_, other.size_);
    size_type low = 0;
    auto high = (smaller + chunk_size - 1) / chunk_size;
    while (low != high) {
      const auto middle = low + (high - low) / 2;
      if (chunk_at(middle) == other.chunk_at(middle))
        low = middle + 1;
      else
        high = middle;
    }
    return std::min(smaller, low * chunk_size);
  }

  static void release(node* n, unsigned level) noexcept {
    if (!drop(n))
      return;
    if (level == 0) {
      auto* leaf = static_cast<chunk*>(n);
      std::destroy_n(leaf->slots(), leaf->used.load(std::memory_order_relaxed));
      std::destroy_at(leaf);
      ::operator delete(leaf);
    } else {
      auto* inner = static_cast<branch*>(n);
      for (std::uint32_t i = 0; i != inner->count; ++i)
        release(inner->children()[i], level - 1);
      std::destroy_at(inner);
      ::operator delete(inner);
    }
  }

  static void release_body(body* b, unsigned level) noexcept {
    if (!drop(b))
      return;
    if (b->prefix != nullptr)
      release(b->prefix, level);
    release(b->tail, 0);
    delete b;
  }

  static node_ptr make_chunk(std::uint32_t capacity) {
    void* memory = ::operator new(chunk::offset() + capacity * sizeof(T));
    return node_ptr(::new (memory) chunk(capacity), releaser{0});
  }

  /// A branch of `count` shared children and `last`, which it adopts.
  static node_ptr make_branch(node* const* kept, std::uint32_t count, unsigned level,
                              node_ptr last) {
    void* memory = ::operator new(sizeof(branch) + (count + 1) * sizeof(node*));
    auto* made = ::new (memory) branch(count + 1);
    for (std::uint32_t i = 0; i != count; ++i)
      made->children()[i] = share(kept[i]);
    made->children()[count] = last.release();
    return node_ptr(made, releaser{level});
  }

  /// A copy of the right edge of n (null: nothing there yet), which holds `chunks` chunks, with
  /// `leaf` behind them.
  static node_ptr with_path(node* n, unsigned level, size_type chunks, node_ptr leaf) {
    const auto slot = n == nullptr ? 0 : slot_of(chunks, level);
    auto** children = n == nullptr ? nullptr : static_cast<branch*>(n)->children();
    if (level > 1) {
      const bool grows = n != nullptr && slot < static_cast<branch*>(n)->count;
      leaf = with_path(grows ? children[slot] : nullptr, level - 1, chunks, std::move(leaf));
    }
    return make_branch(children, slot, level, std::move(leaf));
  }

  static node_ptr with_leaf(node* root, size_type chunks, node_ptr leaf) {
    const auto level = level_of(chunks + 1);
    if (chunks == 0 || level == level_of(chunks))
      return with_path(root, level, chunks, std::move(leaf));
    return make_branch(&root, 1, level, with_path(nullptr, level - 1, 0, std::move(leaf)));
  }

  /// A copy of the path to the last of the first `chunks` chunks, with nothing behind it. REQUIRES:
  /// chunks > 0.
  static node_ptr first_chunks(node* root, unsigned level, size_type chunks) {
    if (level == 0)
      return shared(root, 0);
    auto last = first_chunks(child(root, chunks - 1, level), level - 1, chunks);
    return make_branch(static_cast<branch*>(root)->children(), slot_of(chunks - 1, level), level,
                       std::move(last));
  }

  body* body_ = nullptr;
  size_type size_ = 0;
};

/// Random access; a step within a chunk is one pointer increment.
template <class T, tail_sharing Sharing>
class persistent_vector<T, Sharing>::const_iterator {
public:
  using value_type = T;
  using difference_type = std::ptrdiff_t;

  const_iterator() noexcept = default;

  // REQUIRES, as any iterator: not at the end.
  const T& operator*() const noexcept {
    return *current_;  // NOLINT(clang-analyzer-core.uninitialized.UndefReturn)
  }
  const T* operator->() const noexcept { return current_; }
  const T& operator[](difference_type n) const noexcept { return *(*this + n); }

  const_iterator& operator++() noexcept {
    if (++index_ % chunk_size != 0)
      ++current_;
    else
      seek();
    return *this;
  }
  const_iterator& operator--() noexcept {
    if (index_-- % chunk_size != 0)
      --current_;
    else
      seek();
    return *this;
  }
  const_iterator operator++(int) noexcept { return std::exchange(*this, *this + 1); }
  const_iterator operator--(int) noexcept { return std::exchange(*this, *this - 1); }
  const_iterator& operator+=(difference_type n) noexcept {
    index_ += static_cast<size_type>(n);
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
  friend class persistent_vector;
  const_iterator(const persistent_vector* owner, size_type index) noexcept
      : owner_(owner),
        index_(index) {
    seek();
  }

  /// At a chunk's begin there is nothing to step back to, so an end() there needs no pointer.
  void seek() noexcept {
    if (index_ < owner_->size_)
      current_ = owner_->element(index_);
    else
      current_ = index_ % chunk_size == 0 ? nullptr : owner_->element(index_ - 1) + 1;
  }

  const persistent_vector* owner_ = nullptr;
  size_type index_ = 0;
  const T* current_ = nullptr;
};

template <class T, tail_sharing Sharing>
void persistent_vector<T, Sharing>::push_back(T item) {
  static_assert(std::is_nothrow_move_constructible_v<T>, "a claimed slot must be filled");
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  const auto slot = tail_size();
  if (may_use_spare_slot() && body_->tail->claim(slot))
    std::construct_at(body_->tail->slots() + slot, std::move(item));
  else
    replace_tail(std::move(item));
  ++size_;
}

template <class T, tail_sharing Sharing>
persistent_vector<T, Sharing> persistent_vector<T, Sharing>::take(size_type n) const {
  if (n >= size_)
    return *this;
  if (n == 0)
    return {};
  const auto offset = offset_of(n);
  if (offset == tail_offset())
    return persistent_vector(share(body_), n);
  const auto chunks = offset / chunk_size;
  node_ptr prefix;
  if (chunks != 0) {
    auto* root = body_->prefix;
    auto level = level_of(tail_offset() / chunk_size);
    for (; level > level_of(chunks); --level)
      root = child(root, 0, level);
    prefix = first_chunks(root, level, chunks);
  }
  auto* fresh = new body(prefix.get(), chunk_at(chunks));
  share(fresh->tail);
  static_cast<void>(prefix.release());
  return persistent_vector(fresh, n);
}

}  // namespace troupe
