#include <troupe/state/error.hpp>

namespace troupe {

std::string_view to_string(errc code) noexcept {
  switch (code) {
    case errc::malformed: return "malformed";
    case errc::bad_id: return "bad_id";
    case errc::unknown_field: return "unknown_field";
    case errc::wrong_type: return "wrong_type";
    case errc::invalid_value: return "invalid_value";
    case errc::too_deep: return "too_deep";
    case errc::too_many_elements: return "too_many_elements";
    case errc::too_large: return "too_large";
    case errc::reserved_field: return "reserved_field";
    case errc::not_found: return "not_found";
    case errc::already_exists: return "already_exists";
    case errc::revision_conflict: return "revision_conflict";
    case errc::unsupported_media_type: return "unsupported_media_type";
    case errc::method_not_allowed: return "method_not_allowed";
    case errc::not_supported: return "not_supported";
    case errc::quota_exceeded: return "quota_exceeded";
    case errc::misdirected: return "misdirected";
    case errc::forbidden: return "forbidden";
    case errc::wrong_scope: return "wrong_scope";
    case errc::cas_mismatch: return "cas_mismatch";
    case errc::tail_mismatch: return "tail_mismatch";
    case errc::invalid_transition: return "invalid_transition";
    case errc::dependency_pending: return "dependency_pending";
    case errc::cancelled: return "cancelled";
    case errc::nothing_to_undo: return "nothing_to_undo";
    case errc::revision_gone: return "revision_gone";
    case errc::merge_conflict: return "merge_conflict";
    case errc::invalid_by_schema: return "invalid_by_schema";
    case errc::unknown_schema: return "unknown_schema";
    case errc::idempotency_mismatch: return "idempotency_mismatch";
    case errc::in_flight: return "in_flight";
    case errc::over_budget: return "over_budget";
    case errc::looping: return "looping";
    case errc::unauthenticated: return "unauthenticated";
    case errc::busy: return "busy";
    case errc::draining: return "draining";
    case errc::store_full: return "store_full";
    case errc::store_failed: return "store_failed";
    case errc::quarantined: return "quarantined";
    case errc::remote_file_system: return "remote_file_system";
    case errc::responder_failed: return "responder_failed";
    case errc::responder_timeout: return "responder_timeout";
    case errc::rate_limited: return "rate_limited";
    case errc::too_many_sessions: return "too_many_sessions";
    case errc::outcome_unknown: return "outcome_unknown";
    case errc::damaged: return "damaged";
    case errc::newer_format: return "newer_format";
    case errc::internal: return "internal";
  }
  return "unknown";  // a number from a newer node
}

}  // namespace troupe
