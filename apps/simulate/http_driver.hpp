#pragma once

#include "http/client.hpp"
#include "simulate/driver.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace troupe::simulate {

/// Where a node listens now; it may have been started anew. Any thread.
class node_address {
public:
  explicit node_address(http::endpoint at) : at_{std::move(at)} {}
  [[nodiscard]] http::endpoint get() const {
    const std::lock_guard lock{mutex_};
    return at_;
  }
  void set(http::endpoint at) {
    const std::lock_guard lock{mutex_};
    at_ = std::move(at);
  }

private:
  mutable std::mutex mutex_;
  http::endpoint at_;
};

struct http_options {
  std::size_t connections = 64;
  /// Changes carry an idempotency key and are repeated under it until they are answered, as long as
  /// `patience` lasts: for nodes that are killed meanwhile. Else an answer that does not come is
  /// `unknown`.
  bool keyed = false;
  std::chrono::seconds patience{60};
  std::string token{};
  std::string run{};  ///< part of every id and key, so that runs do not meet
  std::function<std::optional<int>()> pid{};  ///< of the node, where it is on this machine
  /// Set by `driver::give_up`, for all connections.
  std::shared_ptr<std::atomic<bool>> given_up = std::make_shared<std::atomic<bool>>(false);
};

/// A node over HTTP: `connections` that are kept alive, each with one request at a time.
/// `address` outlives it.
[[nodiscard]] std::unique_ptr<driver> open_http(const workload& what, node_address& address,
                                                http_options options);

}  // namespace troupe::simulate
