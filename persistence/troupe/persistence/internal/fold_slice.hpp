#pragma once

#include <troupe/persistence/internal/chunk_store.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/tail_index.hpp>
#include <troupe/persistence/store.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// The part of materialising that writes nothing: reading the tails of entities and folding them.
namespace troupe::internal {

/// One entity's tail, folded.
struct folded_tail {
  std::string key;
  tail_entry tail;         ///< as it was then
  std::uint64_t upon = 0;  ///< the revision of the body that it was folded upon; 0: there was none
  bool live = false;       ///< it was folded from its state
  folded_entity what;
  std::vector<unplaced_chunk> chunks;  ///< of `what`

  [[nodiscard]] std::uint64_t bytes() const;
  /// Pages that may be copied: one for each value written.
  [[nodiscard]] std::uint64_t pages() const;
};

/// `live` is the state right behind the tail, which is then not read, or null.
/// Errors: as `read_entity`, those of the fold; `too_large`. REQUIRES: with `live`, the tail is one
/// that folds `by_state`.
expected<folded_tail> fold_tail(lmdb::transaction& txn, const databases& dbs,
                                const fold_function& fold, std::string_view key,
                                const tail_entry& tail, std::shared_ptr<const entity_state> live);

/// Everything that one transaction writes: positions up to `to` are covered then.
struct folded_slice {
  std::vector<folded_tail> entities{};
  std::uint64_t to = 0;
  std::uint64_t journal_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t pages = 0;

  void add(folded_tail one);
};

/// A change behind the watermark, as a walk of the journal meets it.
struct walked_change {
  std::uint64_t position = 0;
  std::uint64_t record_bytes = 0;  ///< 0: of a set, behind its first
  std::string key;
};

/// Folds from the watermark on until the slice is full, an entity at its first record over its
/// whole tail, so that its later records cost nothing more. Whose tails these are says the store's
/// index, which is its owner's: so the owner picks them, among the changes that the slice before
/// walked, and this one walks on for the next.
class fold_slice final : public fold_job {
public:
  struct bounds {
    std::uint64_t bytes;             ///< read and written; then: it stops there
    std::chrono::milliseconds time;  ///< of folding; then: it stops there. 0: bytes alone
  };

  /// On the owner's thread. `ahead` are the changes right behind the watermark; without any, the
  /// journal is walked at once. Throws `lmdb::failure`.
  fold_slice(lmdb::environment& env, const databases& dbs, const fold_function& fold, bounds within,
             std::uint64_t number, std::uint64_t watermark, std::deque<walked_change> ahead);

  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] const std::deque<walked_change>& walked() const noexcept { return walked_; }

  /// The entity of that change is to be folded, over this tail, behind which is this state, if it
  /// is not null. In their order.
  void pick(std::size_t change, const tail_entry& tail, std::shared_ptr<const entity_state> live) {
    picks_.push_back({change, tail, std::move(live)});
  }

  /// The changes from this one on are for the next slice. REQUIRES: it is a record's first.
  void end_before(std::size_t change) { end_ = change; }

  void run() noexcept override;

  /// REQUIRES: it was run. Throws what `run` met. An entity that cannot be folded ends the slice in
  /// front of its record; it is the error when it is the first.
  expected<folded_slice>& result();

  /// The changes behind the slice.
  [[nodiscard]] std::deque<walked_change> take_ahead() noexcept { return std::move(walked_); }

private:
  struct picked {
    std::size_t change;
    tail_entry tail;
    std::shared_ptr<const entity_state> live;
  };

  expected<folded_slice> fold_picked();
  void walk_on();

  lmdb::environment& env_;
  const databases& dbs_;
  const fold_function& fold_;
  bounds within_;
  std::uint64_t number_;
  std::uint64_t watermark_;
  std::deque<walked_change> walked_;
  std::uint64_t walked_to_;
  std::uint64_t walked_bytes_ = 0;
  std::optional<error> blocked_;  // what the walk ended at
  std::vector<picked> picks_;
  std::size_t end_ = 0;
  std::optional<lmdb::transaction> txn_;
  expected<folded_slice> result_{folded_slice{}};
  std::exception_ptr thrown_;
};

}  // namespace troupe::internal
