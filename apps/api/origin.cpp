#include "api/origin.hpp"

#include <string_view>

namespace troupe::api {

namespace {

bool is_read(std::string_view method) {
  return method == "GET" || method == "HEAD";
}

/// As a browser writes it: "https://host:8443", the scheme's own port left out.
bool is_own_origin(std::string_view origin, std::string_view host, bool tls) {
  const bool secure = origin.starts_with("https://");
  if (!secure && (tls || !origin.starts_with("http://")))
    return false;
  origin.remove_prefix(secure ? 8 : 7);
  const std::string_view usual_port = secure ? ":443" : ":80";
  for (auto* one : {&origin, &host})
    if (one->ends_with(usual_port))
      one->remove_suffix(usual_port.size());
  return !host.empty() && http::iequals(origin, host);
}

}  // namespace

bool is_own_host(const http::request& request) {
  const auto* header = request.find_header("Host");
  if (!header)
    return true;  // HTTP/1.0
  const std::string_view host = *header;
  const auto end = host.rfind(':');
  const bool port = end != std::string_view::npos && host.find(']', end) == std::string_view::npos;
  return http::is_loopback(port ? host.substr(0, end) : host);
}

expected<void> check_origin(const http::request& request, bool tls) {
  if (is_read(request.method))
    return {};
  bool own = true, same = false;
  for (const auto& header : request.headers) {
    if (http::iequals(header.name, "Sec-Fetch-Site")) {
      same = header.value == "same-origin";
      own = own && (same || header.value == "none");
    }
  }
  const auto* host = request.find_header("Host");
  for (const auto& header : request.headers) {
    if (http::iequals(header.name, "Origin") && !(same && header.value == "null"))  // by policy
      own = own && is_own_origin(header.value, host ? *host : std::string_view{}, tls);
  }
  if (own)
    return {};
  return fail(
      errc::forbidden,
      "a web page of another origin changes nothing here: `Origin` is the scheme and `Host` "
      "of this node, `Sec-Fetch-Site` is same-origin or none");
}

}  // namespace troupe::api
