#pragma once

/// What holds of every entity, wherever its state came from.

#include <troupe/state/codec.hpp>
#include <troupe/state/internal/compression.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/session.hpp>
#include <troupe/state/team.hpp>
#include <troupe/state/transfer.hpp>
#include <troupe/state/versions.hpp>
#include <troupe/state/workflow.hpp>

#include "fuzz/require.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

namespace troupe::fuzz {

/// What reading a stored document may take from the heap: an event or an entry is a few bytes and
/// takes a few hundred. A frame that turns out broken has cost what it may have announced.
inline std::size_t memory_for(std::string_view bytes) {
  auto size = bytes.size(), once = std::size_t{16} << 10;
  if (internal::is_compressed(bytes)) {
    if (const auto plain = internal::decompressed(bytes, max_decoded_bytes))
      size += plain->size();
    else
      once += std::min(max_decoded_bytes, (bytes.size() / 4 + 1) * (128 << 10));
  }
  return 512 * size + once;
}

inline constexpr std::size_t uncompressed = ~std::size_t{0};  // byte equality does not need zstd

/// Stored again, it is the same.
inline void require_storable(const entity_state& s, std::size_t zstd_threshold = uncompressed) {
  const auto bytes = encode(s, zstd_threshold);
  const auto again = decode_entity(bytes);
  require(again.has_value(), "a snapshot that was written can be read");
  require(*again == s && again->extra == s.extra, "a snapshot gives the state back");
  require(encode(*again, zstd_threshold) == bytes, "the same state gives the same bytes");
}

inline void require_storable(const change& what, std::size_t zstd_threshold = uncompressed) {
  const auto bytes = encode(what, zstd_threshold);
  const auto again = decode_change(bytes);
  require(again.has_value(), "a change that was written can be read");
  require(encode(*again, zstd_threshold) == bytes, "a change is read back as itself");
}

/// Items ascend, and what the state counts is what it holds.
inline void require_counted(const entity_state& s) {
  std::uint64_t last = 0, payload = 0;
  std::size_t items = 0;
  for (const auto& one : s.items) {
    require(one.seq > last, "numbers of items ascend");
    require(one.fields.type() == value_type::map, "an item is a map");
    last = one.seq;
    payload += one.fields.bytes().size();
    ++items;
  }
  require(items == s.items.size() && last == s.items.last_seq(), "a history counts its items");
  require(last <= s.last_seq, "no item is newer than the newest");
  require(s.last_seq < std::numeric_limits<std::uint64_t>::max(), "the last number stays unused");
  require(payload == s.items.bytes(), "the bytes of items are what the items take");
  const auto sum = [](const persistent_map<std::string, entry>& held, bool forks) {
    std::uint64_t out = 0;
    for (const auto& [key, one] : held) {
      require(is_section(static_cast<std::uint64_t>(section_of(key))), "an entry has a section");
      require(rules_of(section_of(key)).forks == forks, "an entry stands where its section does");
      out += key_of(key).size() + one.data.bytes().size();
    }
    return out;
  };
  require(sum(s.entries, true) == s.entry_bytes, "the bytes of entries are what they take");
  require(sum(s.own, false) == s.own_bytes, "the bytes of its own entries are what they take");
}

inline void require_sound(const entity_state& s) {
  require_counted(s);
  require_storable(s);
}

inline bool never_expires(const entity_state& s) {
  bool out = true;
  for_each_stored_entry(s, [&](const std::string&, const entry& e) { out &= e.expires.ms == 0; });
  return out;
}

/// Every read, of whatever the state holds.
inline void require_readable(const entity_state& s, const entity_ref& ref) {
  constexpr timestamp now{1'700'000'000'000};
  const auto printable = [](value_view x) { require(!to_json(x).empty(), "a value prints"); };
  const auto info = info_of(s);
  require(info.user == user_of(s) && info.limits == policy_of(s) && info.schema == schema_of(s)
              && info.forked_from == lineage_of(s),
          "single facts are those of the description");
  printable(info.metadata);
  require(retention_of(s).last
              == std::min<std::uint64_t>(
                  info.limits.keep_revisions.value_or(default_keep_revisions), 10'000),
          "what is kept is what the policy says");
  std::size_t entries = 0;
  for (const auto& rules : all_sections) {
    const auto count = count_entries(s, rules.id, {});
    printable(section_as_map(s, rules.id, now));
    std::size_t seen = 0;
    for_each_entry(s, rules.id, {}, [&](std::string_view key, const entry& e) {
      require(find(s, rules.id, key, {}) == &e, "an entry is found by its key");
      ++seen;
    });
    require(seen == count, "entries are as many as they are");
    for_each_entry(s, rules.id, {std::numeric_limits<std::int64_t>::min()},
                   [&](std::string_view, const entry&) { ++entries; });
  }
  require(entries <= s.entries.size() + s.own.size(), "no entry is in two sections");

  require(todos_of(s).size() == count_entries(s, section::todos, {}), "each todo is listed");
  require(members_of(s).size() == count_entries(s, section::members, {}), "each member is listed");
  for (const auto& one : members_of(s)) {
    for (const auto& got : messages_for(s, one.name))
      require(got.seq > one.cursor, "no message comes twice");
  }
  require(messages_for(s, "nobody", 0).size() <= 100, "messages come by the hundred");
  require(calls_of(s).size() == count_entries(s, section::calls, {}), "each call is listed");
  printable(value{loop_of(s).count});
  printable(value{usage_of(s).total.total()});
  printable(notebook_of(s).variables);
  const auto nodes = nodes_of(s);
  require(nodes.size() == count_entries(s, section::nodes, {}), "each node is listed");
  require(ready_nodes(s).size() <= nodes.size(), "only nodes are ready");
  for (const auto& one : nodes) {
    require(find_node(s, one.id) == one, "a node is found by its id");
    printable(inputs_of(s, one.id));
  }
  require(inputs_of(s, "nobody") == value::map({}), "nobody builds on nothing");
  require(!to_string(status_of_workflow(s)).empty(), "a workflow stands somewhere");
  const auto pins = checkpoints_of(s);
  require(pins.size() == count_entries(s, section::checkpoints, {}), "each checkpoint is listed");
  for (const auto& one : pins)
    require(find_checkpoint(s, one.id) == one, "a checkpoint is found by its id");
  for (const auto wanted : {access::read, access::write}) {
    require(may(s, ref, principal::host(), wanted), "who is trusted may do all");
    require(
        !may(s, ref, {"bob", false}, access::write) || may(s, ref, {"bob", false}, access::read),
        "who may write may read");
  }
  require(merge_base(s, ref, s) >= s.first_revision, "a merge starts at the fork's first or later");
  require(!export_markdown(ref, s, now).empty(), "a document for people has a heading");

  const entity_state nothing;
  require(diff(nothing, s).size() == s.entries.size() + s.own.size() + s.items.size(),
          "a diff from nothing names everything");
  require(diff(s, nothing).size() == diff(nothing, s).size(), "a diff has two directions");
  require(diff(s, s).empty() && steps_between(s, s, now).empty(), "nothing differs from itself");
}

/// The change that gives `from` the content of `to` does so. Both hold nothing that expires.
inline void require_reachable(const entity_state& from, const entity_state& to) {
  const change step{.revision = 1, .at = {}, .events = steps_between(from, to, {})};
  require(same_content(evolve(from, step), to), "the steps between two contents lead there");
}

}  // namespace troupe::fuzz
