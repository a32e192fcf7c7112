#include <troupe/actors/hooks.hpp>

#include <spdlog/spdlog.h>

#include <exception>
#include <string>

namespace troupe {

expected<void> run_before_hooks(const change_hooks* hooks, const entity_ref& entity,
                                const entity_state& state, const decision& decided) {
  if (hooks == nullptr)
    return {};
  try {
    for (const auto& hook : hooks->before)
      if (auto ok = hook(entity, state, decided.what, decided.next); !ok)
        return ok;
  } catch (const std::exception& why) {
    spdlog::error("a hook before a change of {} threw: {}", to_string(entity), why.what());
    return fail(errc::internal, std::string{"a hook of the host threw: "} + why.what());
  }
  return {};
}

}  // namespace troupe
