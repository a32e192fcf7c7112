#pragma once

#include "api/access.hpp"
#include "http/message.hpp"

#include <utility>

namespace troupe::api {

/// The HTTP API over a runtime: parses, hands typed requests on, shapes the answers. Knows no actor
/// and no socket. Called from any thread; never blocks.
class service {
public:
  /// `random` brings the bits of ids that the node makes. The runtime outlives the service, which
  /// outlives its requests: `runtime::close` waits for them.
  service(runtime& backend, gate::random_bits random) : doors_{backend, std::move(random)} {}

  void operator()(http::request request, http::responder respond);

  /// From now on /readyz answers 503, so that a load balancer looks elsewhere.
  void set_draining() { doors_.set_draining(); }

private:
  gate doors_;
};

}  // namespace troupe::api
