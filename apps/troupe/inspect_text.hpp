#pragma once

#include <troupe/state/session.hpp>

#include <string>

namespace troupe::cli {

enum class json_layout : bool { compact, lines };

/// An entity whole: what it is, its sections, its state and its history. `lines` puts each item and
/// each key on a line of its own; both are the same JSON.
[[nodiscard]] std::string entity_json(const entity_ref& entity, const entity_state& state,
                                      json_layout layout);

/// {"seq":1,"at":"2026-01-02T03:04:05.678Z","role":"user", ...}
[[nodiscard]] std::string item_json(const item_view& item);

/// "create", "append 3, set a_key": what the events of a change did. User text is shortened and
/// harmless.
[[nodiscard]] std::string describe_events(const change& what);

/// The same for programs: `["session_created","items_appended"]`.
[[nodiscard]] std::string events_json(const change& what);

}  // namespace troupe::cli
