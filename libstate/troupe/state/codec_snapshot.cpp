#include <troupe/state/internal/snapshot_parts.hpp>
#include <troupe/state/internal/stored_document.hpp>

#include <limits>

/// Snapshots as bytes, and what folds changes into them.
namespace troupe {

using namespace internal;

std::string internal::encode_snapshot(const entity_state& state, complete_chunks where,
                                      std::size_t zstd_threshold) {
  value_writer out;
  out.begin_array(14 + state.extra.view().size()).unsigned_integer(current_codec_version);
  out.unsigned_integer(number_of(state.status)).unsigned_integer(number_of(state.kind));
  out.unsigned_integer(state.revision).unsigned_integer(state.first_revision);
  out.unsigned_integer(state.content_revision);
  out.integer(state.created.ms).integer(state.last_activity.ms);
  out.unsigned_integer(state.last_seq).raw(state.user);
  if (state.forked_from)
    write_lineage(out, *state.forked_from);
  else
    out.null();
  out.raw(state.redo);
  std::size_t chunks = 0;
  state.items.for_each_chunk([&](const packed_chunk&) { ++chunks; });
  out.begin_array(chunks);
  state.items.for_each_chunk([&](const packed_chunk& chunk) {
    if (chunk.sealed && where == complete_chunks::outside)
      out.null();
    else
      out.binary(chunk.bytes);
  });
  out.begin_array(state.entries.size() + state.own.size());
  for_each_stored_entry(state, [&](const std::string& key, const entry& held) {
    out.begin_array(5).unsigned_integer(number_of(section_of(key))).string(key_of(key));
    out.unsigned_integer(held.revision).integer(held.expires.ms).raw(held.data);
  });
  write_rest(out, state.extra);
  return compressed(out.take(), zstd_threshold);
}

std::string encode(const entity_state& state, std::size_t zstd_threshold) {
  return encode_snapshot(state, complete_chunks::inside, zstd_threshold);
}

expected<entity_state> decode_entity(std::string_view bytes) {
  return decode_snapshot(bytes, {});
}

expected<entity_state> internal::decode_snapshot(std::string_view bytes,
                                                 std::span<const std::string_view> outside) {
  const auto stored = document::open(bytes, "a snapshot");
  if (!stored)
    return tl::unexpected(stored.error());
  auto fields = stored->fields();
  fields.number();  // the version
  entity_state out;
  out.status = fields.one_of(lifecycle::absent, lifecycle::deleted);
  out.kind = fields.one_of(entity_kind::session, entity_kind::global);
  out.revision = fields.number();
  out.first_revision = fields.number();
  out.content_revision = fields.number();
  out.created = fields.time();
  out.last_activity = fields.time();
  out.last_seq = fields.number();
  out.user = fields.owner();
  if (const auto from = fields.next(); !from.is_null())
    out.forked_from = fields.lineage_from(from);
  out.redo = fields.any();
  const auto chunks = fields.array();
  const auto entries = fields.array();
  out.extra = fields.rest();
  bool ok = fields.ok() && (out.redo.is_null() || out.redo.type() == value_type::array);
  std::vector<std::string_view> packed;
  for (auto chunk = chunks.children(); ok && chunk.next();) {
    if (chunk.item().is_null() && !outside.empty()) {
      packed.push_back(outside.front());
      outside = outside.subspan(1);
    } else {
      ok = chunk.item().type() == value_type::binary;
      packed.push_back(chunk.item().as_binary().value_or(""));
    }
  }
  ok = ok && outside.empty();
  if (ok && !packed.empty()) {
    auto items = history::from_chunks(packed, item_depth);
    if (!items)
      return tl::unexpected(items.error());
    out.items = *std::move(items);
  }
  ok = ok && out.items.last_seq() <= out.last_seq
       && out.last_seq != std::numeric_limits<std::uint64_t>::max();  // so that there is a next one
  for (auto at = entries.children(); ok && at.next();) {
    field_reader in{at.item()};
    const auto which = in.which_section();
    const auto key = in.key();
    entry held{.data = {}, .revision = in.number(), .expires = in.time()};
    held.data = in.any();
    ok = in.ended();
    if (auto known = in.known_section(); ok && !known)
      return tl::unexpected(std::move(known.error()));
    (rules_of(which).forks ? out.entry_bytes : out.own_bytes) +=
        key.size() + held.data.bytes().size();
    // A key stands once.
    ok = ok && out.entries_of(which).set(entry_key{which, key}.str(), std::move(held));
  }
  if (!ok)
    return fail(errc::damaged, "a snapshot lacks a field");
  return out;
}

expected<entity_state> restore_entity(std::string_view snapshot,
                                      const std::vector<std::string>& changes) {
  entity_state state;
  if (!snapshot.empty()) {
    auto stored = decode_entity(snapshot);
    if (!stored)
      return stored;
    state = *std::move(stored);
  }
  for (const auto& bytes : changes) {
    auto what = decode_change(bytes);
    if (!what)
      return tl::unexpected(what.error());
    state = evolve(std::move(state), *what);
  }
  return state;
}

}  // namespace troupe
