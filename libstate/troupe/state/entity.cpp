#include <troupe/state/entity.hpp>
#include <troupe/state/internal/stored.hpp>

#include <algorithm>
#include <utility>

namespace troupe {

using internal::always;

entry_key::entry_key(section id, std::string_view key) noexcept
    : size_{std::min(key.size() + 1, text_.size())} {
  text_[0] = static_cast<char>(id);
  std::copy_n(key.data(), size_ - 1, text_.data() + 1);
}

bool operator==(const entity_state& a, const entity_state& b) {
  return a.status == b.status && a.kind == b.kind && a.revision == b.revision
         && a.first_revision == b.first_revision && a.content_revision == b.content_revision
         && a.created == b.created && a.last_activity == b.last_activity && a.last_seq == b.last_seq
         && a.entry_bytes == b.entry_bytes && a.own_bytes == b.own_bytes && a.redo == b.redo
         && a.extra == b.extra && a.items == b.items && a.entries == b.entries && a.own == b.own
         && a.user == b.user
         && (a.forked_from == b.forked_from
             || (a.forked_from && b.forked_from && *a.forked_from == *b.forked_from));
}

bool same_content(const entity_state& a, const entity_state& b) {
  if (!(a.items == b.items))
    return false;
  bool same = true;
  for_each_entry_difference(a, b,
                            [&](const std::string& key, const entry* before, const entry* after) {
                              if (rules_of(section_of(key)).reverts)
                                same = same && before && after && before->data == after->data
                                       && before->expires == after->expires;
                            });
  return same;
}

const entry* find(const entity_state& state, section in, std::string_view key, timestamp now) {
  const auto* found = state.entries_of(in).find(entry_key{in, key});
  return found && found->live(now) ? found : nullptr;
}

std::size_t count_entries(const entity_state& state, section in, timestamp now) {
  std::size_t count = 0;
  for_each_entry(state, in, now, [&](std::string_view, const entry&) { ++count; });
  return count;
}

value section_as_map(const entity_state& state, section in, timestamp now) {
  value_writer out;
  out.begin_map(count_entries(state, in, now));
  for_each_entry(state, in, now,
                 [&](std::string_view key, const entry& e) { out.string(key).raw(e.data); });
  return out.finish();
}

namespace {

const value* info_value(const entity_state& state, std::string_view key) {
  const auto* found = find(state, section::info, key, always);
  return found ? &found->data : nullptr;
}

std::string_view info_text(const entity_state& state, std::string_view key) {
  const auto* data = info_value(state, key);
  return data ? data->view().as_string().value_or("") : "";
}

std::optional<std::uint64_t> number(value_view map, std::string_view key) {
  const auto found = map.find(key);
  return found ? found->as_uint64() : std::nullopt;
}

/// The element of an array, null when there is none.
value_view element(value_view array, std::size_t index) {
  auto at = array.children();
  for (std::size_t i = 0; at.next(); ++i) {
    if (i == index)
      return at.item();
  }
  return {};
}

std::string text(value_view x) {
  return std::string{x.as_string().value_or("")};
}

}  // namespace

policy overlay(const policy& a, const policy& b) {
  const auto first = [](const auto& x, const auto& y) { return x ? x : y; };
  return {.loop_limit = first(a.loop_limit, b.loop_limit),
          .token_budget = first(a.token_budget, b.token_budget),
          .checkpoint_every = first(a.checkpoint_every, b.checkpoint_every),
          .keep_checkpoints = first(a.keep_checkpoints, b.keep_checkpoints),
          .keep_revisions = first(a.keep_revisions, b.keep_revisions),
          .keep_revisions_ms = first(a.keep_revisions_ms, b.keep_revisions_ms)};
}

std::string_view user_of(const entity_state& state) {
  return state.user.view().as_string().value_or("");
}

policy policy_of(const entity_state& state) {
  const auto* data = info_value(state, info_key::policy);
  if (!data)
    return {};
  const auto map = data->view();
  return {.loop_limit = number(map, "loop_limit"),
          .token_budget = number(map, "token_budget"),
          .checkpoint_every = number(map, "checkpoint_every"),
          .keep_checkpoints = number(map, "keep_checkpoints"),
          .keep_revisions = number(map, "keep_revisions"),
          .keep_revisions_ms = number(map, "keep_revisions_ms")};
}

std::optional<lineage> lineage_of(const entity_state& state) {
  return state.forked_from ? std::optional{*state.forked_from} : std::nullopt;
}

std::optional<schema_id> schema_of(const entity_state& state) {
  const auto* found = find(state, section::schema, "id", always);
  if (!found)
    return std::nullopt;
  const auto x = found->data.view();
  const auto version = element(x, 1).as_uint64().value_or(0);
  return schema_id{text(element(x, 0)),
                   std::in_range<std::uint32_t>(version) ? static_cast<std::uint32_t>(version) : 0};
}

entity_info info_of(const entity_state& state) {
  entity_info out;
  out.user = user_of(state);
  out.workflow = info_text(state, info_key::workflow);
  out.team = info_text(state, info_key::team);
  out.placement = info_text(state, info_key::placement);
  if (const auto* ttl = info_value(state, info_key::ttl_ms))
    out.ttl_ms = ttl->view().as_uint64().value_or(0);
  out.schema = schema_of(state);
  out.limits = policy_of(state);
  out.metadata = section_as_map(state, section::metadata, always);
  if (state.forked_from)
    out.forked_from = *state.forked_from;
  for_each_entry(state, section::tags, always,
                 [&](std::string_view tag, const entry&) { out.tags.emplace_back(tag); });
  for_each_entry(state, section::shares, always, [&](std::string_view user, const entry& e) {
    out.shares.push_back(
        {std::string{user}, e.data.view().as_string() == "write" ? access::write : access::read});
  });
  return out;
}

}  // namespace troupe
