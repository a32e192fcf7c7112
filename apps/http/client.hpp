#pragma once

#include <troupe/state/expected.hpp>

#include "http/message.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace troupe::http {

struct endpoint {
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 80;

  friend bool operator==(const endpoint&, const endpoint&) = default;
};

/// "http://host:port", with or without a final slash. Fails with `malformed`, and with
/// `not_supported` for https.
[[nodiscard]] expected<endpoint> parse_url(std::string_view url);

/// One keep-alive connection to one server, made when it is needed. Blocks; one thread at a time.
///
/// A request is sent once. `busy` says that it was certainly not processed: no connection, or not
/// all of its bytes left this machine. `outcome_unknown` says that all bytes left and no valid
/// answer came: the caller reads what is there, or repeats with the same idempotency key.
class client {
public:
  /// `timeout` is for one request in all, from connecting to the last byte of its answer.
  client(std::string host, std::uint16_t port, std::chrono::milliseconds timeout);
  ~client();
  client(client&& other) noexcept;
  client& operator=(client&& other) noexcept;

  /// Adds Host, and Content-Length when there is a body or the method wants one. Fails with
  /// `malformed`, before anything is sent, for a request that would break out of its lines; with
  /// `too_large` for an answer beyond `longest_answer` (the request was processed).
  [[nodiscard]] expected<response> send(const request& asked);

  /// Then: the answer is not read any further, and the connection closed.
  std::size_t longest_answer = 64 * 1024 * 1024;
  /// Asked ten times a second while a request waits; true: as if its time were over. Empty: never.
  std::function<bool()> given_up{};

private:
  class reader;

  expected<void> connect(std::chrono::steady_clock::time_point deadline);
  bool is_fresh() noexcept;
  void close() noexcept;

  std::string host_;
  std::uint16_t port_;
  std::chrono::milliseconds timeout_;
  int socket_ = -1;
};

}  // namespace troupe::http
