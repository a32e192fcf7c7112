#pragma once

#include <troupe/state/ids.hpp>
#include <troupe/state/persistent_map.hpp>
#include <troupe/state/persistent_vector.hpp>
#include <troupe/state/time.hpp>
#include <troupe/state/value.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

/// One conversation as a value: its state, the commands that may change it, the events that did,
/// and the two pure functions between them. No thread, no clock, no I/O.
namespace troupe {

/// One entry of the history: any map of fields; `seq` and `at` are Troupe's. Sequence numbers are
/// 1, 2, 3 ...
struct history_item {
  std::uint64_t seq = 0;
  timestamp at;
  value fields;

  friend bool operator==(const history_item&, const history_item&) = default;
};

struct state_entry {
  value data;
  std::uint64_t revision = 0;  ///< the session's revision at which the key was last written

  friend bool operator==(const state_entry&, const state_entry&) = default;
};

enum class lifecycle : std::uint8_t {
  absent = 0,  ///< never created
  live = 1,
  deleted = 2,  ///< its revision lives on, so that a session created again continues it
};

/// Copying copies pointers; a copy never changes.
struct session_state {
  lifecycle status = lifecycle::absent;
  std::uint64_t revision = 0;  ///< counts committed changes: 1, 2, 3 ...
  timestamp created;
  timestamp last_activity;  ///< moved by changes, never by reads
  std::string user;
  value metadata = value::map({});
  std::uint64_t last_seq = 0;
  std::uint64_t bytes = 0;  ///< payload held: items, keys and values
  persistent_vector<history_item> items;
  persistent_map<std::string, state_entry> entries;

  [[nodiscard]] bool live() const noexcept { return status == lifecycle::live; }
};

bool operator==(const session_state& a, const session_state& b);

// Commands
// -----------------------------------------------------------------------------------------------------------

/// Creates the session, or finds it (unless `only_if_absent`: then `already_exists`). Finding it
/// changes nothing.
struct create_session {
  std::string user;
  value metadata = value::map({});
  bool only_if_absent = false;
};

/// Deletes the session: its content is gone from every read. `not_found` where there is none.
struct delete_session {};

/// Appends items in their order, all or none. At least one; each a map without `seq` and `at`.
struct append_items {
  std::vector<value> items;
};

struct set_key {
  std::string key;
  value data;
};
struct delete_key {
  std::string key;
};
using state_op = std::variant<set_key, delete_key>;

/// Applies operations in order, all or none. Setting an equal value and deleting a missing key
/// change nothing.
struct patch_state {
  std::vector<state_op> ops;
};

/// JSON merge patch (RFC 7396) over the key-value state: null deletes, maps merge, all else
/// replaces.
struct merge_state {
  value patch;  ///< a map
};

using session_command =
    std::variant<create_session, delete_session, append_items, patch_state, merge_state>;

// Events: what is written to the journal. Numbers stand on disk.
// ---------------------------------------------------

struct session_created {
  static constexpr std::uint8_t number = 1;
  std::string user;
  value metadata;
};
struct session_deleted {
  static constexpr std::uint8_t number = 2;
};
struct items_appended {
  static constexpr std::uint8_t number = 3;
  std::uint64_t first_seq = 0;
  std::vector<value> items;
};
struct key_set {
  static constexpr std::uint8_t number = 4;
  std::string key;
  value data;
};
struct key_deleted {
  static constexpr std::uint8_t number = 5;
  std::string key;
};

using session_event =
    std::variant<session_created, session_deleted, items_appended, key_set, key_deleted>;

/// What one command did: one revision, one record in the journal, all of it or nothing.
struct change {
  std::uint64_t revision = 0;
  timestamp at;
  std::vector<session_event> events;
};

/// What the caller of a command learns.
struct outcome {
  std::uint64_t revision = 0;  ///< after the command
  bool changed = false;        ///< false: everything was already so, and no revision was spent
  bool created = false;
  std::uint64_t first_seq = 0;  ///< of the appended items, else 0
  std::uint64_t last_seq = 0;

  friend bool operator==(const outcome&, const outcome&) = default;
};

/// An outcome together with the state that it is the outcome of; shared and immutable.
struct command_result : outcome {
  std::shared_ptr<const session_state> state;  ///< committed, right behind this command
};

struct decision {
  change what;  ///< without events when nothing is to change
  outcome answer;
};

inline constexpr std::size_t max_items_per_append = 1'000;  // then: too_many_elements
inline constexpr std::size_t max_value_bytes =
    256 << 10;  // of one item or state value; then: too_large
inline constexpr std::size_t max_session_bytes =
    8 << 20;                                       // items, keys, values; then: quota_exceeded
inline constexpr std::size_t max_key_bytes = 256;  // then: bad_id

/// Decides what a command means for a state, without changing anything.
/// Errors: `not_found` (no live session), `already_exists`, `revision_conflict` (with the current
/// revision), `wrong_type`, `invalid_value`, `reserved_field`, `too_large`, `too_deep`,
/// `too_many_elements`, `quota_exceeded`, `malformed`, `bad_id`; each with a path into the command
/// where there is one.
expected<decision> decide(const session_state& state, const session_command& command, timestamp now,
                          std::optional<std::uint64_t> expected_revision = {});

/// The state after a change. Total: a change that was decided, or read back from the journal,
/// always applies.
session_state evolve(session_state state, const change& what);

}  // namespace troupe
