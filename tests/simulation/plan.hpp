#pragma once

#include <troupe/state/cleanup.hpp>

#include "../support/model_commands.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace troupe::simulation {

using testing::dice;

/// What a seed means. Each seed has another mix, so that what one fault hides another run shows:
/// some have no faults at all, and then nothing but the answer of a sound store is accepted.
struct plan {
  std::uint64_t seed = 0;
  bool liveness = false;    ///< ends by healing: all is answered then. Else it ends by a crash
  std::uint64_t steps = 0;  ///< before it ends

  // How often in a thousand steps.
  std::uint64_t commands = 0, reads = 0, ticks = 0, crashes = 0;
  // How often in a hundred transactions, loads, or messages to an entity's actor.
  std::uint64_t refused = 0, unknown = 0, stopped = 0, load_failed = 0, scope_crashes = 0;
  std::uint64_t slow = 0;  ///< transactions that the store takes long for
  bool full = false;       ///< the disk is full now and then

  std::uint64_t relaxed = 0, memory = 0;  ///< commands of these levels, in a hundred
  std::uint64_t keyed = 0, repeated = 0;  ///< with an idempotency key; of these, asked again
  std::uint64_t in_flight = 0;            ///< requests at a time; then: answers come first
  std::uint64_t entities = 0;             ///< of the nine
  std::size_t max_live = 0;
  std::int64_t idle_ms = 0;

  // How often in a thousand steps.
  std::uint64_t sets = 0, set_crashes = 0;  ///< change sets, and kills of their actors
  std::uint64_t event_steps = 0;            ///< what subscribers do
  std::uint64_t readers = 0;                ///< subscribers

  // Time.
  std::uint64_t expiring = 0;  ///< of a hundred keys and entities, those with a time to live
  bool days = false;           ///< the clock goes on by hours now and then
  /// What the cleaner deletes by itself; none: there is no cleaner.
  std::optional<cleanup_policy> clean_up{};
  std::uint64_t children = 0;  ///< of a hundred entities, those with a workflow, a team or a user

  static plan of(std::uint64_t seed);
};

[[nodiscard]] std::string describe(const plan& of);

}  // namespace troupe::simulation
