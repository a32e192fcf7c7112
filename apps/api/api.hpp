#pragma once

#include <troupe/runtime/runtime.hpp>

#include "http/message.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>

namespace troupe::api {

/// The HTTP API over a runtime: parses, hands typed requests on, shapes the answers. Knows no actor
/// and no socket. Called from any thread; never blocks.
class service {
public:
  /// `random` brings the bits of ids that the node makes. The runtime outlives the service.
  service(runtime& backend, std::function<std::array<std::uint64_t, 2>()> random);

  void operator()(http::request request, http::responder respond);

  /// From now on /readyz answers 503, so that a load balancer looks elsewhere.
  void set_draining() { draining_ = true; }

private:
  runtime& backend_;
  std::function<std::array<std::uint64_t, 2>()> random_;
  std::atomic<bool> draining_ = false;
};

}  // namespace troupe::api
