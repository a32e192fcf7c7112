#pragma once

#include "http/message.hpp"

#include <functional>
#include <string>
#include <string_view>

/// What names one request wherever it is told of: to its client, in errors, in logs.
namespace troupe::api {

/// What a line of the log about one request begins with: then comes its id, then ": ". Logs as JSON
/// tell the id by itself.
inline constexpr std::string_view request_line = "request ";

/// `X-Request-Id` as it came, when it is one of 1 to 128 letters, digits, '.', '_' and '-'; else
/// what `make` makes.
[[nodiscard]] std::string request_id(const http::request& request,
                                     const std::function<std::string()>& make);

/// Has a problem tell the id, as `request_id`; anything else stays as it is.
void tell_id(http::response& answered, std::string_view id);

/// A responder whose answers have the id as `X-Request-Id`, problems also as `request_id`. At level
/// debug each is logged with method, path and status, and never with a query or a body.
[[nodiscard]] http::responder identified(http::responder to, const http::request& request,
                                         std::string id);

}  // namespace troupe::api
