#pragma once

#include <troupe/persistence/internal/chunk_store.hpp>
#include <troupe/persistence/internal/layout.hpp>
#include <troupe/persistence/internal/lmdb.hpp>
#include <troupe/persistence/internal/tail_index.hpp>
#include <troupe/persistence/store.hpp>

#include <chrono>
#include <cstdint>
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
  std::uint64_t read_bytes = 0;  ///< of the tail
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

/// Everything that one transaction writes.
struct folded_slice {
  std::vector<folded_tail> entities{};
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t pages = 0;

  void add(folded_tail one);
};

/// Folds entities over their whole tails, until the slice is full. Whose tails these are says the
/// store's index, which is its owner's: so the owner picks them.
class fold_slice final : public fold_job {
public:
  struct bounds {
    std::uint64_t bytes;             ///< read and written; then: it stops there
    std::chrono::milliseconds time;  ///< of folding; then: it stops there. 0: bytes alone
  };

  /// An entity that is to be folded, over this tail, behind which is this state, if it is not null.
  struct picked {
    std::string key;
    tail_entry tail;
    std::shared_ptr<const entity_state> live;
  };

  /// On the owner's thread. Throws `lmdb::failure`. REQUIRES: LMDB has the tails of those without
  /// state.
  fold_slice(lmdb::environment& env, const databases& dbs, const fold_function& fold, bounds within,
             std::uint64_t number, std::vector<picked> picks);

  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

  void run() noexcept override;

  /// REQUIRES: it was run. Throws what `run` met. An entity that cannot be folded ends the slice;
  /// it is the error when it is the first.
  expected<folded_slice>& result();

private:
  expected<folded_slice> fold_picked();

  lmdb::environment& env_;
  const databases& dbs_;
  const fold_function& fold_;
  bounds within_;
  std::uint64_t number_;
  std::vector<picked> picks_;
  std::optional<lmdb::transaction> txn_;
  expected<folded_slice> result_{folded_slice{}};
  std::exception_ptr thrown_;
};

}  // namespace troupe::internal
