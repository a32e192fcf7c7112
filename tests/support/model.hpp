#pragma once

/// The rules of every scope written again in the plainest way, from what the headers promise: maps
/// and vectors, deep copies of whole past states, everything looked at each time. It knows nothing
/// of sections, events, packed histories or shared structure.

#include <troupe/state/commands.hpp>
#include <troupe/state/decide.hpp>
#include <troupe/state/session.hpp>
#include <troupe/state/team.hpp>
#include <troupe/state/versions.hpp>
#include <troupe/state/workflow.hpp>

#include "naive.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing::model {

struct cell {
  value data{};
  std::uint64_t revision = 0;
  timestamp expires{};
  [[nodiscard]] bool live(timestamp now) const { return expires.ms == 0 || now.ms < expires.ms; }
};

struct item {
  std::uint64_t seq = 0;
  timestamp at{};
  value fields{};
  friend bool operator==(const item&, const item&) = default;
};

struct placed_todo {
  std::uint64_t position = 0;
  todo what{};
  friend bool operator==(const placed_todo&, const placed_todo&) = default;
};

struct placed_node {
  std::uint64_t position = 0;
  node what{};
  friend bool operator==(const placed_node&, const placed_node&) = default;
};

struct call {
  std::uint64_t number = 0;
  std::string tool{};
  value arguments{};
  std::uint64_t count = 0;  // 0: it only read
  std::uint64_t limit = 0;
};

/// Everything an entity is. A copy is a deep one.
struct entity {
  lifecycle status = lifecycle::absent;
  entity_kind kind = entity_kind::session;
  std::uint64_t revision = 0, first_revision = 0, content_revision = 0, last_seq = 0;
  timestamp created{}, last_activity{};
  std::vector<std::uint64_t> redo{};

  // Description: a fork has it, undo leaves it.
  std::string user{}, workflow{}, team{}, placement{};
  std::uint64_t ttl_ms = 0;
  policy limits{};
  std::optional<lineage> forked_from{};
  std::set<std::string> tags{};
  std::map<std::string, std::uint64_t> cursors{};

  // Content: undo, fork and merge take it along.
  std::vector<item> items{};
  std::map<std::string, value> metadata{};
  std::map<std::string, cell> state{};
  std::map<std::string, value> variables{};
  std::optional<std::string> notebook_id{};
  std::optional<std::uint64_t> cell_count{};
  std::map<std::string, placed_todo> todos{};
  std::map<std::string, placed_node> nodes{};
  std::map<std::string, std::string> members{};

  // Content that a merge does not bring back; of these a fork begins with the schema only.
  bool cancelled = false;
  std::map<entity_ref, std::uint64_t> merges{};
  std::optional<schema_id> schema{};

  // Its own alone: a fork begins without, undo leaves it.
  std::map<std::string, access> shares{};
  std::optional<usage_report> tokens{};
  std::uint64_t tool_calls = 0;
  std::vector<call> calls{};
  std::map<std::string, checkpoint> checkpoints{};

  [[nodiscard]] bool live() const { return status == lifecycle::live; }
};

/// Whole past states by revision.
using past = std::map<std::uint64_t, std::shared_ptr<const entity>>;

/// What a command is decided with.
struct context {
  timestamp now{};
  policy inherited{};
  const past* kept = nullptr;
  const entity* base = nullptr;    ///< of a fork or merge
  const entity* theirs = nullptr;  ///< of a merge
};

struct reply {
  std::optional<errc> refused{};
  outcome answer{};
  std::vector<std::string> conflicts{};  ///< paths, with merge_conflict
};

/// Carries a command out; a refused one leaves everything.
[[nodiscard]] reply carry_out(entity& on, const command& what, const context& with);

[[nodiscard]] bool may(const entity& e, const entity_ref& ref, const principal& who, access wanted);

/// Which of the kept revisions are promised.
[[nodiscard]] std::set<std::uint64_t> promised(const std::map<std::uint64_t, timestamp>& kept,
                                               const entity& current, const retention& keep,
                                               timestamp now,
                                               const std::vector<std::uint64_t>& fork_bases);

/// What an entity says itself, and what the scopes above say where it is silent.
[[nodiscard]] policy rules_of(const entity& e, const policy& inherited);

/// The fork's revision that the next merge starts from.
[[nodiscard]] std::uint64_t merge_base(const entity& parent, const entity_ref& fork,
                                       const entity& fork_state);

// One command on its way
// ------------------------------------------------------------------------------------------------

using refusal = std::optional<errc>;

/// The operations, over one copy that is thrown away when one of them is refused.
struct doer {
  entity e{};
  const command& request;
  const context& with;
  outcome answer{};
  std::vector<std::string> conflicts{};
  std::uint64_t revision = 0;  // that this command would make
  bool changed = false, content = false, activity = false;
  bool stepped = false;  // an undo or redo: it said itself which content this is

  refusal operator()(const create& op);
  refusal operator()(const erase& op);
  refusal operator()(const update_info& op);
  refusal operator()(const patch_state& op);
  refusal operator()(const merge_state& op);
  refusal operator()(const clear_state& op);
  refusal operator()(const drop_expired& op);
  refusal operator()(const migrate_state& op);
  refusal operator()(const create_checkpoint& op);
  refusal operator()(const delete_checkpoint& op);
  refusal operator()(const undo& op);
  refusal operator()(const redo& op);
  refusal operator()(const restore& op);
  refusal operator()(const fork_from& op);
  refusal operator()(const merge_fork& op);
  refusal operator()(const append_items& op);
  refusal operator()(const pop_items& op);
  refusal operator()(const clear_items& op);
  refusal operator()(const drop_oldest_items& op);
  refusal operator()(const record_usage& op);
  refusal operator()(const reset_usage& op);
  refusal operator()(const put_todos& op);
  refusal operator()(const patch_todos& op);
  refusal operator()(const record_call& op);
  refusal operator()(const reset_calls& op);
  refusal operator()(const update_notebook& op);
  refusal operator()(const define_nodes& op);
  refusal operator()(const update_node& op);
  refusal operator()(const cancel_workflow& op);
  refusal operator()(const resume_workflow& op);
  refusal operator()(const add_member& op);
  refusal operator()(const remove_member& op);
  refusal operator()(const send_message& op);
  refusal operator()(const acknowledge& op);
  refusal operator()(const drop_delivered& op);

  void touch_content() { changed = content = activity = true; }
  void touch() { changed = activity = true; }  // activity, no content
  void touch_quietly() { changed = true; }

  /// Assigns what differs; `touched` then says what kind of change that was.
  template <class T>
  void assign(T& field, T wanted, void (doer::*touched)()) {
    if (!(field == wanted)) {
      field = std::move(wanted);
      (this->*touched)();
    }
  }
  template <class Map>
  void put(Map& map, const std::string& key, typename Map::mapped_type data,
           void (doer::*touched)()) {
    const auto at = map.find(key);
    if (at != map.end() && at->second == data)
      return;
    map.insert_or_assign(key, std::move(data));
    (this->*touched)();
  }
  template <class Map>
  void remove(Map& map, const std::string& key, void (doer::*touched)()) {
    if (map.erase(key) > 0)
      (this->*touched)();
  }

  refusal set_name(std::string& field, const std::string& wanted);
  refusal set_policy(const policy& wanted);
  refusal set_tags(const std::vector<std::string>& wanted);
  refusal set_shares(const std::vector<share>& wanted);
  refusal patch_metadata(const value& patch);

  [[nodiscard]] const cell* held(const std::string& key) const;
  refusal put_state(const std::string& key, const value& data, timestamp expires);
  void erase_state(const std::string& key);
  refusal key_op(const state_op& op);
  refusal extend(const std::string& key, const std::vector<value>& added, bool once);

  [[nodiscard]] bool alone() const;
  [[nodiscard]] const entity* kept(std::uint64_t at) const;
  void become(const entity& target);
  void append(std::vector<value> added);
};

[[nodiscard]] refusal name_fault(const std::string& id);
/// Nodes that depend on none or on each other in a circle.
[[nodiscard]] refusal graph_fault(const std::vector<node_definition>& nodes);
[[nodiscard]] refusal key_fault(const std::string& key);
[[nodiscard]] refusal text_fault(const std::string& text);
/// Of what is to be kept: at most 256 KiB, 64 levels, and only what can be read back.
[[nodiscard]] refusal value_fault(value_view data);
[[nodiscard]] bool same_cell(const cell* a, const cell* b);
/// The cell, or null where it has expired or is not there.
[[nodiscard]] const cell* live_cell(const entity& e, const std::string& key, timestamp now);

}  // namespace troupe::testing::model
