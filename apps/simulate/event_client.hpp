#pragma once

#include "simulate/http_driver.hpp"
#include "simulate/record.hpp"

#include <atomic>
#include <string>
#include <thread>

namespace troupe::simulate {

/// A subscriber of all of a node's changes (`GET /v1/events`), as browsers are one: it comes back
/// with `Last-Event-ID` whenever the stream ends, also to a node that was started anew. What it
/// gets goes into `check`, on its own thread, until it is stopped.
class event_client {
public:
  /// `prefix` is in front of every id of this run. Both references outlive it.
  event_client(node_address& address, std::string token, std::string prefix, event_check& check);
  ~event_client() { stop(); }

  /// Until the stream is open. False: not within ten seconds.
  [[nodiscard]] bool wait_for_open() const;
  /// Until nothing came for a second and a half.
  void wait_for_quiet() const;
  void stop();

private:
  void run();
  void follow(int socket);
  void take_line(std::string_view line);
  void take_event();

  node_address& address_;
  const std::string token_, prefix_;
  event_check& check_;
  std::atomic<bool> stopped_{false}, open_{false};
  std::atomic<std::int64_t> last_ms_{0};
  std::string id_, kind_, data_, next_id_;
  std::thread thread_;
};

}  // namespace troupe::simulate
