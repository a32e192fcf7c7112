#include <troupe/state/change_set.hpp>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace troupe {

namespace {

std::string path_of(std::size_t place) {
  return "/changes/" + std::to_string(place);
}

}  // namespace

expected<std::vector<std::size_t>> set_order(std::span<const command> commands) {
  if (commands.empty())
    return fail(errc::malformed, "a change set names at least one entity", "/changes");
  if (commands.size() > max_changes_in_set)
    return tl::unexpected(error{.code = errc::too_many_elements,
                                .message = "a change set names at most eight entities",
                                .path = "/changes",
                                .limit = max_changes_in_set});
  std::vector<std::size_t> order(commands.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return commands[a].entity < commands[b].entity; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (commands[order[i - 1]].entity == commands[order[i]].entity)
      return fail(errc::invalid_value, "a change set names each entity once",
                  path_of(std::max(order[i - 1], order[i])));
  }
  return order;
}

expected<std::vector<std::size_t>> checked_order(const change_set& what) {
  auto order = set_order(what.commands);
  for (std::size_t i = 0; order && i < what.commands.size(); ++i) {
    const auto& one = what.commands[i];
    for (const auto* name : {&one.entity.id, &one.entity.name_space}) {
      if (auto ok = checked_id(*name); !ok)
        return tl::unexpected(refusal_of(i, one.entity, std::move(ok.error())));
    }
    if (one.entity.name_space != what.commands.front().entity.name_space)
      return fail(errc::invalid_value, "a change set stays in one namespace", path_of(i));
    if (one.once)
      return fail(errc::invalid_value, "the idempotency key is the set's, not a command's",
                  path_of(i) + "/once");
  }
  return order;
}

expected<decision> decide_one(const entity_state& state, const command& what,
                              const decide_context& context) {
  if (!what.operations.empty())
    return decide(state, what, context);
  // One that is not there answers like one that may not be read.
  if (!(state.live() ? may(state, what.entity, what.by, access::read) : what.by.trusted))
    return fail(errc::not_found, "no such " + std::string{to_string(what.entity.kind)});
  if (what.expected_revision && (!state.live() || *what.expected_revision != state.revision))
    return tl::unexpected(
        error{.code = errc::revision_conflict,
              .message = "expected revision " + std::to_string(*what.expected_revision) + ", found "
                         + (state.live() ? std::to_string(state.revision) : std::string{"none"}),
              .current_revision = state.revision});
  return decision{.what = {.revision = state.revision, .at = context.now},
                  .next = state,
                  .answer = {.revision = state.revision}};
}

error refusal_of(std::size_t place, const entity_ref& entity, error why) {
  why.path = path_of(place) + why.path;
  why.message = to_string(entity) + ": " + why.message;
  return why;
}

}  // namespace troupe
