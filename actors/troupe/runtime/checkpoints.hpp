#pragma once

#include <troupe/runtime/runtime.hpp>
#include <troupe/state/versions.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

/// Checkpoints of entities that belong together: one change set makes them, one restores them, and
/// nothing in between is seen. Each entity has a checkpoint of its own, whose metadata name all.
/// Any thread may call; callbacks run on a runtime thread and must not block.
namespace troupe {

/// A checkpoint as one of its entities tells it.
struct shared_checkpoint {
  checkpoint own{};  ///< its metadata are those that were given
  std::vector<entity_ref> entities{};
};

/// On whose behalf, and under which key, a set of entities is changed.
struct set_origin {
  principal by = principal::host();
  std::optional<idempotency> once{};
};

/// Pins the present of one to eight entities of one namespace under one id. Errors: those of
/// `runtime::execute_all`; `already_exists` when one of them has this id.
void checkpoint_all(runtime& node, create_checkpoint what, std::vector<entity_ref> entities,
                    std::function<void(expected<change_set_result>)> done,
                    const set_origin& origin = {});

/// Brings back the content of all entities that a checkpoint was made of, or of none. `of` is any
/// of them. What others write meanwhile is waited for, or refuses all (`revision_conflict`; repeat
/// it). Errors: those of `runtime::execute_all`; `not_found` when one of them has no such
/// checkpoint, or another one under its id.
void restore_all(runtime& node, const entity_ref& of, const std::string& id,
                 std::function<void(expected<change_set_result>)> done, set_origin origin = {});

/// Those that an entity was made part of, newest first.
[[nodiscard]] std::vector<shared_checkpoint> shared_checkpoints_of(const entity_ref& of,
                                                                   const entity_state& state);

/// A session and the scopes above it that are there: its workflow, team, user and the global one.
/// Any other entity, too.
void scopes_of(runtime& node, const entity_ref& of,
               std::function<void(expected<std::vector<entity_ref>>)> done);

/// The same, waiting for the answer. After `deadline`: `outcome_unknown`.
expected<change_set_result> checkpoint_all(
    runtime& node, create_checkpoint what, std::vector<entity_ref> entities,
    std::chrono::milliseconds deadline = std::chrono::seconds{30});
expected<change_set_result> restore_all(runtime& node, const entity_ref& of, const std::string& id,
                                        std::chrono::milliseconds deadline = std::chrono::seconds{
                                            30});
expected<std::vector<entity_ref>> scopes_of(
    runtime& node, const entity_ref& of,
    std::chrono::milliseconds deadline = std::chrono::seconds{30});

}  // namespace troupe
