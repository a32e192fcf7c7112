#include "api/status.hpp"

#include "http/problem.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace troupe::api {

int http_status(errc code) noexcept {
  switch (code) {
    case errc::malformed: return 400;
    case errc::bad_id: return 400;
    case errc::unknown_field: return 422;
    case errc::wrong_type: return 422;
    case errc::invalid_value: return 422;
    case errc::too_deep: return 400;
    case errc::too_many_elements: return 400;
    case errc::too_large: return 413;
    case errc::reserved_field: return 422;
    case errc::not_found: return 404;
    case errc::already_exists: return 409;
    case errc::revision_conflict: return 412;
    case errc::unsupported_media_type: return 415;
    case errc::method_not_allowed: return 405;
    case errc::not_supported: return 501;
    case errc::quota_exceeded: return 409;
    case errc::misdirected: return 421;
    case errc::forbidden: return 403;
    case errc::wrong_scope: return 422;
    case errc::cas_mismatch: return 409;
    case errc::tail_mismatch: return 409;
    case errc::invalid_transition: return 409;
    case errc::dependency_pending: return 409;
    case errc::cancelled: return 409;
    case errc::nothing_to_undo: return 409;
    case errc::revision_gone: return 410;
    case errc::merge_conflict: return 409;
    case errc::invalid_by_schema: return 422;
    case errc::unknown_schema: return 422;
    case errc::idempotency_mismatch: return 422;
    case errc::in_flight: return 409;
    case errc::over_budget: return 409;
    case errc::looping: return 409;
    case errc::unauthenticated: return 401;
    case errc::busy: return 429;
    case errc::draining: return 503;
    case errc::store_full: return 507;
    case errc::store_failed: return 503;
    case errc::quarantined: return 503;
    case errc::remote_file_system: return 503;
    case errc::responder_failed: return 502;
    case errc::responder_timeout: return 504;
    case errc::rate_limited: return 429;
    case errc::too_many_sessions: return 429;
    case errc::outcome_unknown: return 504;
    case errc::damaged: return 500;
    case errc::newer_format: return 500;
    case errc::internal: return 500;
  }
  return 500;  // a number from a newer node
}

namespace {

std::optional<std::uint64_t> retry_after_ms(int status, const error& what) {
  if (what.retry_after_ms)
    return what.retry_after_ms;
  if (status == 429 || what.code == errc::in_flight)
    return 100;
  if (status == 503)
    return 1'000;
  return std::nullopt;
}

}  // namespace

http::response to_response(const error& what) {
  constexpr std::uint64_t longest_delay_ms = 100;  // so that a refusal comes soon still
  const int status = http_status(what.code);
  std::string more;
  const auto member = [&](std::string_view name, const auto& append_value) {
    if (!more.empty())
      more += ',';
    http::append_json_string(more, name);
    more += ':';
    append_value();
  };
  if (!what.path.empty())
    member("path", [&] { http::append_json_string(more, what.path); });
  if (what.current_revision)
    member("current_revision", [&] { more += std::to_string(*what.current_revision); });
  if (what.limit)
    member("limit", [&] { more += std::to_string(*what.limit); });
  if (!what.details.empty())
    member("details", [&] { more += what.details; });
  const auto wait = retry_after_ms(status, what);
  if (wait)
    member("retry_after_ms", [&] { more += std::to_string(*wait); });
  auto out = http::problem(status, to_string(what.code), what.message, more);
  if (wait)
    out.headers.push_back({"Retry-After", std::to_string((*wait + 999) / 1000)});
  if (wait && status == 429)  // who does not wait is made to
    out.delay = std::chrono::milliseconds{std::min(*wait, longest_delay_ms)};
  if (what.code == errc::unauthenticated)
    out.headers.push_back({"WWW-Authenticate", "Bearer realm=\"troupe\""});
  return out;
}

}  // namespace troupe::api
