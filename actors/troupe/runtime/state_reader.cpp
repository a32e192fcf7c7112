#include <troupe/actors/live_entity.hpp>
#include <troupe/runtime/state_reader.hpp>

#include <utility>

namespace troupe {

struct state_reader::impl {
  entity_handle of;
  std::shared_ptr<const live_entity> live{};  // null: not awake when it was looked at last
  seen_state seen{};
  std::uint64_t checked = 0;  // version of what `answer` says
  expected<snapshot> answer{};

  /// Whether what is awake has a state to show.
  bool look() {
    live->refresh(seen);
    if (!seen.state)
      return false;
    if (std::exchange(checked, seen.version) != seen.version)
      answer = of.readable(seen.state);
    return true;
  }
};

state_reader::state_reader(entity_handle of) : impl_{std::make_unique<impl>(std::move(of))} {}
state_reader::state_reader(state_reader&&) noexcept = default;
state_reader& state_reader::operator=(state_reader&&) noexcept = default;
state_reader::~state_reader() = default;

const expected<state_reader::snapshot>& state_reader::read(std::chrono::milliseconds deadline) {
  auto& my = *impl_;
  if (my.live && my.look())
    return my.answer;
  my.seen = {};
  my.checked = 0;
  my.live = my.of.host_ == nullptr ? nullptr : my.of.host_->awake(my.of.ref());
  if (my.live && my.look())
    return my.answer;
  return my.answer = my.of.read().get(deadline);  // wakes it: the next look finds it awake
}

timestamp state_reader::now() const {
  return impl_->of.now();
}

state_reader entity_handle::reader() const {
  return state_reader{*this};
}

}  // namespace troupe
