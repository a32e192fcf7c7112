#include <troupe/state/internal/stored.hpp>
#include <troupe/state/team.hpp>

namespace troupe {

using internal::always, internal::text_at;

namespace {

std::uint64_t cursor_of(const entity_state& state, std::string_view name) {
  const auto* cursor = find(state, section::cursors, name, always);
  return cursor ? cursor->data.view().as_uint64().value_or(0) : 0;
}

}  // namespace

std::vector<member> members_of(const entity_state& state) {
  std::vector<member> out;
  for_each_entry(state, section::members, always, [&](std::string_view name, const entry& e) {
    out.push_back({std::string{name}, text_at(e.data, "role"), cursor_of(state, name)});
  });
  return out;
}

std::vector<message> messages_for(const entity_state& state, std::string_view member,
                                  std::optional<std::uint64_t> after, std::size_t limit) {
  std::vector<message> out;
  const auto first = state.items.first_after(after.value_or(cursor_of(state, member)));
  for (auto at = state.items.begin() + static_cast<std::ptrdiff_t>(first);
       at != state.items.end() && out.size() < limit; ++at) {
    const auto item = *at;
    const auto to = item.fields.find("to");
    const auto from = item.fields.find("from").value_or(value_view{});
    if (to ? to->as_string() != member : from.as_string() == member)
      continue;
    out.push_back({item.seq, item.at, std::string{from.as_string().value_or("")},
                   to ? std::optional{std::string{to->as_string().value_or("")}} : std::nullopt,
                   value{item.fields.find("body").value_or(value_view{})}});
  }
  return out;
}

}  // namespace troupe
