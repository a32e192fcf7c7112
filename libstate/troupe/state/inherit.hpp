#pragma once

#include <troupe/state/entity.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// One look-up over the scopes that stand behind each other: session, workflow, team, user, global.
/// Reads walk; writes go to the scope they name.
namespace troupe {

/// A scope and its state, null where there is none or the asker may not read it (`may`): nothing
/// here asks on whose behalf.
struct scope_view {
  entity_ref ref;
  const entity_state* state = nullptr;
};

/// The scopes an entity inherits from, nearest first, itself included: its workflow, its team (or
/// its workflow's), its user and the global scope of its namespace.
[[nodiscard]] std::vector<entity_ref> scope_chain(const entity_ref& self, const entity_state& state,
                                                  const entity_state* workflow = nullptr);

struct inherited_entry {
  entity_ref source;
  std::string key;
  const entry* held = nullptr;  ///< good as long as the state of `source`
};

/// The nearest scope that has the key. A null there is an answer: it hides what lies behind.
[[nodiscard]] std::optional<inherited_entry> inherit(std::span<const scope_view> chain,
                                                     std::string_view key, timestamp now);

/// Every key with the scope it comes from, in order of keys.
[[nodiscard]] std::vector<inherited_entry> inherit_all(std::span<const scope_view> chain,
                                                       timestamp now);

/// What the scopes behind the first say together, nearer ones first: `decide_context::inherited`.
[[nodiscard]] policy inherit_policy(std::span<const scope_view> chain);

}  // namespace troupe
