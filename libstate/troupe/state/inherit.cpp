#include <troupe/state/inherit.hpp>

#include <map>

namespace troupe {

std::vector<entity_ref> scope_chain(const entity_ref& self, const entity_state& state,
                                    const entity_state* workflow) {
  const auto info = info_of(state);
  const auto inherited_team = [&] { return workflow ? info_of(*workflow).team : std::string{}; };
  const auto team = info.team.empty() ? inherited_team() : info.team;
  const std::pair<entity_kind, std::string> behind[] = {{entity_kind::workflow, info.workflow},
                                                        {entity_kind::team, team},
                                                        {entity_kind::user, info.user},
                                                        {entity_kind::global, "global"}};
  std::vector<entity_ref> out{self};
  for (const auto& [kind, id] : behind) {
    if (kind > self.kind && !id.empty())
      out.push_back({self.name_space, kind, id});
  }
  return out;
}

std::optional<inherited_entry> inherit(std::span<const scope_view> chain, std::string_view key,
                                       timestamp now) {
  for (const auto& scope : chain) {
    if (!scope.state)
      continue;
    if (const auto* held = find(*scope.state, section::state, key, now))
      return inherited_entry{scope.ref, std::string{key}, held};
  }
  return std::nullopt;
}

std::vector<inherited_entry> inherit_all(std::span<const scope_view> chain, timestamp now) {
  std::map<std::string, inherited_entry> found;
  for (const auto& scope : chain) {
    if (!scope.state)
      continue;
    for_each_entry(*scope.state, section::state, now, [&](std::string_view key, const entry& e) {
      found.try_emplace(std::string{key}, inherited_entry{scope.ref, std::string{key}, &e});
    });
  }
  std::vector<inherited_entry> out;
  out.reserve(found.size());
  for (auto& [key, one] : found)
    out.push_back(std::move(one));
  return out;
}

policy inherit_policy(std::span<const scope_view> chain) {
  policy out;
  for (const auto& scope : chain.subspan(chain.empty() ? 0 : 1)) {
    if (scope.state)
      out = overlay(out, policy_of(*scope.state));
  }
  return out;
}

}  // namespace troupe
