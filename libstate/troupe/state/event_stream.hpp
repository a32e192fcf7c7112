#pragma once

#include <troupe/state/change.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// What subscribers get and how they say what they want: values and pure functions.
namespace troupe {

/// One committed change of one entity, with all its events. Shared by all who get it.
struct committed_change {
  entity_ref entity;
  change what;
  std::uint64_t epoch = 0;     ///< of ownership; a restart does not change it
  std::uint64_t position = 0;  ///< in the journal's commit order
  /// Of the changes that were made together at this position: 0, 1 ... of so many. In the stream of
  /// one entity always 0 of 1.
  std::uint32_t part = 0, parts = 1;
  std::size_t bytes = 0;  ///< as stored
};

/// Changes are missing here: read a state that is at least `revision`, and go on.
struct event_gap {
  enum class cause : std::uint8_t {
    not_kept,  ///< what came behind the cursor is gone, or the cursor is of another history
    slow,      ///< the subscriber was cut off, and nothing follows: subscribe again at `cursor`
  };
  cause why = cause::not_kept;
  std::uint64_t revision = 0;  ///< of the stream's entity; 0 in a stream of many
  std::string cursor{};        ///< the stream goes on behind this
};

struct event_delivery {
  std::variant<std::shared_ptr<const committed_change>, event_gap> what;
  std::string cursor;  ///< to subscribe behind this one
};

// Cursors ----------------------------------------------------------------------------------------

/// Where the stream of one entity stands: "1-42".
struct entity_cursor {
  std::uint64_t epoch = 0;
  std::uint64_t revision = 0;
  friend bool operator==(const entity_cursor&, const entity_cursor&) = default;
};

/// Where a stream of many entities stands: behind a position, and behind so many changes of the
/// next one, where those are a set. "s0-1-42" or "s0-1-42-3" for shard 0 in epoch 1; to clients it
/// is opaque, and there would be one such part for each shard.
struct stream_cursor {
  std::uint64_t epoch = 0;
  std::uint64_t position = 0;
  std::uint32_t parts = 0;
  friend bool operator==(const stream_cursor&, const stream_cursor&) = default;
};

/// absent: from now on.
using stream_start = std::variant<std::monostate, entity_cursor, stream_cursor>;

[[nodiscard]] std::string to_string(const entity_cursor& at);
[[nodiscard]] std::string to_string(const stream_cursor& at);
[[nodiscard]] entity_cursor entity_cursor_of(const committed_change& what);
[[nodiscard]] stream_cursor stream_cursor_of(const committed_change& what);

// Filters ----------------------------------------------------------------------------------------

/// Which changes a subscription gets: those of one namespace that every other field lets through.
struct event_filter {
  std::string name_space = "default";
  std::optional<entity_ref> entity{};  ///< one; absent: all. In `name_space`
  /// And those that name it as their workflow, team or user, before or after the change; of the
  /// global scope: all of the namespace.
  bool children = false;
  std::vector<entity_kind> kinds{};   ///< scopes; empty: all
  std::vector<std::string> events{};  ///< changes with one of these (`name_of`); empty: all

  /// The stream of one entity has `entity_cursor`s, any other `stream_cursor`s.
  [[nodiscard]] bool of_one() const noexcept { return entity && !children; }
};
inline constexpr std::size_t max_filter_events = 64;  // then: too_many_elements

/// The cursor a subscriber came with. Errors: `malformed` (none, or one of the other kind of
/// stream).
expected<stream_start> parse_cursor(const event_filter& filter, std::string_view text);

/// What is wrong with a filter. Errors: `bad_id`, `invalid_value` (children of a session, an entity
/// of another namespace), `too_many_elements`.
expected<void> check_filter(const event_filter& filter);

/// Whom an entity belongs to: ids, empty where there is none.
struct entity_parents {
  std::string user{}, workflow{}, team{};
  [[nodiscard]] bool has(const entity_ref& parent) const;
  friend bool operator==(const entity_parents&, const entity_parents&) = default;
};
[[nodiscard]] entity_parents parents_of(const entity_state& state);

/// Does the change make the parents anew, so that those before it say nothing of those after it?
[[nodiscard]] bool begins_entity(const change& what);
/// The parents after a change; absent: it does not say (a fork has its parent's).
[[nodiscard]] std::optional<entity_parents> follow(entity_parents before, const change& what);

/// By the entity alone; `children` are told by their parents.
[[nodiscard]] bool may_want(const event_filter& filter, const entity_ref& entity);
[[nodiscard]] bool wants_events(const event_filter& filter, const change& what);
/// REQUIRES: `filter.children`.
[[nodiscard]] bool wants_child(const event_filter& filter, const entity_ref& entity,
                               const entity_parents& before, const entity_parents& after);

}  // namespace troupe
