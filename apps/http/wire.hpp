#pragma once

#include "http/limits.hpp"
#include "http/message.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

/// The bytes of HTTP/1.1, without a socket, a clock or a thread: what arrives is parsed strictly
/// (RFC 9112, with every "may accept" refused), what leaves is written so that no header can break
/// out of its line.
namespace troupe::http {

/// Why a request was refused before anybody looked at its meaning.
struct protocol_error {
  int status = 0;
  std::string_view code{};  ///< of static storage
  std::string detail{};
};

/// Turns bytes into one request after another. One owner, one thread. Memory stays within the
/// limits: nothing is reserved because a peer announced it.
class request_parser {
public:
  /// `bounds` and `longest_body` (may be empty: then `bounds.body`) must outlive the parser.
  request_parser(const limits& bounds, const body_limit& longest_body);
  ~request_parser();

  /// Takes `input` up to the end of the request, and nothing once `done()` or `failed()`; returns
  /// how many bytes it took.
  std::size_t feed(std::string_view input);

  [[nodiscard]] bool head_done() const noexcept;
  [[nodiscard]] bool done() const noexcept;
  [[nodiscard]] bool failed() const noexcept;
  /// REQUIRES: failed().
  [[nodiscard]] const protocol_error& error() const noexcept;

  /// Known once `head_done()`.
  [[nodiscard]] bool expects_continue() const noexcept;
  [[nodiscard]] bool keep_alive() const noexcept;
  [[nodiscard]] bool http10() const noexcept;
  [[nodiscard]] bool is_head() const noexcept;
  /// Its body may not be whole.
  [[nodiscard]] const request& head() const noexcept;
  /// What was declared; of chunks, the most there may be.
  [[nodiscard]] std::size_t body_bytes() const;

  /// The request, and makes ready for the next one. REQUIRES: done().
  [[nodiscard]] request take();

private:
  class exchange;

  std::unique_ptr<exchange> exchange_;  ///< one request; Beast stays behind it
};

/// A field name, and a value without control bytes: what may stand in a head.
[[nodiscard]] bool is_token(std::string_view text) noexcept;
[[nodiscard]] bool is_field_value(std::string_view text) noexcept;

/// Whether an answer can be written as it is: a final status, and no header that would break out of
/// its line.
[[nodiscard]] bool is_writable(const response& answered) noexcept;

/// Whether the answer has a body on the wire at all, HEAD aside.
[[nodiscard]] bool has_body(int status) noexcept;

struct head_options {
  bool keep_alive = true;
  bool http10 = false;
  bool streamed = false;    ///< the body has no length: chunks, or for HTTP/1.0 up to the close
  std::string_view date{};  ///< IMF-fixdate; none when empty
};

/// Appends the head of an answer, its blank line included. REQUIRES: is_writable(answered).
void append_response_head(std::string& out, const response& answered, const head_options& options);

}  // namespace troupe::http
