#pragma once

#include <troupe/messages/store_messages.hpp>
#include <troupe/persistence/journal_store.hpp>

#include <functional>
#include <memory>

namespace troupe {

namespace compat {
class lanes;
}

struct store_options {
  bool detached =
      true;  ///< a thread of its own, and one to fold; false only under a test scheduler

  /// Called once, on the store's thread, after an I/O error and before anything is answered. When
  /// empty: logs the error and ends the process with exit code 75, so that nothing is acknowledged
  /// from uncertain memory. When it returns, what was in the failed transaction is answered with
  /// `outcome_unknown`.
  std::function<void(const error&)> on_fatal;

  /// Is told of every transaction that returned, in the order of their positions. May be null.
  std::shared_ptr<commit_feed> feed{};

  /// Where those who are answered run, when they asked from there. Null: on CAF's workers.
  std::shared_ptr<compat::lanes> lanes{};

  /// Called on the store's thread, for entities that are to be folded. May be empty.
  state_lookup live{};
};

inline constexpr std::size_t max_batch_changes = 1'024;  // of one transaction; then: the next one
inline constexpr std::size_t max_batch_bytes = 1 << 20;  // of one transaction; then: the next one

/// Starts the actor that owns the store. Changes that wait together share one transaction, without
/// artificial delay; a `load_request` sees every change sent before it. When the tail exceeds
/// `journal_options::tail_bytes` (then until a sixteenth of that is free) or the store is short of
/// room, it is read and folded in slices by an actor of its own and written between the batches,
/// and what snapshots cover is freed; from half the bound beyond it on batches wait for slices. The
/// store is closed when the actor ends, which waits for a slice that is being folded: end it
/// explicitly, after the senders. A change it had read but not begun to write then is answered
/// `outcome_unknown`, and a backup on its way is given up.
maintained_store_actor spawn_store(caf::actor_system& system, std::unique_ptr<store> owned,
                                   store_options options = {});
maintained_store_actor spawn_store(caf::actor_system& system, journal_store owned,
                                   store_options options = {});

}  // namespace troupe
