#pragma once

#include <troupe/state/history.hpp>
#include <troupe/state/ids.hpp>
#include <troupe/state/persistent_map.hpp>
#include <troupe/state/sections.hpp>
#include <troupe/state/time.hpp>
#include <troupe/state/value.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// One entity of any scope as a value: a session, workflow, team, user or the global scope. Its id
/// is the name it is kept under (`entity_ref`), not a part of it.
namespace troupe {

enum class lifecycle : std::uint8_t {
  absent = 0,  ///< never created
  live = 1,
  deleted = 2,  ///< its revision lives on, so that an entity created again continues it
};

struct entry {
  value data{};
  std::uint64_t revision = 0;  ///< of the entity (in a fork maybe of its parent) that wrote it last
  timestamp expires{};         ///< 0: never; from then on reads take the entry for absent

  [[nodiscard]] bool live(timestamp now) const noexcept { return expires.ms == 0 || now < expires; }
  friend bool operator==(const entry&, const entry&) = default;
};

/// Where a fork comes from.
struct lineage {
  entity_ref parent{};
  std::uint64_t at = 0;  ///< the parent's revision
  friend bool operator==(const lineage&, const lineage&) = default;
};

/// Copying copies pointers, whatever the size; a copy never changes and shares what did not change.
struct entity_state {
  lifecycle status = lifecycle::absent;
  entity_kind kind = entity_kind::session;
  std::uint64_t revision = 0;  ///< counts committed changes: 1, 2, 3 ...
  /// The one that created it: 1, unless the id was used before; a fork counts on from its parent.
  std::uint64_t first_revision = 0;
  /// The revision whose content this is: the last change of content, or what an undo went back to.
  std::uint64_t content_revision = 0;
  timestamp created{};
  timestamp last_activity{};      ///< moved by changes, never by reads
  std::uint64_t last_seq = 0;     ///< of the newest item since it began; never given again
  std::uint64_t entry_bytes = 0;  ///< keys and values of `entries`
  std::uint64_t own_bytes = 0;    ///< of `own`
  value user{};                   ///< the owner's id, or null; read it by `user_of`
  history items{};                ///< of a session its turns, of a team its messages
  persistent_map<std::string, entry> entries{};  ///< by `entry_key`: sections that forks copy
  persistent_map<std::string, entry> own{};      ///< and those that they begin without
  std::shared_ptr<const lineage> forked_from{};  ///< null when it is no fork
  value redo{};   ///< array of content revisions that redo goes to, or null
  value extra{};  ///< a snapshot's fields of a newer minor version, kept as they are

  [[nodiscard]] bool live() const noexcept { return status == lifecycle::live; }
  /// Payload held: items, keys and values.
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return items.bytes() + entry_bytes + own_bytes;
  }

  /// The map that holds a section.
  [[nodiscard]] const persistent_map<std::string, entry>& entries_of(section in) const noexcept {
    return rules_of(in).forks ? entries : own;
  }
  [[nodiscard]] persistent_map<std::string, entry>& entries_of(section in) noexcept {
    return rules_of(in).forks ? entries : own;
  }
};

bool operator==(const entity_state& a, const entity_state& b);

/// True if both hold the same items and the same entries in every section that reverts; revisions
/// do not count. Cost follows the difference where both share structure.
[[nodiscard]] bool same_content(const entity_state& a, const entity_state& b);

/// As stored: a schema's migrations are applied by `schema_registry::read` alone.
/// Null when the key is not there or has expired. Good as long as a copy holds the entry.
[[nodiscard]] const entry* find(const entity_state& state, section in, std::string_view key,
                                timestamp now);

/// Calls `visit(std::string_view key, const entry&)` for each unexpired entry, in order of keys.
template <class F>
void for_each_entry(const entity_state& state, section in, timestamp now, F&& visit) {
  const auto& entries = state.entries_of(in);
  for (auto at = entries.lower_bound(entry_key{in, ""}); at != entries.end(); ++at) {
    if (section_of(at->first) != in)
      return;
    if (at->second.live(now))
      visit(key_of(at->first), at->second);
  }
}

/// Calls `visit(const std::string& stored_key, const entry&)` for every entry there is, expired
/// ones included, by section and key.
template <class F>
void for_each_stored_entry(const entity_state& state, F&& visit) {
  for (const auto& rules : all_sections) {
    const auto& entries = state.entries_of(rules.id);
    for (auto at = entries.lower_bound(entry_key{rules.id, ""});
         at != entries.end() && section_of(at->first) == rules.id; ++at)
      visit(at->first, at->second);
  }
}

/// Calls `visit(const std::string& stored_key, const entry* before, const entry* after)` for each
/// entry that differs, expired ones included. What both share is skipped.
template <class F>
void for_each_entry_difference(const entity_state& before, const entity_state& after, F&& visit) {
  for_each_difference(before.entries, after.entries, visit);
  for_each_difference(before.own, after.own, visit);
}

[[nodiscard]] std::size_t count_entries(const entity_state& state, section in, timestamp now);

/// A section's unexpired entries as one map.
[[nodiscard]] value section_as_map(const entity_state& state, section in, timestamp now);

// What every scope knows about itself
// ------------------------------------------------------------------------------------------------

/// Names a schema that a scope's state follows; see schema.hpp.
struct schema_id {
  std::string id{};
  std::uint32_t version = 0;
  friend bool operator==(const schema_id&, const schema_id&) = default;
};

/// Limits and habits of one scope. What is not set is taken from the scope above, in the order of
/// `inherit`, and from the defaults at last.
struct policy {
  std::optional<std::uint64_t> loop_limit{};         ///< default 5 equal calls in a row
  std::optional<std::uint64_t> token_budget{};       ///< default none; reported, never enforced
  std::optional<std::uint64_t> checkpoint_every{};   ///< tool calls; default 0: no automatic ones
  std::optional<std::uint64_t> keep_checkpoints{};   ///< automatic ones; default 50
  std::optional<std::uint64_t> keep_revisions{};     ///< beside the current; 100, at most 10,000
  std::optional<std::uint64_t> keep_revisions_ms{};  ///< and none older than that; default no bound
  friend bool operator==(const policy&, const policy&) = default;
};

inline constexpr std::uint64_t default_loop_limit = 5;
inline constexpr std::uint64_t default_keep_checkpoints = 50;
inline constexpr std::uint64_t default_keep_revisions = 100;

/// What `a` says, and what `b` says where `a` is silent.
[[nodiscard]] policy overlay(const policy& a, const policy& b);

enum class access : std::uint8_t { read = 1, write = 2 };
struct share {
  std::string user{};
  access allowed = access::read;
  friend bool operator==(const share&, const share&) = default;
};

/// The owner's description of an entity: given at its creation, read back at any time.
struct entity_info {
  std::string user{};      ///< the owner; empty: open to every principal of the namespace
  std::string workflow{};  ///< ids of the parents it inherits from; empty: none
  std::string team{};
  std::string placement{};   ///< empty: its own id
  std::uint64_t ttl_ms = 0;  ///< idle time after which it may be deleted; 0: never
  std::optional<schema_id> schema{};
  policy limits{};
  value metadata = value::map({});
  std::vector<std::string> tags{};
  std::vector<share> shares{};
  std::optional<lineage> forked_from{};
  friend bool operator==(const entity_info&, const entity_info&) = default;
};

[[nodiscard]] entity_info info_of(const entity_state& state);
/// Single facts, without building the rest.
[[nodiscard]] std::string_view user_of(const entity_state& state);
[[nodiscard]] policy policy_of(const entity_state& state);
[[nodiscard]] std::optional<lineage> lineage_of(const entity_state& state);
/// Version 0, which no registry reads, where what is stored is no version.
[[nodiscard]] std::optional<schema_id> schema_of(const entity_state& state);

/// Keys of `section::info`. They stand on disk.
namespace info_key {
inline constexpr std::string_view workflow = "workflow", team = "team", placement = "placement",
                                  ttl_ms = "ttl_ms", policy = "policy";
}  // namespace info_key

}  // namespace troupe
