#include <troupe/state/event_stream.hpp>

#include <algorithm>
#include <charconv>

namespace troupe {

namespace {

/// "1-42-3" as numbers, at most `most`; nothing when it is anything else.
std::optional<std::vector<std::uint64_t>> numbers_of(std::string_view text, std::size_t most) {
  std::vector<std::uint64_t> out;
  while (out.size() < most) {
    std::uint64_t number = 0;
    const auto* end = text.data() + text.size();
    const auto [at, fault] = std::from_chars(text.data(), end, number);
    if (fault != std::errc{} || (text.front() == '0' && at != text.data() + 1))
      return {};
    out.push_back(number);
    if (at == end)
      return out;
    if (*at != '-')
      return {};
    text.remove_prefix(static_cast<std::size_t>(at - text.data()) + 1);
  }
  return {};
}

std::string info_text(const entity_state& state, std::string_view key) {
  const auto* found = find(state, section::info, key, {});
  return std::string{found ? found->data.view().as_string().value_or("") : ""};
}

std::string* parent_named(entity_parents& of, std::string_view key) {
  if (key == info_key::workflow)
    return &of.workflow;
  return key == info_key::team ? &of.team : nullptr;
}

}  // namespace

std::string to_string(const entity_cursor& at) {
  return std::to_string(at.epoch) + '-' + std::to_string(at.revision);
}

std::string to_string(const stream_cursor& at) {
  auto out = "s0-" + std::to_string(at.epoch) + '-' + std::to_string(at.position);
  return at.parts == 0 ? out : out + '-' + std::to_string(at.parts);
}

entity_cursor entity_cursor_of(const committed_change& what) {
  return {what.epoch, what.what.revision};
}

stream_cursor stream_cursor_of(const committed_change& what) {
  if (what.part + 1 == what.parts)
    return {what.epoch, what.position, 0};
  return {what.epoch, what.position - 1, what.part + 1};
}

expected<stream_start> parse_cursor(const event_filter& filter, std::string_view text) {
  if (filter.of_one()) {
    if (const auto of = numbers_of(text, 2); of && of->size() == 2)
      return entity_cursor{(*of)[0], (*of)[1]};
  } else if (text.starts_with("s0-")) {
    const auto of = numbers_of(text.substr(3), 3);
    if (of && of->size() == 2)
      return stream_cursor{(*of)[0], (*of)[1], 0};
    if (of && of->size() == 3 && (*of)[2] != 0 && (*of)[2] <= UINT32_MAX)
      return stream_cursor{(*of)[0], (*of)[1], static_cast<std::uint32_t>((*of)[2])};
  }
  return fail(errc::malformed, "this is no cursor of such a stream");
}

expected<void> check_filter(const event_filter& filter) {
  if (auto ok = checked_id(filter.name_space); !ok)
    return unexpected{std::move(ok.error())};
  if (filter.events.size() > max_filter_events)
    return unexpected{error{.code = errc::too_many_elements,
                            .message = "a filter names at most 64 events",
                            .limit = max_filter_events}};
  if (!filter.entity)
    return filter.children
               ? fail(errc::invalid_value, "children are those of one entity, and none is named")
               : expected<void>{};
  if (auto ok = checked_id(filter.entity->id); !ok)
    return unexpected{std::move(ok.error())};
  if (filter.entity->name_space != filter.name_space)
    return fail(errc::invalid_value, "the entity is in another namespace than the filter");
  if (filter.children && filter.entity->kind == entity_kind::session)
    return fail(errc::invalid_value, "a session has no children");
  return {};
}

bool entity_parents::has(const entity_ref& parent) const {
  switch (parent.kind) {
    case entity_kind::session: return false;
    case entity_kind::workflow: return workflow == parent.id;
    case entity_kind::team: return team == parent.id;
    case entity_kind::user: return user == parent.id;
    case entity_kind::global: return true;
  }
  return false;
}

entity_parents parents_of(const entity_state& state) {
  if (!state.live())
    return {};
  return {std::string{user_of(state)}, info_text(state, info_key::workflow),
          info_text(state, info_key::team)};
}

bool begins_entity(const change& what) {
  return std::ranges::any_of(what.events, [](const event& x) {
    return std::holds_alternative<entity_created>(x) || std::holds_alternative<entity_forked>(x);
  });
}

std::optional<entity_parents> follow(entity_parents before, const change& what) {
  for (const auto& one : what.events) {
    if (std::holds_alternative<entity_forked>(one))
      return {};
    if (std::holds_alternative<entity_deleted>(one)) {
      before = {};
    } else if (const auto* created = std::get_if<entity_created>(&one)) {
      before = {std::string{created->user.view().as_string().value_or("")}, {}, {}};
    } else if (const auto* set = std::get_if<entry_set>(&one)) {
      if (auto* name = set->in == section::info ? parent_named(before, set->key) : nullptr)
        *name = set->data.view().as_string().value_or("");
    } else if (const auto* erased = std::get_if<entry_erased>(&one)) {
      if (auto* name = erased->in == section::info ? parent_named(before, erased->key) : nullptr)
        name->clear();
    } else if (const auto* cleared = std::get_if<section_cleared>(&one)) {
      if (cleared->in == section::info)
        before.workflow.clear(), before.team.clear();
    }
  }
  return before;
}

bool may_want(const event_filter& filter, const entity_ref& entity) {
  if (entity.name_space != filter.name_space)
    return false;
  if (filter.entity && !filter.children && *filter.entity != entity)
    return false;
  return filter.kinds.empty() || std::ranges::count(filter.kinds, entity.kind) != 0;
}

bool wants_events(const event_filter& filter, const change& what) {
  return filter.events.empty() || std::ranges::any_of(what.events, [&](const event& x) {
           return std::ranges::count(filter.events, name_of(x)) != 0;
         });
}

bool wants_child(const event_filter& filter, const entity_ref& entity, const entity_parents& before,
                 const entity_parents& after) {
  return entity == *filter.entity || before.has(*filter.entity) || after.has(*filter.entity);
}

}  // namespace troupe
