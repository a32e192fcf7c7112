#include "api/dashboard.hpp"

#include "api/route.hpp"

#include <algorithm>
#include <utility>

/// The dashboard: one page and its modules, which ask the same API as every other client. They hold
/// no data, so nobody needs a token to load them.
namespace troupe::api {

namespace {

constexpr std::string_view page_name = "index.html";

/// Only what this node serves runs, and nothing that is stored can become markup: scripts have no
/// way to make any (trusted types).
constexpr std::string_view content_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

/// `If-None-Match`: a list of tags, weak ones too, or `*`.
bool is_known(const http::request& request, std::string_view etag) {
  const auto* known = request.find_header("If-None-Match");
  return known && (*known == "*" || known->find(etag) != std::string::npos);
}

void send_asset(const call_ptr& c, std::string_view name) {
  const auto found = std::ranges::find(dashboard_assets, name, &asset::name);
  if (found == dashboard_assets.end())
    return c->refuse({errc::not_found, "the dashboard has no such file"});
  const bool known = is_known(c->request, found->etag);
  http::response out{.status = known ? 304 : 200,
                     .headers = {{"ETag", std::string{found->etag}},
                                 {"Cache-Control", "no-cache"},
                                 {"Content-Security-Policy", std::string{content_policy}},
                                 {"X-Content-Type-Options", "nosniff"},
                                 {"X-Frame-Options", "DENY"},
                                 {"Referrer-Policy", "no-referrer"},
                                 {"Cross-Origin-Opener-Policy", "same-origin"},
                                 {"Cross-Origin-Resource-Policy", "same-origin"}},
                     .body = known ? std::string{} : std::string{found->bytes}};
  out.content_type = found->type;
  c->send(std::move(out));
}

void get_page(const call_ptr& c) {
  send_asset(c, page_name);
}

void get_file(const call_ptr& c) {
  send_asset(c, c->parameters[0]);
}

constexpr route rows[] = {
    {"GET", "/", no_scope, role::anybody, get_page, "The dashboard, for a browser", "", nullptr,
     nullptr, 200, "text/html"},
    {"GET", "/dashboard/{file}", no_scope, role::anybody, get_file,
     "A module, style or picture of the dashboard", "", nullptr, nullptr, 200,
     "text/javascript text/css image/svg+xml text/html"},
};

}  // namespace

std::span<const route> dashboard_routes() {
  return rows;
}

}  // namespace troupe::api
