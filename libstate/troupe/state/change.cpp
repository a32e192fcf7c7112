#include <troupe/state/change.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace troupe {

namespace {

std::uint64_t entry_size(std::string_view stored_key, const value& data) {
  return stored_key.size() - 1 + data.bytes().size();
}

std::uint64_t& bytes_of(entity_state& state, section in) {
  return rules_of(in).forks ? state.entry_bytes : state.own_bytes;
}

void set_entry(entity_state& state, section in, std::string_view key, entry data) {
  const entry_key at{in, key};
  auto& entries = state.entries_of(in);
  if (const auto* old = entries.find(at))
    bytes_of(state, in) -= entry_size(at, old->data);
  bytes_of(state, in) += entry_size(at, data.data);
  entries.set(at.str(), std::move(data));
}

void erase_entry(entity_state& state, std::string_view stored_key) {
  auto& entries = state.entries_of(section_of(stored_key));
  if (const auto* old = entries.find(stored_key)) {
    bytes_of(state, section_of(stored_key)) -= entry_size(stored_key, old->data);
    entries.erase(stored_key);
  }
}

/// Numbers only grow, whatever a record says; the last one there is stays unused.
void push_item(entity_state& state, std::uint64_t seq, timestamp at, value_view fields) {
  if (seq <= state.last_seq)  // else it is behind all items: the newest one is in no cache
    seq = std::max(seq, state.items.last_seq() + 1);
  if (seq == std::numeric_limits<std::uint64_t>::max())
    return;
  state.items.append(seq, at, fields);
  state.last_seq = std::max(state.last_seq, seq);
}

struct applier {
  entity_state& state;
  std::uint64_t revision;
  timestamp at;

  void operator()(const entity_created& e) const {
    state.status = lifecycle::live;
    state.kind = e.kind;
    state.user = e.user;
    state.created = at;
    state.first_revision = revision;
  }

  void operator()(const entity_deleted&) const {
    entity_state gone;
    gone.status = lifecycle::deleted;
    gone.kind = state.kind;
    gone.revision = state.revision;
    state = std::move(gone);
  }

  void operator()(const items_appended& e) const {
    auto seq = e.first_seq;
    for (const auto& item : e.items)
      push_item(state, seq++, at, item);
  }

  void operator()(const items_removed& e) const {
    if (e.keep < state.items.size())
      state.items = state.items.take(e.keep);
  }

  void operator()(const items_restored& e) const {
    for (const auto& item : e.items)
      push_item(state, item.seq, item.at, item.fields);
  }

  void operator()(const entry_set& e) const {
    set_entry(state, e.in, e.key, {e.data, revision, e.expires});
  }

  void operator()(const entry_erased& e) const { erase_entry(state, entry_key{e.in, e.key}); }

  void operator()(const section_cleared& e) const { drop_section(e.in); }

  void operator()(const entity_forked& e) const {
    state.status = lifecycle::live;
    state.created = at;
    state.first_revision = revision;
    state.user = e.user;
    state.forked_from = e.from;
    state.redo = {};
    state.own.clear();
    state.own_bytes = 0;
  }

  void operator()(const content_reverted& e) const {
    if (e.cause == revert_cause::restore)
      return;
    state.content_revision = e.to;
    state.redo = e.redo;
  }

  void operator()(const fork_merged& e) const {
    set_entry(state, section::merges, e.fork.id, {e.revision, revision, {}});
  }

  void drop_section(section id) const {
    const entry_key first{id, ""};
    const auto& entries = state.entries_of(id);
    for (auto at_key = entries.lower_bound(first);
         at_key != entries.end() && section_of(at_key->first) == id;
         at_key = entries.lower_bound(first))
      erase_entry(state, std::string{at_key->first});
  }
};

/// What an event means for the two numbers that a change moves at its end.
struct touches {
  bool content = false;
  bool activity = false;
  bool reverts = false;  // an undo or redo: the event itself said which content this is
};

touches touched_by(const event& what) {
  if (const auto* set = std::get_if<entry_set>(&what))
    return {rules_of(set->in).reverts, rules_of(set->in).activity};
  if (const auto* erased = std::get_if<entry_erased>(&what))
    return {rules_of(erased->in).reverts && !erased->expired,
            rules_of(erased->in).activity && !erased->expired};
  if (const auto* cleared = std::get_if<section_cleared>(&what))
    return {rules_of(cleared->in).reverts, rules_of(cleared->in).activity};
  if (const auto* reverted = std::get_if<content_reverted>(&what))
    return {true, true, reverted->cause != revert_cause::restore};
  return {true, true};
}

std::string entry_event(section in, std::string_view verb) {
  return std::string{rules_of(in).name} + '_' + std::string{verb};
}

}  // namespace

void apply(entity_state& state, const event& what, std::uint64_t revision, timestamp at) {
  std::visit(applier{state, revision, at}, what);
}

void finish(entity_state& state, const change& what) {
  touches all;
  for (const auto& e : what.events) {
    const auto one = touched_by(e);
    all.content |= one.content;
    all.activity |= one.activity;
    all.reverts |= one.reverts;
  }
  if (all.content && !all.reverts) {
    state.content_revision = what.revision;
    state.redo = {};
  }
  if (all.activity)
    state.last_activity = what.at;
  if (!what.events.empty())
    state.revision = what.revision;
}

entity_state evolve(entity_state state, const change& what) {
  for (const auto& e : what.events)
    apply(state, e, what.revision, what.at);
  finish(state, what);
  return state;
}

std::string name_of(const event& what) {
  struct namer {
    std::string operator()(const entity_created&) const { return "created"; }
    std::string operator()(const entity_deleted&) const { return "deleted"; }
    std::string operator()(const items_appended&) const { return "items_appended"; }
    std::string operator()(const items_removed&) const { return "items_removed"; }
    std::string operator()(const items_restored&) const { return "items_restored"; }
    std::string operator()(const entry_set& e) const { return entry_event(e.in, "set"); }
    std::string operator()(const entry_erased& e) const {
      return entry_event(e.in, e.expired ? "expired" : "erased");
    }
    std::string operator()(const section_cleared& e) const { return entry_event(e.in, "cleared"); }
    std::string operator()(const entity_forked&) const { return "forked"; }
    std::string operator()(const content_reverted& e) const {
      switch (e.cause) {
        case revert_cause::undo: return "undone";
        case revert_cause::redo: return "redone";
        case revert_cause::restore: return "restored";
      }
      return "restored";
    }
    std::string operator()(const fork_merged&) const { return "merged"; }
  };
  return std::visit(namer{}, what);
}

}  // namespace troupe
