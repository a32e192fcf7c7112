#include "http/problem.hpp"

#include <troupe/state/json.hpp>

#include <cstddef>

namespace troupe::http {
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
  if (is_utf8(text))
    return troupe::append_json_string(out, text);
  std::string replaced;
  while (!text.empty()) {
    std::size_t n = 1;
    while (n <= 4 && !is_utf8(text.substr(0, n)))
      ++n;  // up to the first character: nothing shorter is one
    replaced += n <= 4 ? text.substr(0, n) : "\xEF\xBF\xBD";
    text.remove_prefix(n <= 4 ? n : 1);
  }
  troupe::append_json_string(out, replaced);
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
