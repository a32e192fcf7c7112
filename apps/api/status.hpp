#pragma once

#include <troupe/state/error.hpp>

#include "http/message.hpp"

namespace troupe::api {

/// The HTTP status of each error: the one table of its kind.
[[nodiscard]] int http_status(errc code) noexcept;

/// The error as problem+json, with what helps to act: `path`, `current_revision`, `limit`,
/// `retry_after_ms`. Who asks too much (429) gets it when it may come again, 100 ms later at most.
[[nodiscard]] http::response to_response(const error& what);

}  // namespace troupe::api
