#pragma once

#include <troupe/state/expected.hpp>

#include "simulate/workload.hpp"

#include <string>
#include <string_view>

namespace troupe::simulate {

/// A workload whose turns, tool calls, their tools and the sizes of items are those of recorded
/// conversations (JSON lines as of `troupe replay`). What a recording does not tell (who comes
/// when, how long they think, popularity) is as in the profile `chat`. System messages are not
/// counted. Errors: of the first line that is no conversation; `not_found`, where nobody says
/// anything.
[[nodiscard]] expected<workload> learn(std::string_view json_lines, std::string name);

}  // namespace troupe::simulate
