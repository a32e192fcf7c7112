#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace troupe {

/// An ordered map that is a value: a copy is one reference count, whatever the size, and no change
/// to one copy is ever seen through another. A change copies the nodes on one path (pointers only)
/// and shares everything else; no change copies a key or a T that was there before. Iteration is in
/// the order of the keys (std::string: by unsigned bytes), so equal maps encode to equal bytes.
///
/// Threads: one object is used like any plain value (many readers or one writer). Different objects
/// are independent, also where they share nodes; handing an object to another thread needs the
/// caller's own synchronisation, as for an int.
///
/// Cost: copy O(1); `find`, `set`, `erase` O(log n), where a node nobody else holds is edited in
/// place; a step of an iterator amortised O(1). An empty map owns no heap, a small one a node of
/// pointers and an entry for each key.
///
/// T may be incomplete where the map is a member. `MaxSlots` is the fan-out of a node: narrow ones
/// make a change cheap, wide ones iteration; docs/adr/0004 has the figures.
template <class Key, class T, std::uint32_t MaxSlots = 8>
class persistent_map {
public:
  class const_iterator;
  using key_type = Key;
  using mapped_type = T;
  using value_type = std::pair<const Key, T>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  /// What look-ups take: no std::string is built to look one up.
  using key_view =
      std::conditional_t<std::is_same_v<Key, std::string>, std::string_view, const Key&>;

  persistent_map() noexcept = default;

  /// Of equal keys the last one wins.
  persistent_map(std::initializer_list<value_type> items) {
    for (const auto& item : items)
      set(item.first, item.second);
  }

  persistent_map(const persistent_map& other) noexcept : root_(other.root_), size_(other.size_) {
    if (root_ != nullptr)
      share(root_);
  }

  persistent_map(persistent_map&& other) noexcept
      : root_(std::exchange(other.root_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}

  persistent_map& operator=(persistent_map other) noexcept {
    swap(other);
    return *this;
  }

  ~persistent_map() {
    if (root_ != nullptr)
      release(root_);
  }

  void swap(persistent_map& other) noexcept {
    std::swap(root_, other.root_);
    std::swap(size_, other.size_);
  }

  [[nodiscard]] size_type size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// Null if there is no such key; good for as long as any copy holds this very entry.
  [[nodiscard]] const T* find(key_view key) const noexcept;
  [[nodiscard]] bool contains(key_view key) const noexcept { return find(key) != nullptr; }

  /// Inserts or replaces in this object and in no copy of it; true if the key is new. When it
  /// throws (no memory) the contents have not changed.
  bool set(Key key, T value);

  /// Removes from this object and from no copy of it; false, and nothing is copied, if there is no
  /// such key. When it throws (no memory) the contents have not changed.
  bool erase(key_view key);

  /// Drops everything in this object only.
  void clear() noexcept { *this = persistent_map(); }

  /// Valid until this object is changed, moved from or destroyed.
  [[nodiscard]] const_iterator begin() const noexcept { return const_iterator(cursor(root_)); }
  [[nodiscard]] const_iterator end() const noexcept { return {}; }

  /// The first entry whose key is not less than `key`: where a range or a common prefix begins.
  [[nodiscard]] const_iterator lower_bound(key_view key) const noexcept;

  /// Calls `fn(key, const T* before, const T* after)` in the order of the keys for each key whose
  /// value differs; before is null for a key only in b, after for one only in a. Subtrees that both
  /// share are skipped: neighbouring versions cost O(changes * log n). Values are compared by ==
  /// where T has it, else by identity.
  template <class F>
  friend void for_each_difference(const persistent_map& a, const persistent_map& b, F&& fn) {
    walk_differences(a, b, [&fn](const Key& key, const T* before, const T* after) {
      fn(key, before, after);
      return true;
    });
  }

  /// Skips what both share. Needs a T with ==.
  friend bool operator==(const persistent_map& a, const persistent_map& b) {
    static_assert(std::equality_comparable<T>);
    return a.size_ == b.size_
           && walk_differences(a, b, [](const Key&, const T*, const T*) { return false; });
  }

private:
  static_assert(MaxSlots >= 8, "a node must be able to give some of its slots away");
  static constexpr std::uint32_t min_slots = MaxSlots / 4;
  /// A node holds min_slots or more (but on the right edge), so this is enough for 2^48 entries.
  static constexpr int max_height = 48 / (std::bit_width(min_slots) - 1) + 1;

  struct entry {
    entry(Key&& key, T&& value) : item(std::move(key), std::move(value)) {}
    std::atomic<std::uint32_t> refs{1};
    value_type item;
  };

  /// `capacity` entry pointers follow and, above the leaves (height > 0), as many child pointers. A
  /// leaf owns a reference to each entry; an inner node only notes the smallest entry below each
  /// child, which that child keeps alive. A node that is shared is never changed.
  struct alignas(void*) node {
    node(std::uint32_t level, std::uint32_t slots) noexcept : height(level), capacity(slots) {}
    entry** entries() noexcept { return reinterpret_cast<entry**>(this + 1); }
    node** children() noexcept { return reinterpret_cast<node**>(entries() + capacity); }

    std::atomic<std::uint32_t> refs{1};
    const std::uint32_t height;
    const std::uint32_t capacity;
    std::uint32_t count = 0;
  };

  /// A position in a tree: either an entry or a whole subtree not yet looked into. Walks without
  /// recursion.
  struct cursor {
    struct step {
      node* at;
      std::uint32_t slot;
    };

    cursor() noexcept = default;
    explicit cursor(node* root) noexcept {
      if (root != nullptr)
        push(root, 0);
    }
    cursor(const cursor& other) noexcept : depth(other.depth) {
      std::copy_n(other.path.begin(), depth, path.begin());
    }
    cursor& operator=(const cursor& other) noexcept {
      depth = other.depth;
      std::copy_n(other.path.begin(), depth, path.begin());
      return *this;
    }

    bool done() const noexcept { return depth == 0; }
    step& top() noexcept { return path[depth - 1]; }
    const step& top() const noexcept { return path[depth - 1]; }
    std::uint32_t height() const noexcept { return top().at->height; }
    bool at_entry() const noexcept { return height() == 0; }
    /// The entry, or the smallest one of the subtree.
    entry* smallest() const noexcept { return top().at->entries()[top().slot]; }
    node* subtree() const noexcept { return top().at->children()[top().slot]; }
    const void* target() const noexcept {
      return at_entry() ? static_cast<void*>(smallest()) : static_cast<void*>(subtree());
    }

    void push(node* n, std::uint32_t slot) noexcept { path[depth++] = step{n, slot}; }
    void enter() noexcept { push(subtree(), 0); }
    void skip() noexcept {
      while (!done() && ++top().slot == top().at->count)
        --depth;
    }

    std::size_t depth = 0;
    std::array<step, max_height> path;  // only the first `depth` steps are there
  };

  template <class Counted>
  static Counted* share(Counted* p) noexcept {
    p->refs.fetch_add(1, std::memory_order_relaxed);
    return p;
  }
  template <class Counted>
  static bool is_unique(const Counted* p) noexcept {
    return p->refs.load(std::memory_order_acquire) == 1;
  }
  template <class Counted>
  static bool drop(Counted* p) noexcept {
    return is_unique(p) || p->refs.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  static void release(entry* e) noexcept {
    if (drop(e))
      delete e;
  }

  static key_view key_of(const entry* e) noexcept { return e->item.first; }

  /// By the smallest key of what they stand at; a cursor that is done comes last.
  static std::strong_ordering compare(const cursor& a, const cursor& b) noexcept {
    if (a.done() || b.done())
      return a.done() <=> b.done();
    return key_of(a.smallest()) <=> key_of(b.smallest());
  }

  /// Merges the two by key, from the subtrees down: what both share is skipped whole, else the one
  /// with the smaller key is looked into, of two equal ones the higher. False if fn said so.
  template <class F>
  static bool walk_differences(const persistent_map& a, const persistent_map& b, F&& fn) {
    if (a.root_ == b.root_)
      return true;
    cursor left(a.root_);
    cursor right(b.root_);
    while (!left.done() || !right.done()) {
      if (!left.done() && !right.done() && left.height() == right.height()
          && left.target() == right.target()) {
        left.skip();
        right.skip();
        continue;
      }
      const auto order = compare(left, right);
      const bool in_left = order <= 0;
      const bool in_right = order >= 0;
      const auto left_height = in_left ? left.height() : 0;
      const auto right_height = in_right ? right.height() : 0;
      if (left_height != 0 || right_height != 0) {
        if (left_height >= right_height)
          left.enter();
        if (right_height >= left_height)
          right.enter();
        continue;
      }
      const value_type* const before = in_left ? &left.smallest()->item : nullptr;
      const value_type* const after = in_right ? &right.smallest()->item : nullptr;
      bool same = false;
      if constexpr (std::equality_comparable<T>)
        same = in_left && in_right && before->second == after->second;
      if (!same
          && !fn(in_left ? before->first : after->first, in_left ? &before->second : nullptr,
                 in_right ? &after->second : nullptr))
        return false;
      if (in_left)
        left.skip();
      if (in_right)
        right.skip();
    }
    return true;
  }

  /// Recurses as deep as the tree is high.
  static void release(node* n) noexcept {
    if (!drop(n))
      return;
    if (n->height == 0)
      std::for_each_n(n->entries(), n->count, [](entry* e) { release(e); });
    else
      std::for_each_n(n->children(), n->count, [](node* child) { release(child); });
    std::destroy_at(n);
    ::operator delete(n);
  }

  static node* make_node(std::uint32_t height, std::uint32_t slots) {
    const auto capacity = std::min((slots + 3) / 4 * 4, MaxSlots);
    void* memory = ::operator new(sizeof(node) + capacity * sizeof(void*) * (height == 0 ? 1 : 2));
    return ::new (memory) node(height, capacity);
  }

  /// Makes n a node that only this tree holds, with room for so many slots if MaxSlots allows.
  /// REQUIRES: the same of its parent.
  static void own(node*& n, std::uint32_t slots) {
    const bool unique = is_unique(n);
    slots = std::clamp(slots, n->count, MaxSlots);
    if (unique && n->capacity >= slots)
      return;
    node* fresh = make_node(n->height, slots);
    if (!unique && n->height == 0)
      std::for_each_n(n->entries(), n->count, [](entry* e) { share(e); });
    else if (!unique)
      std::for_each_n(n->children(), n->count, [](node* child) { share(child); });
    move_slots(n, 0, n->count, fresh, 0);
    fresh->count = n->count;
    if (unique)
      n->count = 0;
    release(std::exchange(n, fresh));
  }

  /// Moves the slots [begin, end); counts are the caller's business.
  static void move_slots(node* from, std::uint32_t begin, std::uint32_t end, node* to,
                         std::uint32_t at) {
    const auto bytes = (end - begin) * sizeof(void*);
    std::memmove(to->entries() + at, from->entries() + begin, bytes);
    if (from->height != 0)
      std::memmove(to->children() + at, from->children() + begin, bytes);
  }

  /// Leaves `keep` slots of the full child where they are and moves the rest to a new sibling.
  /// REQUIRES: both are owned, the parent has room.
  static void split_child(node* parent, std::uint32_t slot, std::uint32_t keep) {
    node* const child = parent->children()[slot];
    const auto moved = child->count - keep;
    node* const sibling = make_node(child->height, moved + 1);
    move_slots(child, keep, child->count, sibling, 0);
    sibling->count = moved;
    child->count = keep;
    move_slots(parent, slot + 1, parent->count, parent, slot + 2);
    ++parent->count;
    parent->children()[slot + 1] = sibling;
    parent->entries()[slot + 1] = sibling->entries()[0];
  }

  /// Merges a child that is about to become too small with a neighbour, or evens the two out.
  /// REQUIRES: the parent is owned and has two children or more.
  static void balance(node* parent, std::uint32_t slot) {
    const auto at = slot == 0 ? 0 : slot - 1;
    node*& left = parent->children()[at];
    node*& right = parent->children()[at + 1];
    const auto total = left->count + right->count;
    const auto stay = total <= MaxSlots ? total : total / 2;
    own(left, stay);
    own(right, total - stay);
    if (stay > left->count) {
      const auto moved = stay - left->count;
      move_slots(right, 0, moved, left, left->count);
      move_slots(right, moved, right->count, right, 0);
    } else {
      const auto moved = left->count - stay;
      move_slots(right, 0, right->count, right, moved);
      move_slots(left, stay, left->count, right, 0);
    }
    left->count = stay;
    right->count = total - stay;
    if (right->count != 0) {
      parent->entries()[at + 1] = right->entries()[0];
    } else {
      release(right);
      move_slots(parent, at + 2, parent->count, parent, at + 1);
      --parent->count;
    }
  }

  /// The first slot whose key is not less.
  static std::uint32_t slot_for(node* n, key_view key) noexcept {
    auto** const found =
        std::lower_bound(n->entries(), n->entries() + n->count, key,
                         [](const entry* e, key_view wanted) { return key_of(e) < wanted; });
    return static_cast<std::uint32_t>(found - n->entries());
  }

  /// The child whose range holds the key; the first one for keys before all.
  static std::uint32_t child_for(node* n, key_view key) noexcept {
    auto** const found =
        std::upper_bound(n->entries() + 1, n->entries() + n->count, key,
                         [](key_view wanted, const entry* e) { return wanted < key_of(e); });
    return static_cast<std::uint32_t>(found - n->entries() - 1);
  }

  /// The leaf's first entry may have changed: so may what the nodes above noted.
  static void note_smallest(cursor& path, node* leaf) noexcept {
    for (node* below = leaf; !path.done(); below = path.path[--path.depth].at)
      path.top().at->entries()[path.top().slot] = below->entries()[0];
  }

  node* root_ = nullptr;
  size_type size_ = 0;
};

/// Forward; carries its path, so a step needs neither a search nor a parent pointer.
template <class Key, class T, std::uint32_t MaxSlots>
class persistent_map<Key, T, MaxSlots>::const_iterator {
public:
  using value_type = std::pair<const Key, T>;
  using difference_type = std::ptrdiff_t;

  const_iterator() noexcept = default;

  // REQUIRES, as any iterator: not at the end.
  const value_type& operator*() const noexcept {
    return current_->item;  // NOLINT(clang-analyzer-core.uninitialized.UndefReturn)
  }
  const value_type* operator->() const noexcept { return &current_->item; }
  const_iterator& operator++() noexcept {
    position_.skip();
    settle();
    return *this;
  }
  const_iterator operator++(int) noexcept {
    auto before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const const_iterator& a, const const_iterator& b) noexcept {
    return a.current_ == b.current_;
  }

private:
  friend class persistent_map;
  explicit const_iterator(const cursor& position) noexcept : position_(position) { settle(); }
  void settle() noexcept {
    while (!position_.done() && !position_.at_entry())
      position_.enter();
    current_ = position_.done() ? nullptr : position_.smallest();
  }

  cursor position_;
  const entry* current_ = nullptr;
};

template <class Key, class T, std::uint32_t MaxSlots>
auto persistent_map<Key, T, MaxSlots>::lower_bound(key_view key) const noexcept -> const_iterator {
  cursor position;
  for (node* n = root_; n != nullptr;) {
    const bool leaf = n->height == 0;
    const auto slot = leaf ? slot_for(n, key) : child_for(n, key);
    position.push(n, slot);
    if (slot == n->count) {  // only in a leaf: all its keys are less
      --position.top().slot;
      position.skip();
    }
    n = leaf ? nullptr : n->children()[slot];
  }
  return const_iterator(position);
}

template <class Key, class T, std::uint32_t MaxSlots>
const T* persistent_map<Key, T, MaxSlots>::find(key_view key) const noexcept {
  if (root_ == nullptr)
    return nullptr;
  node* n = root_;
  while (n->height != 0)
    n = n->children()[child_for(n, key)];
  const auto slot = slot_for(n, key);
  if (slot == n->count || key_of(n->entries()[slot]) != key)
    return nullptr;
  return &n->entries()[slot]->item.second;
}

template <class Key, class T, std::uint32_t MaxSlots>
bool persistent_map<Key, T, MaxSlots>::set(Key key, T value) {
  auto fresh = std::make_unique<entry>(std::move(key), std::move(value));
  const key_view wanted = key_of(fresh.get());
  if (root_ == nullptr)
    root_ = make_node(0, 1);
  own(root_, root_->count + 1);
  if (root_->count == MaxSlots) {
    node* above = make_node(root_->height + 1, 2);
    above->count = 1;
    above->entries()[0] = root_->entries()[0];
    above->children()[0] = root_;
    root_ = above;
  }
  cursor path;
  node* n = root_;
  bool right_edge = true;
  while (n->height != 0) {
    auto slot = child_for(n, wanted);
    node*& child = n->children()[slot];
    own(child, child->count + 1);
    right_edge = right_edge && slot + 1 == n->count;
    if (child->count == MaxSlots) {
      // Growing at the end leaves full nodes behind, not half full ones.
      const bool last = right_edge && key_of(child->entries()[MaxSlots - 1]) < wanted;
      split_child(n, slot, last ? MaxSlots - 1 : MaxSlots / 2);
      slot = child_for(n, wanted);
    }
    path.push(n, slot);
    n = n->children()[slot];
  }
  const auto slot = slot_for(n, wanted);
  const bool is_new = slot == n->count || key_of(n->entries()[slot]) != wanted;
  if (is_new) {
    move_slots(n, slot, n->count, n, slot + 1);
    ++n->count;
    ++size_;
  } else {
    release(n->entries()[slot]);
  }
  n->entries()[slot] = fresh.release();
  note_smallest(path, n);
  return is_new;
}

template <class Key, class T, std::uint32_t MaxSlots>
bool persistent_map<Key, T, MaxSlots>::erase(key_view key) {
  if (find(key) == nullptr)
    return false;
  own(root_, root_->count);
  cursor path;
  node* n = root_;
  while (n->height != 0) {
    auto slot = child_for(n, key);
    if (n->children()[slot]->count <= min_slots && n->count > 1) {
      balance(n, slot);
      slot = child_for(n, key);
    }
    own(n->children()[slot], n->children()[slot]->count);
    path.push(n, slot);
    n = n->children()[slot];
  }
  const auto slot = slot_for(n, key);
  release(n->entries()[slot]);  // `key` may look into it and is not used below
  move_slots(n, slot + 1, n->count, n, slot);
  --n->count;
  --size_;
  if (n->count != 0)
    note_smallest(path, n);
  while (root_->count == 1 && root_->height != 0) {
    node* below = root_->children()[0];
    root_->count = 0;
    release(std::exchange(root_, below));
  }
  if (root_->count == 0)
    release(std::exchange(root_, nullptr));
  return true;
}

}  // namespace troupe
