#pragma once

#include <troupe/state/session.hpp>

#include <string>

namespace troupe::cli {

enum class json_layout : bool { compact, lines };

/// A session whole: what it is, its state and its history. `lines` puts each item and each key on a
/// line of its own; both are the same JSON.
[[nodiscard]] std::string session_json(const entity_ref& entity, const entity_state& session,
                                       json_layout layout);

/// "create", "append 3, set a_key": what the events of a change did. User text is shortened and
/// harmless.
[[nodiscard]] std::string describe_events(const change& what);

/// The same for programs: `["session_created","items_appended"]`.
[[nodiscard]] std::string events_json(const change& what);

}  // namespace troupe::cli
