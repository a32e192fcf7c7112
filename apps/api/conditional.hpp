#pragma once

#include "api/call.hpp"

/// Answers to who has asked before.
namespace troupe::api {

/// `what`, or 304 with its ETag and without its body where `If-None-Match` has that ETag: `*`, or a
/// list, compared weakly (RFC 9110, 13.1.2). For an answer to GET that stays the same as long as
/// its ETag does.
[[nodiscard]] answer unless_known(const call& c, answer what);

}  // namespace troupe::api
