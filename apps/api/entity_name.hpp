#pragma once

#include <troupe/state/expected.hpp>
#include <troupe/state/ids.hpp>

#include <optional>
#include <string>
#include <string_view>

/// Entities as bodies and queries name them: {"scope":"session","id":"trip"}.
namespace troupe::api {

/// "session", "workflow", "team", "user", "global". Errors: `invalid_value` at `path`.
expected<entity_kind> kind_of(std::string_view scope, std::string path);

/// The global one needs no id. Errors: also `wrong_type` (no id), `bad_id`.
expected<entity_ref> entity_of(std::string_view scope, const std::optional<std::string>& id,
                               const std::string& path);

}  // namespace troupe::api
