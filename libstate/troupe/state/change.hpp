#pragma once

#include <troupe/state/entity.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// What happened to an entity. A few primitive events are enough for every scope; rules live in the
/// commands that decide them. Numbers stand on disk.
namespace troupe {

/// The entity begins, empty; what it begins with follows as entries.
struct entity_created {
  static constexpr std::uint8_t number = 1;
  entity_kind kind = entity_kind::session;
  value user{};  ///< the owner's id, or null
};

/// All of it is gone from every read.
struct entity_deleted {
  static constexpr std::uint8_t number = 2;
};

/// New items at the end, numbered from `first_seq` on, at the time of the change.
struct items_appended {
  static constexpr std::uint8_t number = 3;
  std::uint64_t first_seq = 0;
  std::vector<value> items{};
};

/// The tail behind the first `keep` items is gone.
struct items_removed {
  static constexpr std::uint8_t number = 4;
  std::uint64_t keep = 0;
  std::uint64_t removed = 0;
};

struct kept_item {
  std::uint64_t seq = 0;
  timestamp at{};
  value fields{};
};

/// Items that existed before come (back) to the end, with the numbers and times given.
struct items_restored {
  static constexpr std::uint8_t number = 5;
  std::vector<kept_item> items{};
};

struct entry_set {
  static constexpr std::uint8_t number = 6;
  section in = section::state;
  std::string key{};
  value data{};
  timestamp expires{};
};

struct entry_erased {
  static constexpr std::uint8_t number = 7;
  section in = section::state;
  std::string key{};
  bool expired = false;  ///< its time had come: no change of content, and no activity
};

/// A section has no entries any more.
struct section_cleared {
  static constexpr std::uint8_t number = 11;
  section in = section::state;
};

/// The entity begins as a copy of another one at a revision. It applies to that state, and so the
/// parent must be at hand where a fork's journal is replayed from its beginning.
struct entity_forked {
  static constexpr std::uint8_t number = 8;
  /// Never null in what is decided or read. `evolve` takes a null one for no fork: the entity
  /// begins with no lineage. `encode` throws std::logic_error, as the format has no such event.
  std::shared_ptr<const lineage> from{};
  value user{};  ///< the owner's id, or null
};

enum class revert_cause : std::uint8_t { undo = 1, redo = 2, restore = 3 };

/// Content went back (or forward) to that of a revision; the events beside it say by which steps.
struct content_reverted {
  static constexpr std::uint8_t number = 9;
  revert_cause cause = revert_cause::undo;
  std::uint64_t to = 0;
  value redo{};  ///< what redo can go to from here: array of revisions, or null
};

/// A fork's changes came back; the events beside it are those changes.
struct fork_merged {
  static constexpr std::uint8_t number = 10;
  entity_ref fork{};
  std::uint64_t revision = 0;  ///< of the fork
};

using event = std::variant<entity_created, entity_deleted, items_appended, items_removed,
                           items_restored, entry_set, entry_erased, section_cleared, entity_forked,
                           content_reverted, fork_merged>;

/// What subscribers and filters call an event: "items_appended", "state_set", "todos_erased", ...
[[nodiscard]] std::string name_of(const event& what);

/// Who asked, so that a repeat with the same key gets the same answer; kept with the effect.
struct idempotency {
  std::string principal{};
  std::string key{};
  std::string body_hash{};  ///< of the request; another one under the same key is a mistake
  friend bool operator==(const idempotency&, const idempotency&) = default;
};

/// One revision and one record in the journal: all of it or nothing.
struct change {
  std::uint64_t revision = 0;
  timestamp at{};
  std::vector<event> events{};  ///< none: nothing changed and no revision was spent
  std::optional<idempotency> asked_by{};
  value extra{};  ///< fields of a newer minor version: kept as they are
};

/// The state after a change. Total and deterministic: every change gives a state, and replaying the
/// same changes gives byte-equal snapshots.
[[nodiscard]] entity_state evolve(entity_state state, const change& what);

/// Applies one event of a change; `evolve` is this for each, then the revision. For those who build
/// a change step by step.
void apply(entity_state& state, const event& what, std::uint64_t revision, timestamp at);
/// Ends a change that `apply` began.
void finish(entity_state& state, const change& what);

}  // namespace troupe
