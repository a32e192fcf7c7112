#pragma once

#include <troupe/state/value.hpp>

namespace troupe {

/// JSON merge patch (RFC 7396): null in `patch` deletes, maps merge, all else replaces. Keys keep
/// their order; new ones follow.
[[nodiscard]] value merge_patch(value_view target, value_view patch);

}  // namespace troupe
