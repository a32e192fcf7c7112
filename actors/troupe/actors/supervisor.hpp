#pragma once

#include <troupe/actors/directory.hpp>
#include <troupe/actors/scope.hpp>
#include <troupe/messages/messages.hpp>

#include <memory>

namespace troupe {

struct supervisor_options {
  store_actor store;
  std::shared_ptr<directory> live;  ///< shared with readers; the supervisor alone changes it
  clock_source now;
  std::size_t max_live = 100'000;      ///< then: those used least lately hibernate
  std::int64_t idle_ms = 600'000;      ///< without use; then: an entity hibernates; 0: never
  std::int64_t look_every_ms = 1'000;  ///< for those that are idle; 0: never (tests look by hand)
  std::shared_ptr<const change_hooks> hooks{};  ///< may be null
};

inline constexpr std::size_t max_crashes = 5;  // of one entity in a minute; then: quarantined
inline constexpr std::int64_t quarantine_ms = 60'000;

/// Ids that may become a key on disk; the supervisor refuses others, whoever asks. Errors:
/// `bad_id`.
expected<void> check_entity(const entity_ref& entity);

/// Starts the one actor that wakes entities, hands requests on to them, restarts what crashed and
/// lets sleep what is not used.
supervisor_actor spawn_supervisor(caf::actor_system& system, supervisor_options options);

}  // namespace troupe
