#pragma once

// Internal: the part of connection.hpp, which includes it, that writes answers that go on.

#include "http/connection.hpp"

#include <cstdio>

namespace troupe::http::detail {

inline void connection::begin(begun_stream what) {
  if (phase_ != phase::handling)
    return;
  what.head.body.clear();
  if (head_only_ || !is_writable(what.head))
    return answer(std::move(what.head));
  leave_body();
  close_after_ = true;
  stream_ = std::move(what.body);
  head_out_.clear();
  append_response_head(
      head_out_, what.head,
      {.keep_alive = false, .http10 = http10_, .streamed = true, .date = worker_.date()});
  error_code ec;
  socket_.set_option(tcp::socket::send_buffer_size{static_cast<int>(limits_.stream_buffer)}, ec);
  if (begin_ == end_)
    give_back(buffer_);  // nothing more is read
  watch_peer();
  write_stream({}, {});
}

/// Its end is seen at once, and not only by the next heartbeat. What it sends is not read.
inline void connection::watch_peer() {
  if (peer_.is_secure())
    return read_in_vain();
  socket_.async_wait(tcp::socket::wait_read, then([](connection& self, error_code ec) {
                       error_code gone;
                       if (!ec && self.stream_ && self.socket_.available(gone) == 0)
                         self.close();
                     }));
}

/// Over TLS an end has to be read.
inline void connection::read_in_vain() {
  buffer_.resize(256);
  begin_ = end_ = 0;
  peer_.async_read_some(asio::buffer(buffer_),
                        then([](connection& self, error_code ec, std::size_t) {
                          if (!self.stream_)
                            return;
                          if (ec)
                            self.close();
                          else
                            self.read_in_vain();
                        }));
}

inline void connection::pump() {
  if (worker_.shared.draining && !stream_->ends())
    return end_stream();
  auto more = stream_->next();
  if (!more)
    return end_stream();
  if (!more->empty())
    return write_part(*std::move(more));
  give_back(body_out_);
  give_back(head_out_);
  enter(phase::streaming, limits_.stream_heartbeat);
}

inline void connection::write_part(std::string part) {
  body_out_ = std::move(part);
  head_out_.clear();
  if (http10_)
    return write_stream(body_out_, {});
  std::array<char, 24> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", body_out_.size());
  head_out_ = size.data();
  write_stream(body_out_, "\r\n");
}

/// `head_out_`, then the two; what they show must live as long as the phase.
inline void connection::write_stream(std::string_view before, std::string_view after) {
  enter(phase::part, limits_.write_timeout);
  const std::array<asio::const_buffer, 3> parts{asio::buffer(head_out_),
                                                asio::buffer(before.data(), before.size()),
                                                asio::buffer(after.data(), after.size())};
  asio::async_write(peer_, parts, then([](connection& self, error_code ec, std::size_t) {
                      if (self.phase_ != phase::part)
                        return;
                      if (ec)
                        self.close();
                      else
                        self.pump();
                    }));
}

/// The last chunk says that nothing is missing.
inline void connection::end_stream() {
  stream_.reset();
  give_back(body_out_);
  head_out_ = http10_ ? "" : "0\r\n\r\n";
  enter(phase::writing, limits_.write_timeout);
  asio::async_write(
      peer_, asio::buffer(head_out_),
      then([](connection& self, error_code ec, std::size_t) { self.on_written(ec); }));
}

}  // namespace troupe::http::detail
