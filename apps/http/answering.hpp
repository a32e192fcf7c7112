#pragma once

// Internal: the part of connection.hpp, which includes it, that writes whole answers and goes on to
// the next request.

#include "http/connection.hpp"

namespace troupe::http::detail {

inline void connection::take(delivery what) {
  if (auto* whole = std::get_if<response>(&what))
    answer(std::move(*whole));
  else if (auto* begun = std::get_if<begun_stream>(&what))
    begin(std::move(*begun));
  else if (phase_ == phase::streaming)
    pump();
}

inline void connection::answer(response answered) {
  if (phase_ != phase::handling)
    return;
  close_after_ = close_after_ || worker_.shared.draining;
  if (is_writable(answered))
    write(std::move(answered));
  else
    write(problem(500, "internal", "the answer could not be written as HTTP"));
}

inline void connection::refuse(const protocol_error& why) {
  response answered = problem(why.status, why.code, why.detail);
  if (why.status == 405)
    answered.headers.push_back({"Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"});
  else if (why.status == 415)
    answered.headers.push_back({"Accept-Encoding", "identity"});
  else if (why.status == 429 || why.status == 503)
    answered.headers.push_back({"Retry-After", "1"});
  turn_away(std::move(answered));
}

/// What stands behind a refused request cannot be trusted, so nothing of it is read any more.
inline void connection::turn_away(response answered) {
  error_code ec;
  socket_.cancel(ec);  // a read may be waiting
  refused_ = close_after_ = true;
  head_only_ = http10_ = false;
  write(std::move(answered));
}

inline void connection::write(response answered) {
  leave_body();
  head_out_.clear();
  append_response_head(head_out_, answered,
                       {.keep_alive = !close_after_, .http10 = http10_, .date = worker_.date()});
  body_out_ = std::move(answered.body);
  if (head_only_ || !has_body(answered.status))
    give_back(body_out_);
  if (answered.delay.count() == 0 || worker_.shared.draining)
    return write_out();
  enter(phase::delayed, answered.delay);
  timer_.cancel();  // it ticks anew, by this deadline
}

inline void connection::write_out() {
  enter(phase::writing, limits_.write_timeout);
  const std::array<asio::const_buffer, 2> parts{asio::buffer(head_out_), asio::buffer(body_out_)};
  asio::async_write(peer_, parts, then([](connection& self, error_code ec, std::size_t) {
                      self.on_written(ec);
                    }));
}

inline void connection::on_written(error_code ec) {
  if (phase_ != phase::writing)
    return;
  give_back(body_out_);
  if (ec)
    close();
  else if (close_after_)
    finish();
  else
    next_request();
}

inline void connection::next_request() {
  if (begin_ < end_) {  // pipelined
    enter(phase::head, limits_.head_timeout);
    process();
    return;
  }
  if (buffer_.size() > 4 * 1024)
    give_back(buffer_);
  if (head_out_.capacity() > 4 * 1024)
    give_back(head_out_);
  enter(phase::idle, limits_.idle_timeout);
  read();
  if (worker_.shared.draining)
    drain();
}

}  // namespace troupe::http::detail
