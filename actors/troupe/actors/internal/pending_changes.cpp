#include <troupe/actors/internal/pending_changes.hpp>
#include <troupe/actors/scope.hpp>

#include <utility>

namespace troupe::internal {

bool pending_changes::keep(unwritten what) {
  unwritten_bytes_ += what.change.payload.size();
  unwritten_.push_back(std::move(what));
  return unwritten_bytes_ <= max_unwritten_bytes;
}

std::vector<pending_changes::unwritten> pending_changes::take_unwritten() {
  unwritten_bytes_ = 0;
  return std::exchange(unwritten_, {});
}

bool pending_changes::may_relax(std::size_t bytes, timestamp now) const {
  const bool late = !commits_.empty() && now.ms - commits_.front().sent_ms > max_relaxed_ms;
  return !late && relaxed_bytes_ + bytes <= max_relaxed_bytes;
}

void pending_changes::add(state_ptr after, timestamp now, std::uint64_t relaxed) {
  relaxed_bytes_ += relaxed;
  commits_.push({std::move(after), now.ms, relaxed});
  ++sent_;
}

state_ptr pending_changes::pop() {
  auto oldest = commits_.pop();
  relaxed_bytes_ -= oldest.relaxed_bytes;
  return std::move(oldest.state);
}

void pending_changes::forget() {
  while (!commits_.empty())
    relaxed_bytes_ -= commits_.pop().relaxed_bytes;
  unwritten_.clear();
  unwritten_bytes_ = 0;
}

}  // namespace troupe::internal
