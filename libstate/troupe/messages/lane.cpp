#include <troupe/messages/lane.hpp>

#if CAF_MAJOR_VERSION < 1

#include <algorithm>
#include <atomic>

namespace troupe::compat {

namespace {

constexpr std::size_t most_messages = 100;  // of one actor in one turn; then: the next actor

std::atomic<lane_number> newest = workers;
thread_local lane* of_this_thread = nullptr;

/// Whoever is woken after a while is in no cache; the first of it can be on its way while another
/// runs.
void prefetch(const caf::resumable* next) {
  constexpr std::size_t line = 64, most = 12 * line;
  const auto* at = reinterpret_cast<const char*>(next);
  for (std::size_t i = 0; i < most; i += line)
    __builtin_prefetch(at + i, 1);
}

}  // namespace

bool burst::give(lane_number lane, std::vector<caf::resumable*>& woken) {
  return lanes_ != nullptr && lanes_->give(lane, woken);
}

bool lanes::give(lane_number to, std::vector<caf::resumable*>& woken) noexcept {
  const std::lock_guard lock{mutex_};  // while it is held the lane is there
  const auto found = std::ranges::find(open_, to, [](const lane* one) { return one->number_; });
  if (found == open_.end())
    return false;
  auto& given = (*found)->given_;
  const bool first = given.empty();
  given.insert(given.end(), woken.begin(), woken.end());
  woken.clear();
  if (first)
    (*found)->wake_();
  return true;
}

lane::lane(caf::actor_system& system, std::shared_ptr<lanes> all, std::function<void()> wake)
    : waker{&system},
      all_{std::move(all)},
      wake_{std::move(wake)},
      number_{++newest} {
  const std::lock_guard lock{all_->mutex_};
  all_->open_.push_back(this);
  if (!all_->workers_)
    all_->workers_.emplace(&system);
  of_this_thread = this;
}

lane::~lane() {
  if (of_this_thread == this)
    of_this_thread = nullptr;
  {
    const std::lock_guard lock{all_->mutex_};
    std::erase(all_->open_, this);
  }
  take_given();
  for (auto* one : woken_)
    system().scheduler().enqueue(one);
}

lane* lane::here(const lanes& all) noexcept {
  return of_this_thread != nullptr && of_this_thread->all_.get() == &all ? of_this_thread : nullptr;
}

lane_number lane::number_here() noexcept {
  return of_this_thread != nullptr ? of_this_thread->number_ : workers;
}

void lane::exec_later(caf::resumable* woken) noexcept {
  woken_.push_back(woken);
  if (woken_.size() == 1)
    wake_();
}

void lane::run() noexcept {
  take_given();
  auto now = std::exchange(woken_, std::move(spare_));
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (i + 1 < now.size())
      prefetch(now[i + 1]);
    if (now[i]->resume(&*all_->workers_, most_messages) == caf::resumable::resume_later)
      exec_later(now[i]);
    else
      intrusive_ptr_release(now[i]);
  }
  now.clear();
  spare_ = std::move(now);
}

void lane::take_given() {
  const std::lock_guard lock{all_->mutex_};
  woken_.insert(woken_.end(), given_.begin(), given_.end());
  given_.clear();
}

}  // namespace troupe::compat

#endif
