#pragma once

/// HTTP/1.1 requests read again in the plainest way, from bytes that the parser took as one: what
/// it says of them must be what stands there.

#include "http/message.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::testing {

inline bool naive_token(std::string_view text) {
  for (const char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c))
        && std::string_view{"!#$%&'*+-.^_`|~"}.find(c) == std::string_view::npos)
      return false;
  }
  return !text.empty();
}

/// No control bytes but the tab: RFC 9110, 5.5.
inline bool naive_field_value(std::string_view text) {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f)
      return false;
  }
  return true;
}

class naive_http_reader {
public:
  explicit naive_http_reader(std::string_view bytes) : rest_{bytes} {}

  /// The request that all of the bytes are; nothing where they are none.
  std::optional<http::request> read() {
    if (rest_.starts_with("\r\n"))
      rest_.remove_prefix(2);
    http::request out;
    if (!request_line(out) || !fields(out.headers))
      return std::nullopt;
    const auto lengths = http::count_header(out.headers, "content-length");
    const auto codings = http::count_header(out.headers, "transfer-encoding");
    if (lengths + codings > 1 || http::count_header(out.headers, "host") > 1)
      return std::nullopt;
    if (codings == 1 ? !chunks(out.body) : !plain_body(out))
      return std::nullopt;
    return rest_.empty() ? std::optional{out} : std::nullopt;
  }

private:
  std::optional<std::string_view> line() {
    const auto end = rest_.find("\r\n");
    if (end == rest_.npos)
      return std::nullopt;
    const auto out = rest_.substr(0, end);
    rest_.remove_prefix(end + 2);
    return out;
  }

  bool request_line(http::request& out) {
    const auto text = line();
    if (!text)
      return false;
    const auto first = text->find(' '), last = text->rfind(' ');
    const auto version = text->substr(last + 1);
    if (first == last || (version != "HTTP/1.1" && version != "HTTP/1.0"))
      return false;
    out.method = text->substr(0, first);
    out.target = text->substr(first + 1, last - first - 1);
    for (const char c : out.target) {
      if (c <= 0x20 || c == 0x7f || c == '#')  // char is signed here: bytes beyond ASCII, too
        return false;
    }
    if (out.target[0] != '/'
        && out.target != "*") {  // an absolute URL: what stands behind its host
      const auto host = out.target.find("://");
      const auto path = host == out.target.npos ? host : out.target.find_first_of("/?", host + 3);
      out.target = path == out.target.npos ? "/" : out.target.substr(path);
      if (out.target[0] == '?')
        out.target.insert(0, "/");
    }
    return naive_token(out.method);
  }

  bool fields(std::vector<http::header>& out) {
    for (;;) {
      const auto text = line();
      if (!text)
        return false;
      if (text->empty())
        return true;
      const auto colon = text->find(':');
      if (colon == text->npos || !naive_token(text->substr(0, colon))
          || !naive_field_value(text->substr(colon + 1)))
        return false;  // a folded line has no token before its colon
      auto value = text->substr(colon + 1);
      value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
      value = value.substr(0, value.find_last_not_of(" \t") + 1);
      out.push_back({std::string{text->substr(0, colon)}, std::string{value}});
    }
  }

  /// Digits only: no sign, no prefix, no space.
  static std::optional<std::size_t> number(std::string_view digits, int base) {
    std::size_t out = 0;
    const auto* const last = digits.data() + digits.size();
    const auto [end, code] = std::from_chars(digits.data(), last, out, base);
    return code == std::errc{} && end == last ? std::optional{out} : std::nullopt;
  }

  bool take(std::string& out, std::size_t size) {
    if (rest_.size() < size)
      return false;
    out += rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  bool plain_body(http::request& out) {
    const auto* length = out.find_header("content-length");
    const auto size = length != nullptr ? number(*length, 10) : 0;
    return size && take(out.body, *size);
  }

  bool chunks(std::string& body) {
    for (;;) {
      const auto text = line();
      if (!text || !naive_field_value(*text))
        return false;
      const auto digits = text->substr(0, text->find_first_of("; \t"));
      const auto size = number(digits, 16);
      if (!size || digits.size() > 16)
        return false;
      if (*size == 0)
        break;
      if (!take(body, *size) || line() != "")
        return false;
    }
    std::vector<http::header> trailers;
    return fields(trailers);
  }

  std::string_view rest_;
};

}  // namespace troupe::testing
