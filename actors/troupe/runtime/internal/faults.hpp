#pragma once

/// What a campaign of faults breaks in a runtime of its own process. Not installed.

#include <troupe/runtime/runtime_actor.hpp>

#include <memory>

namespace troupe::internal {

/// As `runtime::open`, with the store that `around` makes of the one on disk.
[[nodiscard]] expected<std::unique_ptr<runtime>> open_around(runtime_options options,
                                                             const store_wrapper& around);

/// Ends the entity's actor between two messages, as a fault of its own would: what waits in its
/// mailbox goes unread, and what it sent to the store may land. Returns when the supervisor
/// has seen it. False: it sleeps.
bool crash(runtime& node, const entity_ref& entity);

}  // namespace troupe::internal
