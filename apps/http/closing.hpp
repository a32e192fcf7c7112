#pragma once

// Internal: the part of connection.hpp, which it includes, that ends a connection so that its last
// answer arrives.

#include "http/connection.hpp"

namespace troupe::http::detail {

/// Closing a socket with unread bytes resets it, and the peer may lose the answer: then read on for
/// a while.
inline void connection::finish() {
  if (peer_.is_secure())
    return finish_secure();
  error_code ec;
  if (!refused_ && begin_ == end_ && socket_.available(ec) == 0) {
    socket_.shutdown(tcp::socket::shutdown_both, ec);
    close();
    return;
  }
  socket_.shutdown(tcp::socket::shutdown_send, ec);
  enter(phase::lingering, limits_.linger_timeout);
  buffer_.resize(16 * 1024);
  linger();
}

/// The peer is told, so that it can tell an end from a cut; what it sends still is not looked at.
inline void connection::finish_secure() {
  enter(phase::lingering, limits_.linger_timeout);
  buffer_.resize(16 * 1024);
  peer_.async_shutdown(then([](connection& self, error_code) {
    if (self.phase_ != phase::lingering)
      return;
    error_code ec;
    self.socket_.shutdown(tcp::socket::shutdown_send, ec);
    self.linger();
  }));
}

inline void connection::linger() {
  socket_.async_read_some(asio::buffer(buffer_),
                          then([](connection& self, error_code ec, std::size_t) {
                            if (self.phase_ != phase::lingering)
                              return;
                            if (ec)
                              self.close();
                            else
                              self.linger();
                          }));
}

}  // namespace troupe::http::detail
