#include "http/wire.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace troupe::http {
namespace {

constexpr std::string_view allowed_everywhere =
    "the methods are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS";

std::string_view trim(std::string_view s) noexcept {
  const auto first = s.find_first_not_of(" \t");
  if (first == std::string_view::npos)
    return {};
  return s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

bool is_digits(std::string_view s) noexcept {
  return !s.empty() && std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
}

/// Printable ASCII without '#': a target has no fragment, and other bytes are percent-encoded.
bool is_target(std::string_view s) noexcept {
  return !s.empty()
         && std::ranges::all_of(s, [](char c) { return c > 0x20 && c < 0x7F && c != '#'; });
}

/// uri-host [":" port], by its characters only.
bool is_host(std::string_view s) noexcept {
  constexpr std::string_view others = "-._~%!$&'()*+;=:[]";
  return !s.empty() && std::ranges::all_of(s, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || others.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::size_t request_parser::feed(std::string_view input) {
  std::size_t used = 0;
  while (!done() && !failed()) {
    const std::size_t n = step(input.substr(used));
    if (n == 0)
      break;
    used += n;
  }
  return used;
}

request request_parser::take() {
  request result = std::move(request_);
  request_ = {};
  state_ = state::request_line;
  head_bytes_ = header_count_ = framing_bytes_ = longest_ = 0;
  left_ = content_length_ = 0;
  host_.clear();
  transfer_encoding_.clear();
  hosts_ = content_lengths_ = transfer_encodings_ = 0;
  content_length_overflow_ = encoded_ = unknown_expectation_ = expects_continue_ = false;
  connection_close_ = connection_keep_alive_ = http10_ = skipped_blank_ = false;
  return result;
}

std::size_t request_parser::fail(int status, std::string_view code, std::string detail) {
  state_ = state::failed;
  error_ = {status, code, std::move(detail)};
  return 0;
}

std::size_t request_parser::too_large(std::size_t longest) {
  return fail(413, "too_large",
              "a body here may have at most " + std::to_string(longest) + " bytes");
}

std::size_t request_parser::step(std::string_view input) {
  if (input.empty())
    return 0;
  return state_ == state::fixed_body || state_ == state::chunk_data ? step_body(input)
                                                                    : step_line(input);
}

std::size_t request_parser::line_limit() const noexcept {
  if (state_ == state::chunk_size)
    return 16 + limits_.chunk_extension;
  return state_ == state::chunk_end ? 0 : limits_.header_line;
}

void request_parser::line_too_long() {
  const auto bytes = std::to_string(line_limit());
  if (state_ == state::request_line)
    fail(414, "uri_too_long", "a request line may have at most " + bytes + " bytes");
  else if (state_ == state::chunk_size || state_ == state::chunk_end)
    malformed("a chunk is longer than it says or its extension is too long");
  else
    fail(431, "headers_too_large", "a header line may have at most " + bytes + " bytes");
}

/// Every line ends with CR LF and is judged when it is complete.
std::size_t request_parser::step_line(std::string_view input) {
  const std::size_t limit = line_limit();
  const auto window = input.substr(0, limit + 2);
  const auto end = window.find('\n');
  if (end == std::string_view::npos) {
    if (window.size() == limit + 2)
      line_too_long();
    return 0;
  }
  if (end == 0 || window[end - 1] != '\r')
    return malformed("a line ends with CR LF");
  const auto line = window.substr(0, end - 1);
  switch (state_) {
    case state::request_line:
    case state::header_line:
    case state::trailer:
      head_bytes_ += end + 1;
      if (head_bytes_ > limits_.head)
        return fail(431, "headers_too_large",
                    "request line and headers may have at most " + std::to_string(limits_.head)
                        + " bytes together");
      if (state_ == state::request_line)
        on_request_line(line);
      else if (state_ == state::header_line)
        on_header_line(line);
      else
        on_trailer(line);
      break;
    case state::chunk_size:
      framing_bytes_ += end + 1;
      on_chunk_size(line);
      break;
    case state::chunk_end:
      framing_bytes_ += end + 1;
      if (!line.empty())
        return malformed("a chunk is longer than it says");
      state_ = state::chunk_size;
      break;
    case state::fixed_body:
    case state::chunk_data:
    case state::done:
    case state::failed:
      return 0;
  }
  return failed() ? 0 : end + 1;
}

std::size_t request_parser::step_body(std::string_view input) {
  const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
  request_.body.append(input.data(), n);
  left_ -= n;
  if (left_ == 0)
    state_ = state_ == state::fixed_body ? state::done : state::chunk_end;
  return n;
}

void request_parser::on_request_line(std::string_view line) {
  if (line.empty() && !skipped_blank_) {  // RFC 9112 2.2: one stray CR LF after a body is forgiven
    skipped_blank_ = true;
    return;
  }
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    malformed("a request line is: method, space, target, space, version");
    return;
  }
  const auto method = line.substr(0, first);
  const auto target = line.substr(first + 1, last - first - 1);
  const auto version = line.substr(last + 1);
  if (!is_token(method)) {
    malformed("the method is not a token");
    return;
  }
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || !digit(version[5])
      || version[6] != '.' || !digit(version[7])) {
    malformed("the version is not HTTP/ and two digits");
    return;
  }
  http10_ = version == "HTTP/1.0";
  if (!http10_ && version != "HTTP/1.1") {
    fail(505, "version_not_supported", "this server speaks HTTP/1.1");
    return;
  }
  if (!is_target(target)) {
    malformed("the target has a byte that must be percent-encoded");
    return;
  }
  request_.method = method;
  request_.target = target;
  state_ = state::header_line;
}

void request_parser::on_header_line(std::string_view line) {
  if (line.empty()) {
    on_head_end();
    return;
  }
  if (++header_count_ > limits_.headers) {
    fail(431, "headers_too_large",
         "a request may have at most " + std::to_string(limits_.headers) + " headers");
    return;
  }
  if (line[0] == ' ' || line[0] == '\t') {
    malformed("a header line is folded");
    return;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    malformed("a header line is: name, colon, value; with no space before the colon");
    return;
  }
  const auto value = trim(line.substr(colon + 1));
  if (!is_field_value(value)) {
    malformed("a header value has a control byte");
    return;
  }
  const auto name = line.substr(0, colon);
  request_.headers.push_back({std::string{name}, std::string{value}});
  on_header(name, value);
}

/// The fields that decide framing and connection; everything else is the handler's.
void request_parser::on_header(std::string_view name, std::string_view value) {
  if (iequals(name, "host")) {
    ++hosts_;
    host_ = value;
  } else if (iequals(name, "content-length")) {
    ++content_lengths_;
    if (!is_digits(value)) {
      malformed("Content-Length is one decimal number");
      return;
    }
    const auto [end, ec] =
        std::from_chars(value.data(), value.data() + value.size(), content_length_);
    content_length_overflow_ = ec != std::errc{};
  } else if (iequals(name, "transfer-encoding")) {
    ++transfer_encodings_;
    transfer_encoding_ = value;
  } else if (iequals(name, "content-encoding")) {
    encoded_ = encoded_ || !iequals(value, "identity");
  } else if (iequals(name, "expect")) {
    if (iequals(value, "100-continue"))
      expects_continue_ = true;
    else
      unknown_expectation_ = true;
  } else if (iequals(name, "connection")) {
    on_connection(value);
  }
}

void request_parser::on_connection(std::string_view value) {
  while (!value.empty()) {
    const auto comma = value.find(',');
    const auto option = trim(value.substr(0, comma));
    connection_close_ = connection_close_ || iequals(option, "close");
    connection_keep_alive_ = connection_keep_alive_ || iequals(option, "keep-alive");
    value = comma == std::string_view::npos ? std::string_view{} : value.substr(comma + 1);
  }
  connection_keep_alive_ = connection_keep_alive_ && !connection_close_;
}

/// Framing first, because nothing behind it can be trusted otherwise; then what this server does
/// not do.
void request_parser::on_head_end() {
  if (!check_framing() || !check_target())
    return;
  if (request_.method == "TRACE" || request_.method == "CONNECT") {
    fail(405, "method_not_allowed", std::string{allowed_everywhere});
    return;
  }
  const bool chunked = transfer_encodings_ > 0;
  if (chunked && !iequals(transfer_encoding_, "chunked")) {
    fail(501, "not_supported", "the only transfer coding is chunked");
    return;
  }
  if (encoded_) {
    fail(415, "unsupported_media_type", "a request body is sent without content coding");
    return;
  }
  if (unknown_expectation_) {
    fail(417, "expectation_failed", "the only expectation is 100-continue");
    return;
  }
  longest_ = longest_body_ ? longest_body_(request_.method, request_.target) : limits_.body;
  if (content_length_overflow_ || content_length_ > longest_) {
    too_large(longest_);
    return;
  }
  expects_continue_ = expects_continue_ && !http10_;
  left_ = content_length_;
  if (chunked)
    state_ = state::chunk_size;
  else
    state_ = left_ > 0 ? state::fixed_body : state::done;
  if (left_ > 0)  // an announcement is not a reason to allocate it all
    request_.body.reserve(std::min<std::size_t>(static_cast<std::size_t>(left_), 16 * 1024));
}

bool request_parser::check_framing() {
  if (hosts_ > 1 || (hosts_ == 0 && !http10_))
    malformed("a request has one Host header");
  else if (hosts_ == 1 && !is_host(host_))
    malformed("the Host header is not a host");
  else if (content_lengths_ > 1)
    malformed("a request has at most one Content-Length");
  else if (content_lengths_ > 0 && transfer_encodings_ > 0)
    malformed("a request has Content-Length or Transfer-Encoding but not both");
  else if (transfer_encodings_ > 1)
    malformed("a request has at most one Transfer-Encoding");
  else if (transfer_encodings_ > 0 && http10_)
    malformed("HTTP/1.0 has no Transfer-Encoding");
  return !failed();
}

/// Leaves an absolute path, or "*" of OPTIONS. An absolute URL must name the host that Host names:
/// whoever checks one of them has then checked both.
bool request_parser::check_target() {
  auto& target = request_.target;
  if (target.starts_with('/') || request_.method == "CONNECT"
      || (target == "*" && request_.method == "OPTIONS"))
    return true;
  const auto scheme = target.find("://");
  if (scheme != std::string::npos
      && (iequals(target.substr(0, scheme), "http")
          || iequals(target.substr(0, scheme), "https"))) {
    const auto begin = scheme + 3;
    const auto end = std::min(target.find_first_of("/?", begin), target.size());
    if (hosts_ == 1 && iequals(std::string_view{target}.substr(begin, end - begin), host_)) {
      target.erase(0, end);
      if (!target.starts_with('/'))
        target.insert(target.begin(), '/');
      return true;
    }
  }
  malformed("the target is not an absolute path of this host");
  return false;
}

void request_parser::on_chunk_size(std::string_view line) {
  std::uint64_t size = 0;
  const auto [end, ec] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  const auto digits = static_cast<std::size_t>(end - line.data());
  if (ec != std::errc{} || digits > 16) {
    malformed("a chunk begins with its size in hex digits");
    return;
  }
  const auto extension = trim(line.substr(digits));
  if (extension.size() > limits_.chunk_extension || !is_field_value(extension)
      || (extension.empty() ? line.size() > digits : extension[0] != ';')) {
    malformed("a chunk size is followed by nothing or by a short extension");
    return;
  }
  if (size > longest_ - request_.body.size()) {
    too_large(longest_);
    return;
  }
  if (framing_bytes_ > limits_.framing_slack
      && framing_bytes_ - limits_.framing_slack > (request_.body.size() + size) / 4) {
    malformed("the chunks are so small that most of the body is framing");
    return;
  }
  left_ = size;
  state_ = size == 0 ? state::trailer : state::chunk_data;
}

/// Trailers are checked like headers and then dropped: nothing in Troupe reads one.
void request_parser::on_trailer(std::string_view line) {
  if (line.empty()) {
    state_ = state::done;
    return;
  }
  const auto colon = line.find(':');
  if (++header_count_ > limits_.headers)
    fail(431, "headers_too_large",
         "a request may have at most " + std::to_string(limits_.headers) + " headers");
  else if (colon == std::string_view::npos || !is_token(line.substr(0, colon))
           || !is_field_value(line.substr(colon + 1)))
    malformed("a trailer line is not a header line");
}

}  // namespace troupe::http
