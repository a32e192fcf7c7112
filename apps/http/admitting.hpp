#pragma once

// Internal: the part of connection.hpp, which includes it, that decides by the head of a request
// who its peer is and whether its body is read.

#include "http/connection.hpp"

namespace troupe::http::detail {

/// False: it was refused.
inline bool connection::meet(const request& head) {
  auto& shared = worker_.shared;
  auto peer = stranger_ ? shared.options.peer_of(head) : std::nullopt;
  if (!peer)
    return true;
  stranger_ = false;
  counted_ = shared.known.enter(*std::move(peer));
  if (limits_.peer_connections == 0 || counted_.before() < limits_.peer_connections)
    return true;
  refuse(
      {429, "busy", "too many connections of this user: use fewer, one request after the other"});
  return false;
}

/// Of a body that is to come still. False: it was refused.
inline bool connection::admit_body() {
  if (!meet(parser_.head()))
    return false;
  auto& shared = worker_.shared;
  const auto bytes = parser_.body_bytes();
  if (bytes <= limits_.small_body)
    return true;
  if (shared.options.admit) {
    request head = parser_.head();
    head.remote_address = remote_address_;
    auto room = shared.options.admit(head, bytes);
    if (!room) {
      turn_away(std::move(room.error()));
      return false;
    }
    body_room_ = *std::move(room);
  }
  body_bytes_ = bytes;
  if (shared.bodies.fetch_add(bytes) + bytes <= limits_.bodies)
    return true;
  refuse({503, "busy", "too many large bodies at once: try again later, or send smaller ones"});
  return false;
}

inline void connection::leave_body() noexcept {
  if (body_bytes_ != 0)
    worker_.shared.bodies.fetch_sub(std::exchange(body_bytes_, 0));
  body_room_.reset();
}

}  // namespace troupe::http::detail
