#pragma once

#include <troupe/state/expected.hpp>

#include "http/limits.hpp"
#include "http/message.hpp"
#include "http/tls.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace troupe::http {

/// What an IO thread does beside its own work. Asked for on that thread when it begins: what is
/// returned is called there soon after any thread called `wake`, behind all that is ready then, and
/// destroyed there when the thread ends.
using side_work = std::function<std::function<void()>(std::function<void()> wake)>;

/// Who sent a request, of which the body may be to come still, if it proves that. Called on an IO
/// thread for every request of a connection until one does, which then counts as that peer's, and
/// with an empty one for every connection: where that is enough, nobody has to prove anything.
using peer_check = std::function<std::optional<std::string>(const request& head)>;

/// Decides by the head of a request whether the `bytes` of its body are read: what is kept until it
/// is answered, or the answer that refuses it. Called on an IO thread.
using body_check = std::function<tl::expected<std::shared_ptr<void>, response>(const request& head,
                                                                               std::size_t bytes)>;

struct server_options {
  std::string host = "127.0.0.1";  ///< an address or a name of this machine
  std::uint16_t port = 0;          ///< 0 picks a free one
  /// On two cores one thread moves 80 to 190 thousand requests a second that are answered at once.
  std::size_t io_threads = 1;
  limits bounds{};
  std::optional<tls_files> tls{};  ///< then: TLS only
  answer_limit longest_wait{};     ///< likewise; empty: `bounds.answer_timeout` for every request
  side_work beside{};              ///< empty: nothing
  body_limit longest_body{};  ///< called on an IO thread; empty: `bounds.body` for every request
  peer_check peer_of{};       ///< empty: nobody has to prove anything
  body_check admit{};         ///< of bodies beyond `bounds.small_body`; empty: all are read
};

/// An HTTP/1.1 server: answers of one connection leave in the order of its requests, one request of
/// a connection is with the handler at a time, and a request reaches the handler only when it is
/// complete and valid. Protocol errors are answered here as application/problem+json and close the
/// connection.
///
/// Owner: whoever started it; `drain` and the destructor are for the owner's thread, never for the
/// handler. Threads: `io_threads` of its own, on which the handler is called.
class server {
public:
  /// Listens when it returns. Fails with `busy` when the port is taken and with `invalid_value`
  /// when the host is not an address of this machine; as `load_tls`.
  [[nodiscard]] static expected<std::unique_ptr<server>> start(server_options options,
                                                               handler handle);

  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Cuts every connection and joins the threads. Responders that are still out do nothing from
  /// then on.
  ~server();

  [[nodiscard]] std::uint16_t port() const noexcept;

  /// Reads certificate and key anew; connections from then on get them. Any thread. Without TLS it
  /// does nothing. Errors: as `load_tls`; then nothing has changed.
  expected<void> reload_tls();

  /// What a client connects to: "127.0.0.1:8080" or "[::1]:8080".
  [[nodiscard]] std::string address() const;

  /// Stops to accept, closes idle connections, ends streams that do not end of their own, and waits
  /// until every request that had begun to arrive is answered and its connection closed. False: the
  /// deadline passed first. Repeatable.
  bool drain(std::chrono::steady_clock::time_point deadline);

private:
  struct impl;
  explicit server(std::unique_ptr<impl> inside) noexcept;

  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::http
