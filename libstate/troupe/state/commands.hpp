#pragma once

#include <troupe/state/change.hpp>
#include <troupe/state/entity.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// Everything that can be asked of an entity. Operations are data; `decide` (decide.hpp) says what
/// they mean. Unless an operation says otherwise, asking for what is already so changes nothing.
namespace troupe {

// Every scope
// ------------------------------------------------------------------------------------------------

/// Creates the entity, or finds it (unless `only_if_absent`: then `already_exists`). Finding it
/// changes nothing. A principal that is not trusted creates only what is its own or nobody's.
struct create {
  entity_info info{};
  bool only_if_absent = false;
};

/// Deletes the entity: its content is gone from every read. `not_found` where there is none.
struct erase {};

/// Changes the description; what is not given stays.
struct update_info {
  std::optional<value> metadata_patch{};  ///< a map, merged (RFC 7396) key by key
  std::optional<std::vector<std::string>> tags{};
  std::optional<std::vector<share>> shares{};     ///< from here on the owner's only
  std::optional<std::string> workflow{}, team{};  ///< empty: no parent
  std::optional<std::uint64_t> ttl_ms{};          ///< 0: never
  std::optional<policy> limits{};                 ///< replaces the whole policy
};

struct set_key {
  std::string key{};
  value data{};
  std::optional<std::uint64_t> ttl_ms{};  ///< from now; 0 or none: for ever
  std::optional<std::uint64_t>
      expected_revision{};  ///< of the key, 0: it is absent; else `cas_mismatch`
};
struct delete_key {
  std::string key{};
  std::optional<std::uint64_t> expected_revision{};
};
/// Adds to a number; an absent key counts as 0. Integers stay integers and do not wrap
/// (`invalid_value`); a sum with a real is a real.
struct add_to {
  std::string key{};
  value by{};
};
/// Appends those elements that the array does not hold yet; an absent key counts as [].
struct union_with {
  std::string key{};
  std::vector<value> values{};
};
struct append_to {
  std::string key{};
  std::vector<value> values{};
};
/// Sets the key if it holds `expected` (none: is absent), else `cas_mismatch`. A time to live goes
/// on, as with every operation but `set_key`.
struct compare_and_set {
  std::string key{};
  std::optional<value> expected{};
  value data{};
};
using state_op = std::variant<set_key, delete_key, add_to, union_with, append_to, compare_and_set>;

/// Applies operations to the key-value state in order, all or none.
struct patch_state {
  std::vector<state_op> ops{};
};
/// JSON merge patch (RFC 7396) over the key-value state: null deletes, maps merge, all else
/// replaces.
struct merge_state {
  value patch{};  ///< a map
};
struct clear_state {};

/// Removes what has expired from every section. Reads do not need it; memory does.
struct drop_expired {};

/// Rewrites the state in the newest version of its schema (see schema.hpp).
struct migrate_state {};

// Versions (every scope)
// ------------------------------------------------------------------------------------------------
// Undo, redo, restore and merge are a command of their own (`malformed`). The first three also
// begin loop detection anew. Keys that have expired neither come back nor count as a difference.

/// Pins the current revision under an id. `already_exists` if the id is taken.
struct create_checkpoint {
  std::string id{};
  std::string name{};
  std::vector<std::string> tags{};
  value metadata = value::map({});
};
struct delete_checkpoint {
  std::string id{};
};
/// Content goes back by so many changes of content; a new revision, nothing is destroyed.
/// `nothing_to_undo` when there are fewer, `revision_gone` when they are not kept.
struct undo {
  std::uint64_t steps = 1;
};
/// The reverse; possible until content is changed otherwise.
struct redo {
  std::uint64_t steps = 1;
};
/// Content becomes that of a kept revision or of a checkpoint. `revision_gone` also for what was
/// there before the entity was deleted and its id used again.
struct restore {
  std::variant<std::uint64_t, std::string> to{};
};
/// Begins this entity as a copy of another one: O(1), shares all of it.
struct fork_from {
  entity_ref parent{};
  /// The parent at the revision to fork at. The runtime finds it where it is null.
  std::shared_ptr<const entity_state> base{};
  std::uint64_t at = 0;  ///< where it is null: which revision; 0: the newest
};
enum class merge_strategy : std::uint8_t { refuse = 0, ours = 1, theirs = 2 };
/// Brings back what a fork changed since it was forked or last merged: new items follow ours in
/// their order, entries by key. Where both changed the same thing: `merge_conflict` with the list
/// in `error::details` and nothing merged, unless a strategy says who wins. What the fork removes
/// of items that an earlier merge brought over stays in the parent, where they have other numbers.
/// The runtime finds the states that are null.
struct merge_fork {
  entity_ref fork{};
  std::shared_ptr<const entity_state> base{};    ///< the fork at `merge_base(parent, fork)`
  std::shared_ptr<const entity_state> theirs{};  ///< the fork now
  merge_strategy strategy = merge_strategy::refuse;
};

// Session
// ------------------------------------------------------------------------------------------------

/// Appends items in their order, all or none. At least one; each a map without `seq` and `at`.
/// An item with role "user" begins a turn: loop detection starts anew.
struct append_items {
  std::vector<value> items{};
};
/// Removes the newest items. With `expected_last_seq`, only if that is the newest
/// (`tail_mismatch`).
struct pop_items {
  std::uint64_t count = 1;
  std::optional<std::uint64_t> expected_last_seq{};
};
struct clear_items {};
/// Forgets the oldest items so that `keep` are left, once there are more than `beyond`: those left
/// keep their numbers and times, and are written anew, so a `beyond` well above `keep` is cheaper.
struct drop_oldest_items {
  std::uint64_t keep = 0;
  std::uint64_t beyond = 0;  ///< less than `keep`: as `keep`
};

/// Adds to the token counters; never refused for the budget's sake. Always a change.
struct record_usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
};
/// Token counters begin anew; tool calls count on.
struct reset_usage {};

enum class todo_status : std::uint8_t { pending, in_progress, completed, cancelled };
enum class todo_priority : std::uint8_t { high, medium, low };
struct todo {
  std::string id{};
  std::string content{};
  todo_status status = todo_status::pending;
  todo_priority priority = todo_priority::medium;
  friend bool operator==(const todo&, const todo&) = default;
};
/// The list is exactly this, in this order.
struct put_todos {
  std::vector<todo> todos{};
};
/// Changes the todos with these ids, new ones come last; then removes some.
struct patch_todos {
  std::vector<todo> changed{};
  std::vector<std::string> removed{};
};

/// Notes a tool call and answers whether it repeats itself: `loop_limit` calls of the same tool
/// with equal arguments (whatever the order of keys) in a row. Calls marked read-only are noted,
/// and neither count nor interrupt. Always a change.
struct record_call {
  std::string tool{};
  value arguments{};
  bool read_only = false;
};
struct reset_calls {};

/// Notebook context. Variables map names to types; null removes one.
struct update_notebook {
  std::optional<std::string> id{};
  std::optional<std::uint64_t> cell_count{};
  value variables = value::map({});
  bool replace_variables = false;  ///< else merge
};

// Workflow
// ------------------------------------------------------------------------------------------------

enum class node_status : std::uint8_t { pending, running, done, failed, skipped };
struct node_definition {
  std::string id{};
  std::vector<std::string> after{};  ///< nodes that must be done or skipped before it starts
};
/// The graph is exactly this, in this order; nodes that stay keep their execution. Dependencies
/// exist and make no cycle (`invalid_value`).
struct define_nodes {
  std::vector<node_definition> nodes{};
};
/// Moves a node: pending or failed -> running (a new attempt) -> done or failed; pending or failed
/// -> skipped; running, failed or skipped -> pending. Else `invalid_transition`. Starting asks for
/// dependencies (`dependency_pending`) and for a workflow that is not cancelled (`cancelled`).
struct update_node {
  std::string id{};
  node_status status = node_status::running;
  std::optional<value> result{};  ///< with `done` or `failed`
};
/// No node starts until `resume_workflow`; what runs may still report.
struct cancel_workflow {};
struct resume_workflow {};

// Team
// ------------------------------------------------------------------------------------------------

struct add_member {
  std::string name{};
  std::string role{};
};
/// Its cursor stays: a member that comes back goes on where it was.
struct remove_member {
  std::string name{};
};
/// Appends a message; both ends are members (`not_found`).
struct send_message {
  std::string from{};
  std::optional<std::string> to{};  ///< none: every other member
  value body{};
};
/// Everything up to `seq` was delivered to the member. A cursor never goes back.
struct acknowledge {
  std::string member{};
  std::uint64_t seq = 0;
};
/// Forgets the oldest messages, those that every member has: room for new ones.
struct drop_delivered {};

using operation =
    std::variant<create, erase, update_info, patch_state, merge_state, clear_state, drop_expired,
                 migrate_state, create_checkpoint, delete_checkpoint, undo, redo, restore,
                 fork_from, merge_fork, append_items, pop_items, clear_items, record_usage,
                 reset_usage, put_todos, patch_todos, record_call, reset_calls, update_notebook,
                 define_nodes, update_node, cancel_workflow, resume_workflow, add_member,
                 remove_member, send_message, acknowledge, drop_delivered, drop_oldest_items>;

// The envelope
// ------------------------------------------------------------------------------------------------

/// On whose behalf. A trusted principal (the host itself, an admin) may do everything; another one
/// reads and writes what it owns, what is shared with it and what has no owner. What it may not
/// read does not exist for it (`not_found`); what it may only read answers `forbidden`.
struct principal {
  std::string user{};
  bool trusted = false;

  static principal host() { return {.user = {}, .trusted = true}; }
  friend bool operator==(const principal&, const principal&) = default;
};

/// What an answer stands for; docs/state-model.md has the promises.
enum class durability : std::uint8_t { memory = 0, relaxed = 1, durable = 2 };

/// One request on its way to one entity: its operations apply in order, all or none, as one
/// revision.
struct command {
  entity_ref entity{};
  std::vector<operation> operations{};
  std::optional<std::uint64_t> expected_revision{};  ///< else `revision_conflict`
  principal by = principal::host();
  std::optional<idempotency> once{};
  durability level = durability::durable;
};

// Limits, each beside its reaction; those of whole sections stand in their table
// ------------------------------------------------------------------------------------------------

inline constexpr std::size_t max_items_per_append = 1'000;  // then: too_many_elements
inline constexpr std::size_t max_value_bytes = 256 << 10;   // of one value given; then: too_large
inline constexpr std::size_t max_entity_bytes = 8 << 20;    // items, keys, values; quota_exceeded
inline constexpr std::size_t max_key_bytes = 256;           // then: bad_id
inline constexpr std::uint64_t max_number = INT64_MAX;      // revision or item; quota_exceeded
inline constexpr std::size_t max_operations = 1'000;        // of one command; too_many_elements
inline constexpr std::size_t max_calls_kept = 64;     // then: the oldest but the last that counts
inline constexpr std::size_t max_state_ops = 10'000;  // of one patch_state; too_many_elements
inline constexpr std::size_t max_change_bytes = 32 << 20;  // of one command's events; too_large
inline constexpr std::size_t max_checkpoints = 1'000;      // made by hand, kept; too_many_elements
inline constexpr std::size_t max_body_hash_bytes = 64;     // then: too_large
inline constexpr std::size_t max_redo = 1'000;             // then: the oldest is forgotten

}  // namespace troupe
