#pragma once

/// What a change makes of an entity, written again in the plainest way: one map of entries, one
/// vector of items, nothing packed, nothing shared.

#include <troupe/state/change.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace troupe::testing {

struct naive_entity {
  lifecycle status = lifecycle::absent;
  entity_kind kind = entity_kind::session;
  std::uint64_t revision = 0, first_revision = 0, content_revision = 0, last_seq = 0;
  timestamp created{}, last_activity{};
  value user{}, redo{}, extra{};
  std::optional<lineage> forked_from{};
  std::vector<kept_item> items{};
  std::map<std::pair<section, std::string>, entry> entries{};
};

inline naive_entity naive_of(const entity_state& s) {
  naive_entity out{s.status,   s.kind,    s.revision,      s.first_revision, s.content_revision,
                   s.last_seq, s.created, s.last_activity, s.user,           s.redo,
                   s.extra};
  if (s.forked_from)
    out.forked_from = *s.forked_from;
  for (const auto& one : s.items)
    out.items.push_back({one.seq, one.at, value{one.fields}});
  for (const auto* held : {&s.entries, &s.own}) {
    for (const auto& [key, one] : *held)
      out.entries[{section_of(key), std::string{key_of(key)}}] = one;
  }
  return out;
}

/// What undo brings back. Facts about the entity are no content.
inline bool naive_is_content(section in) {
  using enum section;
  return in != info && in != tags && in != shares && in != cursors && in != usage && in != calls
         && in != checkpoints;
}

/// A fork begins without these.
inline bool naive_stays_behind(section in) {
  using enum section;
  return in == shares || in == run || in == usage || in == calls || in == checkpoints
         || in == merges;
}

struct naive_evolution {
  naive_entity& e;
  const change& what;
  bool content = false, activity = false, said_which = false;

  void touch(section in) {
    content = content || naive_is_content(in);
    activity = activity || in != section::checkpoints;
  }
  void touch() { content = activity = true; }

  /// Numbers ascend whatever is asked for, and the last there is stays unused.
  void push(std::uint64_t seq, timestamp at, const value& fields) {
    const auto last = e.items.empty() ? 0 : e.items.back().seq;
    seq = seq > last ? seq : last + 1;
    if (seq + 1 == 0)
      return;
    e.items.push_back({seq, at, fields});
    e.last_seq = std::max(e.last_seq, seq);
  }
  void begin() {
    e.status = lifecycle::live;
    e.created = what.at;
    e.first_revision = what.revision;
    touch();
  }

  void operator()(const entity_created& x) {
    begin();
    e.kind = x.kind;
    e.user = x.user;
  }
  void operator()(const entity_deleted&) {
    naive_entity gone;
    gone.status = lifecycle::deleted;
    gone.kind = e.kind;
    gone.revision = e.revision;
    e = std::move(gone);
    touch();
  }
  void operator()(const items_appended& x) {
    for (std::size_t i = 0; i < x.items.size(); ++i)
      push(x.first_seq + i, what.at, x.items[i]);
    touch();
  }
  void operator()(const items_removed& x) {
    while (e.items.size() > x.keep)
      e.items.pop_back();
    touch();
  }
  void operator()(const items_restored& x) {
    for (const auto& one : x.items)
      push(one.seq, one.at, one.fields);
    touch();
  }
  void operator()(const entry_set& x) {
    e.entries[{x.in, x.key}] = entry{x.data, what.revision, x.expires};
    touch(x.in);
  }
  void operator()(const entry_erased& x) {
    e.entries.erase({x.in, x.key});
    if (!x.expired)
      touch(x.in);
  }
  void operator()(const section_cleared& x) {
    std::erase_if(e.entries, [&](const auto& one) { return one.first.first == x.in; });
    touch(x.in);
  }
  void operator()(const entity_forked& x) {
    begin();
    e.user = x.user;
    e.forked_from = *x.from;
    e.redo = {};
    std::erase_if(e.entries, [](const auto& one) { return naive_stays_behind(one.first.first); });
  }
  void operator()(const content_reverted& x) {
    touch();
    if (x.cause == revert_cause::restore)
      return;
    e.content_revision = x.to;
    e.redo = x.redo;
    said_which = true;
  }
  void operator()(const fork_merged& x) {
    e.entries[{section::merges, x.fork.id}] = entry{value{x.revision}, what.revision, {}};
    touch();
  }

  void run() {
    for (const auto& x : what.events)
      std::visit(*this, x);
    if (what.events.empty())
      return;
    e.revision = what.revision;
    if (activity)
      e.last_activity = what.at;
    if (content && !said_which) {
      e.content_revision = what.revision;
      e.redo = {};
    }
  }
};

inline void naive_evolve(naive_entity& e, const change& what) {
  naive_evolution{e, what}.run();
}

/// What the first thing is in which they differ; empty when there is none.
inline std::string difference_from(const naive_entity& wanted, const entity_state& found) {
  const auto f = naive_of(found);
  if (wanted.status != f.status || wanted.kind != f.kind)
    return "status or kind";
  if (wanted.revision != f.revision || wanted.first_revision != f.first_revision
      || wanted.content_revision != f.content_revision)
    return "revisions";
  if (wanted.created != f.created || wanted.last_activity != f.last_activity)
    return "times";
  if (wanted.last_seq != f.last_seq)
    return "last_seq";
  if (wanted.user != f.user || wanted.redo != f.redo || wanted.extra != f.extra
      || wanted.forked_from != f.forked_from)
    return "owner, redo, extra or origin";
  if (!std::equal(wanted.items.begin(), wanted.items.end(), f.items.begin(), f.items.end(),
                  [](const kept_item& a, const kept_item& b) {
                    return a.seq == b.seq && a.at == b.at && a.fields == b.fields;
                  }))
    return "items";
  return wanted.entries == f.entries ? "" : "entries";
}

}  // namespace troupe::testing
