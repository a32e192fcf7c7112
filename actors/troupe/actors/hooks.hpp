#pragma once

#include <troupe/state/decide.hpp>
#include <troupe/state/event_stream.hpp>

#include <functional>
#include <vector>

namespace troupe {

/// What a host adds to every change. Exceptions are the host's fault and harm nobody else: a change
/// that `before` throws on is refused with `internal`, one that `after` throws on is logged.
struct change_hooks {
  /// Called with a change that was decided and is not written: an error refuses the command with
  /// it. Runs in the entity's actor: it must be pure, quick and never block. `after` is the state
  /// that the change would make. When the disk then fails, what a hook let pass was never there.
  using before_hook =
      std::function<expected<void>(const entity_ref& entity, const entity_state& state,
                                   const change& what, const entity_state& after)>;

  /// Called on a runtime thread with each committed change that the filter lets through, once, in
  /// the order of a subscription. It may take its time: it delays what comes behind it in the same
  /// hook, and nothing else. What was committed when the process ended and had not been called is
  /// not called again: what must be caught up with needs a subscription and its cursor.
  struct after_hook {
    event_filter filter{};
    std::function<void(const committed_change&)> call;
  };

  std::vector<before_hook> before{};  ///< in this order, until one refuses
  std::vector<after_hook> after{};
};

/// Errors: of the first hook that refuses.
expected<void> run_before_hooks(const change_hooks* hooks, const entity_ref& entity,
                                const entity_state& state, const decision& decided);

}  // namespace troupe
