#include "http/problem.hpp"

#include <cstddef>

namespace troupe::http {
namespace {

/// The length of the UTF-8 character at the front of `s` (not empty), or 0 when there is none (RFC
/// 3629).
std::size_t utf8_length(std::string_view s) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const auto first = byte(0);
  if (first < 0x80)
    return 1;
  const std::size_t n = first < 0xC2   ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
  if (n == 0 || s.size() < n)
    return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xC0U) != 0x80U)
      return 0;
  const auto second = byte(1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second >= 0xA0;
  const bool beyond = first == 0xF4 && second >= 0x90;
  return overlong || surrogate || beyond ? 0 : n;
}

}  // namespace

std::string_view title(int status) noexcept {
  // clang-format off
  switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
  }
  // clang-format on
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  out.push_back('"');
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    const char c = text[0];
    if (n == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (n == 1 && (c < 0x20 || c == 0x7F)) {
      const auto byte = static_cast<unsigned char>(c);
      out += "\\u00";
      out.push_back(digits[byte / 16]);
      out.push_back(digits[byte % 16]);
    } else {
      out.append(text, 0, n);
    }
    text.remove_prefix(n == 0 ? 1 : n);
  }
  out.push_back('"');
}

std::string problem_body(int status, std::string_view code, std::string_view detail,
                         std::string_view more) {
  std::string out = R"({"type":"about:blank","title":)";
  append_json_string(out, title(status));
  out += R"(,"status":)";
  out += std::to_string(status);
  out += R"(,"detail":)";
  append_json_string(out, detail);
  out += R"(,"code":)";
  append_json_string(out, code);
  if (!more.empty()) {
    out.push_back(',');
    out += more;
  }
  out.push_back('}');
  return out;
}

response problem(int status, std::string_view code, std::string_view detail,
                 std::string_view more) {
  return {.status = status,
          .headers = {},
          .body = problem_body(status, code, detail, more),
          .content_type = "application/problem+json"};
}

}  // namespace troupe::http
