#pragma once

#include <troupe/persistence/internal/key_table.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory_resource>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace troupe::internal {

/// An entity's newest change: its revision and where it stands in the journal.
struct newest_change {
  std::uint64_t sequence = 0;
  std::uint64_t position = 0;
  friend bool operator==(const newest_change&, const newest_change&) = default;
};

/// Where the journal holds what one entity has beyond its snapshot: from the newest change back,
/// each of whose records says where the one before it stands, to the first.
struct tail_entry {
  newest_change newest{};
  std::uint64_t first = 0;  ///< position of the oldest change that no snapshot covers
  std::uint64_t start = 0;  ///< the index's number of where that is
  bool by_state = false;    ///< each of its changes `folds_by_state`
};

/// A place in the journal: a record, and the bytes of those before it since the store was opened.
struct journal_place {
  std::uint64_t position = 0;
  std::uint64_t bytes_before = 0;
};

/// Where the un-materialised changes of each entity are, so that appending one costs no look-up on
/// disk. Three tiers: an entity with a tail is always here; one without was loaded, written or
/// materialised lately and its newest change is remembered in one of two generations of bounded
/// size (when the young one is full it becomes the old one, and the old one goes); every other
/// costs nothing, and its sequence stands in its snapshot. So memory is bounded by the tail and a
/// constant, an entity costs some 80 bytes and its key however many changes it has, and the disk is
/// asked for a sequence at most once after each start, materialisation or long silence of an
/// entity. A forgotten sequence is never a wrong one: forgetting is only a miss.
///
/// Where the tails begin is kept in the journal's order, so that nobody reads the journal to find
/// whose turn it is to be folded and how far all of it is covered.
class tail_index {
public:
  explicit tail_index(std::size_t clean_entries) : generation_{clean_entries / 2 + 1} {}
  tail_index(const tail_index&) = delete;
  tail_index& operator=(const tail_index&) = delete;

  using node = key_table<tail_entry>::entry;

  /// Null when the entity has no tail. The node stays where it is until `materialised` or
  /// `take_back`.
  [[nodiscard]] node* find(std::string_view key) noexcept;

  /// The newest change of an entity, when it is known here.
  [[nodiscard]] std::optional<newest_change> newest(std::string_view key) const noexcept;

  /// Appends a change, whose record follows so many bytes. `by_state`: it `folds_by_state`, as far
  /// as is known. REQUIRES: nothing at a later position was appended.
  node& append(node* known, std::string_view key, const newest_change& what, bool by_state = false,
               std::uint64_t bytes_before = 0);

  /// Undoes the newest `append` of the entity, which was at `before` then.
  void take_back(node& entry, const newest_change& before);

  /// A snapshot covers the tail up to `upto`, which was its newest change when `begin_fold` was
  /// called, or is now.
  void materialised(node& entry, const newest_change& upto);

  /// Of the tails that begin first, as many as `next` answers true for, all changes being at or
  /// before `newest` now. From here on it is noted where the first change stands that is appended
  /// to one of them: what a snapshot of the tail as it is now does not cover. One at a time; until
  /// `end_fold`.
  void begin_fold(std::uint64_t newest, const std::function<bool(const node& oldest)>& next);
  void end_fold() noexcept;

  /// The oldest change of all that no snapshot covers, once those are materialised which
  /// `begin_fold` or `find` gave; null: there is none.
  [[nodiscard]] const journal_place* oldest_without(
      const std::unordered_set<const node*>& covered) const noexcept;

  /// The record at `position` has become longer by so many bytes; modulo 2^64, so shorter, too.
  void lengthened(std::uint64_t position, std::uint64_t by) noexcept;

  /// Remembers the newest change of an entity without tail for a while.
  void remember(std::string_view key, const newest_change& newest);

  [[nodiscard]] std::size_t tails() const noexcept { return tails_.size(); }
  [[nodiscard]] std::size_t clean() const noexcept { return young_.size() + old_.size(); }

  /// The keys of all entities with a tail, sorted; valid until the index changes.
  [[nodiscard]] std::vector<const node*> sorted() const;

private:
  struct start {
    const node* whose;  // null: it is covered
    journal_place at;
  };

  void drop(node& entry, const newest_change& newest);
  std::uint64_t begin_tail(const node& entry, const journal_place& at);
  void forget_start(std::uint64_t number) noexcept;
  void forget_later(const node& entry) noexcept;

  std::size_t generation_;
  std::uint64_t folded_from_ = 0;  // 0: nothing is folded now
  std::uint64_t folded_to_ = 0;
  struct later_tail {
    std::uint64_t first;
    std::uint64_t start;
    bool by_state;
  };
  std::unordered_map<const node*, later_tail> later_;  // what is behind it
  std::deque<start> starts_;       // in the order of their positions; the outer ones are of tails
  std::uint64_t first_start_ = 0;  // number of the first of them
  // Beside all else that comes and goes, so that the pages of a long tail hold nothing but it.
  std::pmr::unsynchronized_pool_resource memory_;
  key_table<tail_entry> tails_{memory_};
  key_table<newest_change> young_{memory_};
  key_table<newest_change> old_{memory_};
};

}  // namespace troupe::internal
