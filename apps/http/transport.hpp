#pragma once

// Internal: included by connection.hpp. The bytes of one peer, in the clear or over TLS.

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include <memory>
#include <utility>

namespace troupe::http::detail {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// A stream as Asio's operations want it, over a socket whose own calls are those of `socket()`.
/// One thread.
class transport {
public:
  using executor_type = tcp::socket::executor_type;

  /// Null: in the clear. The context may end before the transport.
  transport(tcp::socket socket, asio::ssl::context* context)
      : socket_{std::move(socket)},
        tls_{context ? std::make_unique<tls_stream>(socket_, *context) : nullptr} {}

  transport(const transport&) = delete;  // TLS refers to the socket
  transport& operator=(const transport&) = delete;

  [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }
  [[nodiscard]] tcp::socket& socket() noexcept { return socket_; }
  [[nodiscard]] bool is_secure() const noexcept { return tls_ != nullptr; }

  /// REQUIRES: is_secure().
  template <class F>
  void async_handshake(F&& done) {
    tls_->async_handshake(asio::ssl::stream_base::server, std::forward<F>(done));
  }
  /// Tells the peer that nothing more comes. REQUIRES: is_secure().
  template <class F>
  void async_shutdown(F&& done) {
    tls_->async_shutdown(std::forward<F>(done));
  }

  template <class Buffers, class F>
  void async_read_some(const Buffers& into, F&& done) {
    if (tls_)
      tls_->async_read_some(into, std::forward<F>(done));
    else
      socket_.async_read_some(into, std::forward<F>(done));
  }
  template <class Buffers, class F>
  void async_write_some(const Buffers& from, F&& done) {
    if (tls_)
      tls_->async_write_some(from, std::forward<F>(done));
    else
      socket_.async_write_some(from, std::forward<F>(done));
  }

private:
  using tls_stream = asio::ssl::stream<tcp::socket&>;

  tcp::socket socket_;
  std::unique_ptr<tls_stream> tls_;
};

}  // namespace troupe::http::detail
