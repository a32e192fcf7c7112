#pragma once

#include <troupe/state/expected.hpp>

#include "http/message.hpp"

/// What a browser tells of the page on whose behalf it asks. A page from elsewhere may send a
/// request without a body to any address, this node's, too, and is not to change anything so.
namespace troupe::api {

/// Its Host, if it has one, is a loopback address or name. A page whose name was pointed here
/// brings another (DNS rebinding).
[[nodiscard]] bool is_own_host(const http::request& request);

/// Lets reads pass, and of changes those that no page sent or a page of the node's own origin:
/// every `Origin` is the scheme and `Host` by which the node is asked, every `Sec-Fetch-Site` is
/// `same-origin` or `none`. `tls`: the node's own scheme is https alone; else a proxy may have
/// taken TLS off. Errors: `forbidden`.
[[nodiscard]] expected<void> check_origin(const http::request& request, bool tls);

}  // namespace troupe::api
