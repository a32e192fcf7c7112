#pragma once

/// Requests as a host thread sends them, whose answer a test looks at when the world has run.

#include <troupe/actors/gateway.hpp>

#include <memory>
#include <optional>
#include <utility>

namespace troupe::testing {

template <class T>
using later = std::shared_ptr<std::optional<expected<T>>>;

/// Sends a `Request` of `what`, such as a `host_command` of a command.
template <class T, class Request, class What>
later<T> ask_gateway(const gateway& way_in, What what) {
  auto out = std::make_shared<std::optional<expected<T>>>();
  way_in.send(Request{std::move(what), completion<T>{[out](expected<T> x) { *out = x; }}});
  return out;
}

}  // namespace troupe::testing
