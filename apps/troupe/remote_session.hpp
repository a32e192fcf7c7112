#pragma once

#include <troupe/state/expected.hpp>
#include <troupe/state/value.hpp>

#include "http/client.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace troupe::cli {

/// The sessions of a node as one connection sees them. Blocks; one thread. A refusal that says "not
/// now" (429, 503) is tried again for a while, unless `stop` became true; so is, for `patience`, a
/// node that is away or goes away. An append carries a key, so it is made once however often it is
/// sent.
///
/// Errors: those of `http::client`; an answer of the node other than success is an error with the
/// node's own words: `not_found` for 404, `busy` for 429 and 503, `store_failed` for 5xx, else
/// `malformed`.
class remote_session {
public:
  remote_session(const http::endpoint& node, const std::atomic<bool>& stop,
                 std::chrono::milliseconds patience = {});

  expected<void> create(const std::string& id, const std::string& user);

  /// Answers the item's sequence number. `once` tells this message from all others of the session.
  expected<std::uint64_t> append(const std::string& id, const value& message, std::size_t once);

  /// Calls for every item in order, in pages, with its number and its own fields. At most `limit`
  /// items when it is not 0. `not_found` when there is no such session.
  expected<void> for_each_item(
      const std::string& id, std::uint64_t limit,
      const std::function<void(std::uint64_t seq, value_view fields)>& next);

private:
  expected<value> send(const char* method, const std::string& target, std::string body,
                       std::string key = {});
  expected<http::response> send_patiently(const http::request& asked);

  http::client client_;
  const std::atomic<bool>& stop_;
  std::chrono::milliseconds patience_;
};

/// An item as the API answers it, without the two members that are Troupe's. REQUIRES: a map.
[[nodiscard]] value own_fields(value_view item);

}  // namespace troupe::cli
