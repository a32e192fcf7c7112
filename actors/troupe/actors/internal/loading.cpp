#include <troupe/actors/internal/loading.hpp>
#include <troupe/state/codec.hpp>

#include <string>
#include <utility>

namespace troupe::internal {

namespace {

expected<void> remember_answers(const stored_entity& stored, kept_answers& in) {
  for (const auto& bytes : stored.answers) {
    const auto answer = decode_answer(bytes);
    if (!answer)
      return tl::unexpected(answer.error());
    in.remember(*answer);
  }
  for (const auto& bytes : stored.parts.changes) {
    const auto what = decode_change(bytes);
    if (what && what->asked_by)
      in.remember({*what->asked_by, what->at, outcome_of(*what)});
  }
  return {};
}

}  // namespace

expected<std::shared_ptr<const entity_state>> take_in(const stored_entity& stored,
                                                      kept_answers& answers) {
  auto state = join_entity(stored.parts);
  if (!state)
    return tl::unexpected(std::move(state.error()));
  if (stored.parts.changes.size() != 0 && state->revision != stored.sequence)
    return fail(errc::damaged, "the stored changes end at revision "
                                   + std::to_string(state->revision) + ", not at "
                                   + std::to_string(stored.sequence));
  if (auto ok = remember_answers(stored, answers); !ok)
    return tl::unexpected(std::move(ok.error()));
  return std::make_shared<const entity_state>(*std::move(state));
}

}  // namespace troupe::internal
