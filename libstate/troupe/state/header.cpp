#include <troupe/state/header.hpp>
#include <troupe/state/internal/stored_document.hpp>

namespace troupe {

using namespace internal;

namespace {

void write_text_or_null(value_writer& out, std::string_view text) {
  if (text.empty())
    out.null();
  else
    out.string(text);
}

void write_texts(value_writer& out, const std::vector<std::string>& texts) {
  out.begin_array(texts.size());
  for (const auto& text : texts)
    out.string(text);
}

std::string text_or_null(field_reader& in) {
  const auto x = in.next();
  if (x.is_null())
    return {};
  const auto text = x.as_string();
  if (!text)
    in.refuse();
  return std::string{text.value_or("")};
}

std::vector<std::string> texts(field_reader& in) {
  std::vector<std::string> out;
  for (auto at = in.array().children(); at.next();) {
    const auto text = at.item().as_string();
    if (!text)
      in.refuse();
    out.emplace_back(text.value_or(""));
  }
  return out;
}

}  // namespace

entity_header header_of(const entity_state& state) {
  auto info = info_of(state);
  entity_header out{.status = state.status,
                    .revision = state.revision,
                    .created = state.created,
                    .last_activity = state.last_activity,
                    .items = state.items.size(),
                    .entries = state.entries.size() + state.own.size(),
                    .bytes = state.bytes(),
                    .user = std::move(info.user),
                    .readers = {},
                    .workflow = std::move(info.workflow),
                    .team = std::move(info.team),
                    .placement = std::move(info.placement),
                    .ttl_ms = info.ttl_ms,
                    .forked_from = std::move(info.forked_from),
                    .schema = std::move(info.schema),
                    .tags = std::move(info.tags)};
  for (const auto& share : info.shares)
    out.readers.push_back(share.user);
  if (state.kind == entity_kind::team)
    for_each_entry(state, section::members, {}, [&](std::string_view member, const entry&) {
      out.readers.emplace_back(member);
    });
  if (info.metadata.bytes().size() <= max_header_metadata_bytes)
    out.metadata = std::move(info.metadata);
  return out;
}

std::string encode(const entity_header& header) {
  value_writer out;
  out.begin_array(18).unsigned_integer(current_codec_version);
  out.unsigned_integer(number_of(header.status)).unsigned_integer(header.revision);
  out.integer(header.created.ms).integer(header.last_activity.ms);
  out.unsigned_integer(header.items).unsigned_integer(header.entries);
  out.unsigned_integer(header.bytes);
  write_text_or_null(out, header.user);
  write_texts(out, header.readers);
  write_text_or_null(out, header.workflow);
  write_text_or_null(out, header.team);
  write_text_or_null(out, header.placement);
  out.unsigned_integer(header.ttl_ms);
  if (header.forked_from)
    write_lineage(out, *header.forked_from);
  else
    out.null();
  if (header.schema)
    out.begin_array(2).string(header.schema->id).unsigned_integer(header.schema->version);
  else
    out.null();
  write_texts(out, header.tags);
  out.raw(header.metadata);
  return out.take();
}

expected<entity_header> decode_header(std::string_view bytes) {
  const auto stored = document::open(bytes, "a header");
  if (!stored)
    return tl::unexpected(stored.error());
  auto in = stored->fields();
  in.number();  // the version
  entity_header out;
  out.status = in.one_of(lifecycle::absent, lifecycle::deleted);
  out.revision = in.number();
  out.created = in.time();
  out.last_activity = in.time();
  out.items = in.number();
  out.entries = in.number();
  out.bytes = in.number();
  out.user = text_or_null(in);
  out.readers = texts(in);
  out.workflow = text_or_null(in);
  out.team = text_or_null(in);
  out.placement = text_or_null(in);
  out.ttl_ms = in.number();
  if (const auto from = in.next(); !from.is_null())
    out.forked_from = *in.lineage_from(from);
  if (const auto schema = in.next(); !schema.is_null()) {
    field_reader fields{schema};
    out.schema = schema_id{fields.text(), static_cast<std::uint32_t>(fields.number())};
    if (!fields.ended())
      in.refuse();
  }
  out.tags = texts(in);
  out.metadata = in.any();
  if (!in.ok() || out.metadata.type() != value_type::map)
    return fail(errc::damaged, "a header lacks a field");
  return out;
}

}  // namespace troupe
