#include <troupe/actors/internal/output_gate.hpp>

#include <utility>

namespace troupe::internal {

namespace {

void deliver(reply&& what, const state_ptr& newest) {
  if (!what.answer)
    return refuse(what.to, what.answer.error());
  auto& state = what.state ? what.state : newest;
  if (auto* reader = std::get_if<asker<state_snapshot>>(&what.to))
    return reader->answer({state});
  command_result out{*what.answer, state, what.durable, what.repeated};
  if (auto* set = std::get_if<asker<member_decision>>(&what.to))
    set->answer({std::move(out)});
  else
    std::get<asker<command_result>>(what.to).answer(std::move(out));
}

}  // namespace

void refuse(any_asker& who, const error& why) {
  std::visit([&](auto& x) { x.refuse(why); }, who);
}

void output_gate::open(std::uint64_t durable, const state_ptr& state) {
  while (!replies_.empty() && replies_.front().needs <= durable)
    deliver(replies_.pop(), state);
}

bool output_gate::holds(std::uint64_t revision) const {
  return replies_.any_of([&](const reply& x) {
    return x.answer && x.answer->changed && !x.repeated && x.answer->revision == revision;
  });
}

void output_gate::refuse_all(const error& why, const state_ptr& state) {
  for (auto all = std::exchange(replies_, {}); !all.empty();) {
    auto lost = all.pop();
    if (auto* reader = std::get_if<asker<state_snapshot>>(&lost.to); reader && state)
      reader->answer({state});
    else
      refuse(lost.to, why);
  }
}

}  // namespace troupe::internal
