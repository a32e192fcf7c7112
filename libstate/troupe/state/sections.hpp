#pragma once

#include <troupe/state/ids.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

/// What an entity holds besides its history: named sections of key-value entries, all kept in one
/// map. One table says what is true of each section; diff, undo, fork, merge, codec and export
/// follow it and know no section by name.
namespace troupe {

/// Numbers stand on disk.
enum class section : std::uint8_t {
  info = 1,          ///< user, parents, placement, ttl, lineage, policy
  metadata = 2,      ///< any fields the owner wants to list and filter by
  tags = 3,          ///< tag -> true
  shares = 4,        ///< user -> "read" or "write"
  state = 5,         ///< the user's key-value state
  variables = 6,     ///< notebook variables: name -> type
  notebook = 7,      ///< id, cell_count
  todos = 8,         ///< todo id -> {position, content, status, priority}
  nodes = 9,         ///< workflow node id -> its definition and execution
  members = 10,      ///< team member -> role
  cursors = 11,      ///< team member -> sequence number up to which messages were delivered
  run = 12,          ///< "cancelled" -> true while a workflow is
  usage = 13,        ///< token and tool-call counters
  calls = 14,        ///< the turn's tool calls, for loop detection
  checkpoints = 15,  ///< checkpoint id -> what was pinned
  merges = 16,       ///< id of a fork -> its revision that was merged last
  schema = 17,       ///< "id" -> [schema id, version] that the state follows
};

struct section_rules {
  section id;
  std::string_view name;
  std::uint8_t scopes;  ///< bit `1 << entity_kind` for each scope that has it
  bool reverts;         ///< undo, redo and restore bring it back: it is content
  bool forks;           ///< a fork begins with a copy of it
  bool merges;          ///< a merge brings its changes back to the parent
  bool activity;        ///< changing it moves `last_activity`
  std::size_t most;     ///< entries that a command may leave in it; then: `too_many_elements`
};

inline constexpr std::size_t max_entries = 100'000;  // of one entity; then: quota_exceeded
inline constexpr std::size_t max_tags = 64;  // of one entity or checkpoint; too_many_elements

namespace internal {
constexpr std::uint8_t in(entity_kind kind) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(kind));
}
inline constexpr std::uint8_t everywhere = 0x3e;
inline constexpr std::uint8_t in_session = in(entity_kind::session);
inline constexpr std::uint8_t in_workflow = in(entity_kind::workflow);
inline constexpr std::uint8_t in_team = in(entity_kind::team);
}  // namespace internal

// clang-format off
inline constexpr std::array<section_rules, 17> all_sections{{
    //                    name           scopes                 reverts forks  merges activity most
    {section::info,        "info",        internal::everywhere,  false, true,  false, true, max_entries},
    {section::metadata,    "metadata",    internal::everywhere,  true,  true,  true,  true, max_entries},
    {section::tags,        "tags",        internal::everywhere,  false, true,  false, true, max_tags},
    {section::shares,      "shares",      internal::everywhere,  false, false, false, true, max_tags},
    {section::state,       "state",       internal::everywhere,  true,  true,  true,  true, max_entries},
    {section::variables,   "variables",   internal::in_session,  true,  true,  true,  true, max_entries},
    {section::notebook,    "notebook",    internal::in_session,  true,  true,  true,  true, max_entries},
    {section::todos,       "todos",       internal::in_session,  true,  true,  true,  true, 1'000},
    {section::nodes,       "nodes",       internal::in_workflow, true,  true,  true,  true, 1'000},
    {section::members,     "members",     internal::in_team,     true,  true,  true,  true, 1'000},
    {section::cursors,     "cursors",     internal::in_team,     false, true,  false, true, max_entries},
    {section::run,         "run",         internal::in_workflow, true,  false, false, true, max_entries},
    {section::usage,       "usage",       internal::in_session,  false, false, false, true, max_entries},
    {section::calls,       "calls",       internal::in_session,  false, false, false, true, max_entries},
    {section::checkpoints, "checkpoints", internal::everywhere,  false, false, false, false, max_entries},
    {section::merges,      "merges",      internal::everywhere,  true,  false, false, true, max_entries},
    {section::schema,      "schema",      internal::everywhere,  true,  true,  false, true, max_entries},
}};
// clang-format on

/// REQUIRES: a section of the enum.
[[nodiscard]] constexpr const section_rules& rules_of(section id) noexcept {
  return all_sections[static_cast<std::size_t>(id) - 1];
}

[[nodiscard]] constexpr bool is_section(std::uint64_t number) noexcept {
  return number >= 1 && number <= all_sections.size();
}

[[nodiscard]] constexpr bool has_section(entity_kind kind, section id) noexcept {
  return (rules_of(id).scopes & internal::in(kind)) != 0;
}

/// Where an entry stands in the one map: the section's number as a byte, then the key. Built
/// without heap, to look up.
class entry_key {
public:
  entry_key(section id, std::string_view key) noexcept;
  operator std::string_view() const noexcept { return {text_.data(), size_}; }
  [[nodiscard]] std::string str() const { return std::string{std::string_view{*this}}; }

private:
  std::array<char, 640> text_;  // no command takes a key of more than 256
  std::size_t size_;
};

[[nodiscard]] inline section section_of(std::string_view stored) noexcept {
  return static_cast<section>(stored.front());
}
[[nodiscard]] inline std::string_view key_of(std::string_view stored) noexcept {
  return stored.substr(1);
}

}  // namespace troupe
