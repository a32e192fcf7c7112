#pragma once

#include <troupe/state/entity.hpp>
#include <troupe/state/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// Whole entities as files, to move, keep and read elsewhere. Export and import are exact: every
/// value, id, sequence number, time and revision comes back, `import(export(x)) == x` and both
/// encode to the same bytes. Pure; the caller has the files.
///
/// An export is a sequence of documents, one entity after the other. First its header, then one
/// document for each entry in the order of sections and keys, then one for each item, oldest first:
///
///     {"troupe":1,"namespace":"default","kind":"session","id":"s","status":"live","revision":3,
///      "first_revision":1,"content_revision":3,"created_ms":1767323045678,
///      "last_activity_ms":1767323045680,"last_seq":1,"redo":null,"entries":1,"items":1}
///     {"in":"state","key":"k","revision":3,"expires_ms":0,"value":{"x":1.0}}
///     {"seq":1,"at_ms":1767323045679,"fields":{"role":"user","content":"Hello!"}}
///
/// `troupe` is the version of this format. Times are milliseconds since 1970. A header whose entity
/// was written by a newer Troupe has "extra", what that one knew more. As JSON Lines a document is
/// one line. As msgpack the documents follow each other without anything in between.
///
/// JSON has no bytes: in JSON Lines bytes are {"$binary":"BASE64"} (RFC 4648, padded). A map with
/// one key only, "$binary" behind any number of further "$", has one more "$" put in front, so that
/// each text has one meaning.
namespace troupe {

inline constexpr std::uint64_t transfer_version = 1;

struct exported_entity {
  entity_ref ref{};
  entity_state state{};
};

/// Gets an export piece by piece: each call a whole document (with its line end).
using export_sink = std::function<void(std::string_view document)>;

void export_jsonl(const entity_ref& ref, const entity_state& state, const export_sink& sink);
[[nodiscard]] std::string export_jsonl(const entity_ref& ref, const entity_state& state);

void export_msgpack(const entity_ref& ref, const entity_state& state, const export_sink& sink);
[[nodiscard]] std::string export_msgpack(const entity_ref& ref, const entity_state& state);

/// For people, one way only: the description, messages by role in code fences that no content can
/// close, key-value state as a table, notebook and variables, todos as checkboxes, nodes, members,
/// usage, the turn's tool calls, checkpoints. What has expired at `now` is left out.
[[nodiscard]] std::string export_markdown(const entity_ref& ref, const entity_state& state,
                                          timestamp now);

/// What one import may cost, beside the limits of an entity itself (commands.hpp).
struct import_limits {
  std::size_t entities = 10'000;          // then: too_many_elements
  std::size_t document_bytes = 64 << 20;  // of one line; then: too_large
  std::size_t entity_bytes = 8 << 20;     // items, keys, values; then: quota_exceeded
  std::size_t entries = 100'000;          // of one entity; then: quota_exceeded
};

/// Reads exports from anywhere. Nothing is taken on trust: what is answered are states that the
/// commands of this version could have left. All or nothing: no entity is answered when one is
/// wrong. Empty lines are skipped.
///
/// Errors begin with the line's number ("line 3: ...", "document 3: ...", from 1) and have the path
/// within its document: `malformed` (no JSON or msgpack, not the shape of an export, ends early),
/// `newer_format`, `unknown_field` (an importer that skipped what it does not know would lose it),
/// `wrong_type`, `invalid_value` (numbers that do not ascend, an entry or an entity that occurs
/// twice, what contradicts the header), `bad_id`, `wrong_scope`, `too_large`, `too_deep`,
/// `too_many_elements`, `quota_exceeded`.
expected<std::vector<exported_entity>> import_jsonl(std::string_view text,
                                                    const import_limits& limits = {});
expected<std::vector<exported_entity>> import_msgpack(std::string_view bytes,
                                                      const import_limits& limits = {});

}  // namespace troupe
