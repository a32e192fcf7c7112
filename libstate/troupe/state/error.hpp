#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// Every way a request can fail. Numbers are fixed (they travel between nodes and stand in
/// journals) and names are the `code` of the HTTP API: append, never renumber, never rename.
enum class errc : std::uint16_t {
  // The caller's fault: the same request fails again.
  malformed = 1,      ///< not JSON, not msgpack, or not the shape the command has
  bad_id = 2,         ///< an id is 1 to 256 bytes of UTF-8 without control characters
  unknown_field = 3,  ///< a field this command does not have
  wrong_type = 4,     ///< a field of another type than the command asks for
  invalid_value =
      5,  ///< a value that cannot be kept exactly: duplicate key, integer beyond 64 bits, ...
  too_deep = 6,                 ///< nesting beyond `limits::depth`
  too_many_elements = 7,        ///< more elements than `limits::elements`
  too_large = 8,                ///< more bytes than the limit named in the error
  reserved_field = 9,           ///< `seq` and `at` of an item belong to Troupe
  not_found = 10,               ///< no such entity, item or key
  already_exists = 11,          ///< create-only, and it is there
  revision_conflict = 12,       ///< the expected revision is not the current one
  unsupported_media_type = 13,  ///< a body of a type this route does not read
  method_not_allowed = 14,      ///< the route exists, not with this method
  not_supported = 15,           ///< a documented feature that this build does not have
  quota_exceeded = 16,          ///< the entity or namespace holds as many bytes as it may
  misdirected = 17,             ///< asked under a host name that is not this node's
  forbidden = 18,               ///< this principal may read it, and not do this
  wrong_scope = 19,             ///< this kind of entity has no such thing
  cas_mismatch = 20,            ///< the key does not hold what was expected
  tail_mismatch = 21,           ///< the newest item is not the expected one
  invalid_transition = 22,      ///< a node cannot go from where it is to there
  dependency_pending = 23,      ///< a node depends on one that is not done
  cancelled = 24,               ///< the workflow is cancelled: resume it first
  nothing_to_undo = 25,         ///< fewer changes than steps; nor to redo
  revision_gone = 26,           ///< this revision is not kept any more, or not yet there
  merge_conflict = 27,          ///< both sides changed the same; the list is in `error::details`
  invalid_by_schema = 28,       ///< a validator of the entity's schema refuses it
  unknown_schema = 29,          ///< a schema, or a version of it, that this host has not registered
  idempotency_mismatch = 30,    ///< this idempotency key was used for another request
  in_flight = 31,               ///< the request with this idempotency key is still running
  over_budget = 32,             ///< the session has used more tokens than its budget
  looping = 33,                 ///< the agent repeats the same tool call
  unauthenticated = 34,         ///< no access token, or none that holds

  // Not now: the same request may succeed later; nothing was written.
  busy = 100,          ///< too many commands in flight
  draining = 101,      ///< the node is shutting down
  store_full = 102,    ///< no room on disk; reads and deletes go on
  store_failed = 103,  ///< the write failed and is certainly not there
  quarantined = 104,   ///< this entity crashed too often; others are not touched
  remote_file_system =
      105,  ///< the data directory is where another machine or program decides what a sync means
  responder_failed = 106,   ///< who is to answer a message refused, or broke off
  responder_timeout = 107,  ///< who is to answer a message did not within its time
  rate_limited = 108,       ///< more requests, or failed logins, than may be in this time
  too_many_sessions = 109,  ///< the user has as many as may be: delete some

  // Ours.
  outcome_unknown =
      200,  ///< it may have been written or not: read, or repeat with the same idempotency key
  damaged = 201,       ///< a stored record does not match its checksum or its format
  newer_format = 202,  ///< written by a newer version of Troupe
  internal = 203,      ///< a broken invariant; please report it
};

/// The enum's name: "revision_conflict".
[[nodiscard]] std::string_view to_string(errc code) noexcept;

/// What went wrong, in words that say what to do, with the facts that help to act.
struct error {
  errc code{};
  std::string message;
  std::string path{};  ///< where in the input, as a JSON pointer (RFC 6901); empty for the whole
  std::optional<std::uint64_t> current_revision{};
  std::optional<std::uint64_t> limit{};
  std::string details{};  ///< for programs, as JSON: e.g. the conflicts of a merge; else empty
  std::optional<std::uint64_t> retry_after_ms{};  ///< when a repeat may succeed; else nobody knows

  friend bool operator==(const error&, const error&) = default;
};

}  // namespace troupe
