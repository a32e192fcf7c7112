#pragma once

#include <troupe/actors/directory.hpp>
#include <troupe/actors/scope.hpp>
#include <troupe/messages/cleanup_messages.hpp>

#include <memory>
#include <optional>

namespace troupe {

inline constexpr std::size_t cleanup_slice = 1'000;  // headers of one request to the store
inline constexpr std::size_t cleanup_batch = 64;     // deletions on their way; then: waits for them

struct cleaner_options {
  store_actor store;
  supervisor_actor supervisor;
  std::shared_ptr<const directory> live;
  clock_source now;
  bool spare_awake =
      true;  ///< false where entities never hibernate, so that being awake says nothing
  std::optional<cleanup_policy> policy{};  ///< none: nothing goes by itself
};

/// Starts the actor that deletes what nobody needs. It has one timer, and none without a policy;
/// only what is to go is woken. End it explicitly: a walk on its way is answered `outcome_unknown`.
cleaner_actor spawn_cleaner(caf::actor_system& system, cleaner_options options);

}  // namespace troupe
