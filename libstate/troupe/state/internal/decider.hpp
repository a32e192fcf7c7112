#pragma once

/// One command while it is decided. Not installed. The operations are spread over decide_*.cpp by
/// the kind of entity they belong to; what they share stands here.

#include <troupe/state/decide.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::internal {

/// About what an event takes in the journal and in memory.
[[nodiscard]] std::size_t size_of(const event& what);

struct decider {
  const command& request;
  const decide_context& context;
  decision& out;
  std::size_t bytes = 0;  // of the events

  [[nodiscard]] timestamp now() const { return context.now; }
  [[nodiscard]] std::uint64_t revision() const { return out.what.revision; }

  /// Takes an event up into the change and applies it, so that what follows sees it.
  void emit(event what) {
    bytes += size_of(what);
    if (bytes > max_change_bytes)
      return;  // `decide` refuses the command; until then it takes no more memory
    apply(out.next, what, out.what.revision, context.now);
    out.what.events.push_back(std::move(what));
  }

  [[nodiscard]] const entry* find(section in, std::string_view key) const {
    return troupe::find(out.next, in, key, context.now);
  }
  /// Unless the key holds an equal value with the same expiry.
  void set(section in, std::string_view key, value data, timestamp expires = {}) {
    const auto* old = find(in, key);
    if (!old || !(old->data == data) || old->expires != expires)
      emit(entry_set{in, std::string{key}, std::move(data), expires});
  }
  void erase_key(section in, std::string_view key) {
    if (find(in, key))
      emit(entry_erased{in, std::string{key}});
  }
  void clear(section in) {
    if (troupe::count_entries(out.next, in, now()) > 0)
      emit(section_cleared{in});
  }
  /// Makes a section hold exactly these entries.
  void replace(section in, const std::vector<std::pair<std::string, value>>& entries);

  /// `wrong_scope` unless this kind of entity has the section.
  [[nodiscard]] expected<void> need(section in) const;
  [[nodiscard]] policy limits() const { return overlay(policy_of(out.next), context.inherited); }

  // Every scope: decide_state.cpp
  expected<void> operator()(const create&);
  expected<void> operator()(const erase&);
  expected<void> operator()(const update_info&);
  expected<void> operator()(const patch_state&);
  expected<void> operator()(const merge_state&);
  expected<void> operator()(const clear_state&);
  expected<void> operator()(const drop_expired&);
  expected<void> operator()(const migrate_state&);
  // Versions: decide_versions.cpp
  expected<void> operator()(const create_checkpoint&);
  expected<void> operator()(const delete_checkpoint&);
  expected<void> operator()(const undo&);
  expected<void> operator()(const redo&);
  expected<void> operator()(const restore&);
  expected<void> operator()(const fork_from&);
  expected<void> operator()(const merge_fork&);
  // Session: decide_session.cpp
  expected<void> operator()(const append_items&);
  expected<void> operator()(const pop_items&);
  expected<void> operator()(const clear_items&);
  expected<void> operator()(const drop_oldest_items&);
  /// What comes before the item at `first` is gone; the rest keeps numbers and times.
  void forget_items_before(std::size_t first);
  expected<void> operator()(const record_usage&);
  expected<void> operator()(const reset_usage&);
  expected<void> operator()(const put_todos&);
  expected<void> operator()(const patch_todos&);
  expected<void> operator()(const record_call&);
  expected<void> operator()(const reset_calls&);
  expected<void> operator()(const update_notebook&);
  /// Every N tool calls, when the policy says so.
  void checkpoint_automatically(std::uint64_t calls);
  // Workflow and team: decide_scopes.cpp
  expected<void> operator()(const define_nodes&);
  expected<void> operator()(const update_node&);
  expected<void> operator()(const cancel_workflow&);
  expected<void> operator()(const resume_workflow&);
  expected<void> operator()(const add_member&);
  expected<void> operator()(const remove_member&);
  expected<void> operator()(const send_message&);
  expected<void> operator()(const acknowledge&);
  expected<void> operator()(const drop_delivered&);
};

[[nodiscard]] unexpected refuse_beyond(errc code, std::string message, std::uint64_t limit,
                                       std::string path = {});

/// What is kept must be readable by every reader. Values from JSON and msgpack were checked before;
/// a C++ host can build others. Errors: `too_large`, `too_deep`, `invalid_value`.
expected<void> check_value(const value& data, std::string path);
/// A map, beyond the above; `what` is what the error calls it. Errors: `wrong_type`.
expected<void> check_map(std::string_view what, const value& data, std::string path);
/// Ids are ids and stand once, dependencies exist and make no cycle (Kahn 1962). Errors:
/// `invalid_value`, `bad_id`, `too_many_elements`.
expected<void> check_graph(const std::vector<node_definition>& nodes);
/// Any UTF-8 of at most 256 bytes. Errors: `bad_id`.
expected<void> check_key(std::string_view key, std::string path = {});
/// An id (see `checked_id`) with the path of where it stood.
expected<void> check_name(std::string_view id, std::string path);
/// A text of at most 64 KiB of UTF-8.
expected<void> check_text(std::string_view text, std::string path);

/// "/a/b" from its steps, escaped.
[[nodiscard]] std::string pointer(std::initializer_list<std::string_view> steps);

[[nodiscard]] value text_array(const std::vector<std::string>& texts);
/// Null for nobody.
[[nodiscard]] value owner_value(std::string_view user);
[[nodiscard]] value policy_value(const policy& limits);

}  // namespace troupe::internal
