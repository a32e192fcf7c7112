#pragma once

#include "http/limits.hpp"
#include "http/message.hpp"

#include <cstddef>
#include <cstdint>
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
  request_parser(const limits& bounds, const body_limit& longest_body) noexcept
      : limits_{bounds},
        longest_body_{longest_body} {}

  /// Takes what it can use from the front of `input` and returns how many bytes that was; the
  /// caller offers the rest again with more behind it. Takes nothing once `done()` or `failed()`.
  std::size_t feed(std::string_view input);

  [[nodiscard]] bool started() const noexcept { return head_bytes_ > 0; }
  [[nodiscard]] bool head_done() const noexcept { return state_ > state::header_line; }
  [[nodiscard]] bool done() const noexcept { return state_ == state::done; }
  [[nodiscard]] bool failed() const noexcept { return state_ == state::failed; }
  /// REQUIRES: failed().
  [[nodiscard]] const protocol_error& error() const noexcept { return error_; }

  /// Known once `head_done()`.
  [[nodiscard]] bool expects_continue() const noexcept {
    return expects_continue_ && request_.body.empty();  // who sends already does not wait
  }
  [[nodiscard]] bool keep_alive() const noexcept {
    return http10_ ? connection_keep_alive_ : !connection_close_;
  }
  [[nodiscard]] bool http10() const noexcept { return http10_; }
  [[nodiscard]] bool is_head() const noexcept { return request_.method == "HEAD"; }

  /// The request, and makes ready for the next one. REQUIRES: done().
  [[nodiscard]] request take();

private:
  enum class state {
    request_line,
    header_line,
    fixed_body,
    chunk_size,
    chunk_data,
    chunk_end,
    trailer,
    done,
    failed,
  };

  std::size_t fail(int status, std::string_view code, std::string detail);
  std::size_t malformed(std::string detail) { return fail(400, "malformed", std::move(detail)); }
  std::size_t too_large(std::size_t longest);
  std::size_t step(std::string_view input);
  std::size_t step_line(std::string_view input);
  std::size_t step_body(std::string_view input);
  std::size_t line_limit() const noexcept;
  void line_too_long();
  void on_request_line(std::string_view line);
  void on_header_line(std::string_view line);
  void on_header(std::string_view name, std::string_view value);
  void on_connection(std::string_view value);
  void on_head_end();
  bool check_target();
  bool check_framing();
  void on_chunk_size(std::string_view line);
  void on_trailer(std::string_view line);

  const limits& limits_;
  const body_limit& longest_body_;
  state state_ = state::request_line;
  request request_{};
  protocol_error error_{};

  std::size_t head_bytes_ = 0;
  std::size_t header_count_ = 0;
  std::size_t longest_ = 0;        ///< of this request's body
  std::uint64_t left_ = 0;         ///< of the fixed body or of the chunk
  std::size_t framing_bytes_ = 0;  ///< of the chunks, data not counted
  std::uint64_t content_length_ = 0;
  std::string host_{};
  std::string transfer_encoding_{};
  std::size_t hosts_ = 0;
  std::size_t content_lengths_ = 0;
  std::size_t transfer_encodings_ = 0;
  bool content_length_overflow_ = false;
  bool encoded_ = false;
  bool unknown_expectation_ = false;
  bool expects_continue_ = false;
  bool connection_close_ = false;
  bool connection_keep_alive_ = false;
  bool http10_ = false;
  bool skipped_blank_ = false;
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
  std::string_view date{};  ///< IMF-fixdate; none when empty
};

/// Appends the head of an answer, its blank line included. REQUIRES: is_writable(answered).
void append_response_head(std::string& out, const response& answered, const head_options& options);

}  // namespace troupe::http
