#include <troupe/state/internal/transfer_documents.hpp>
#include <troupe/state/json.hpp>
#include <troupe/state/transfer.hpp>

namespace troupe {

namespace {

std::optional<internal::lineage_document> origin_of(const entity_state& state) {
  if (!state.forked_from)
    return std::nullopt;
  const auto& [parent, at] = *state.forked_from;
  return internal::lineage_document{parent.name_space, parent.kind, parent.id, at};
}

/// Calls `write(value)` with each document of an entity in turn.
template <class F>
void for_each_document(const entity_ref& ref, const entity_state& state, F&& write) {
  write(to_value(internal::header_document{
      .troupe = transfer_version,
      .name_space = ref.name_space,
      .kind = ref.kind,
      .id = ref.id,
      .status = state.status,
      .revision = state.revision,
      .first_revision = state.first_revision,
      .content_revision = state.content_revision,
      .created_ms = state.created.ms,
      .last_activity_ms = state.last_activity.ms,
      .last_seq = state.last_seq,
      .user = state.user.is_null() ? std::nullopt : std::optional{std::string{user_of(state)}},
      .forked_from = origin_of(state),
      .redo = state.redo,
      .entries = state.entries.size() + state.own.size(),
      .items = state.items.size(),
      .extra = state.extra.is_null() ? std::nullopt : std::optional{state.extra}}));
  for_each_stored_entry(state, [&](const std::string& stored_key, const entry& held) {
    write(to_value(internal::entry_document{.in = section_of(stored_key),
                                            .key = std::string{key_of(stored_key)},
                                            .revision = held.revision,
                                            .expires_ms = held.expires.ms,
                                            .data = held.data}));
  });
  for (const auto& item : state.items)
    write(to_value(
        internal::item_document{.seq = item.seq, .at_ms = item.at.ms, .item = value{item.fields}}));
}

export_sink append_to_string(std::string& out) {
  return [&out](std::string_view document) { out += document; };
}

}  // namespace

void export_jsonl(const entity_ref& ref, const entity_state& state, const export_sink& sink) {
  std::string line;
  for_each_document(ref, state, [&](const value& document) {
    line.clear();
    append_json(line, internal::with_binary_tags(document));
    line += '\n';
    sink(line);
  });
}

void export_msgpack(const entity_ref& ref, const entity_state& state, const export_sink& sink) {
  for_each_document(ref, state, [&](const value& document) { sink(document.bytes()); });
}

std::string export_jsonl(const entity_ref& ref, const entity_state& state) {
  std::string out;
  export_jsonl(ref, state, append_to_string(out));
  return out;
}

std::string export_msgpack(const entity_ref& ref, const entity_state& state) {
  std::string out;
  export_msgpack(ref, state, append_to_string(out));
  return out;
}

}  // namespace troupe
