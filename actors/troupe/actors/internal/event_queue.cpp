#include <troupe/actors/internal/event_queue.hpp>

#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

namespace troupe::internal {

namespace {

std::size_t bytes_of(const event_delivery& what) {
  const auto* change = std::get_if<std::shared_ptr<const committed_change>>(&what.what);
  return change ? (**change).bytes : 0;
}

error cut_off() {
  return {errc::busy, "the subscriber was too slow and was cut off: subscribe again at the cursor"};
}

}  // namespace

void event_queue::connect(std::function<void(bool)> tell) {
  const std::lock_guard lock{mutex_};
  tell_ = std::move(tell);
}

bool event_queue::put(event_delivery what) {
  std::unique_lock lock{mutex_};
  if (closed_ || ended_)
    return false;
  const bool full = waiting_.size() >= limits_.deliveries
                    || (!waiting_.empty() && bytes_ + bytes_of(what) > limits_.bytes);
  if (full) {
    waiting_.push_back({{event_gap{event_gap::cause::slow, 0, last_}, last_}, 0});
    ended_ = cut_off();
    tell_ = nullptr;
  } else {
    add(std::move(what));
  }
  woken(std::move(lock));
  return !full;
}

void event_queue::put_read(event_delivery what) {
  std::unique_lock lock{mutex_};
  if (closed_ || ended_)
    return;
  add(std::move(what));
  woken(std::move(lock));
}

void event_queue::add(event_delivery what) {
  const auto bytes = bytes_of(what);
  bytes_ += bytes;
  last_ = what.cursor;
  waiting_.push_back({std::move(what), bytes});
}

bool event_queue::room() {
  const std::lock_guard lock{mutex_};
  wants_room_ = bytes_ > limits_.bytes / 2 || waiting_.size() > limits_.deliveries / 2;
  return !wants_room_;
}

void event_queue::end(error why) {
  std::unique_lock lock{mutex_};
  if (ended_)
    return;
  ended_ = std::move(why);
  tell_ = nullptr;
  woken(std::move(lock));
}

void event_queue::woken(std::unique_lock<std::mutex> lock) {
  const bool call = std::exchange(asleep_, false) && wake_ && !closed_;
  lock.unlock();
  changed_.notify_all();
  if (!call)
    return;
  try {
    wake_();
  } catch (const std::exception& why) {  // the host's fault must not end everybody's stream
    spdlog::error("a subscriber's wake threw: {}", why.what());
  }
}

std::optional<event_delivery> event_queue::take(std::unique_lock<std::mutex>& lock) {
  if (waiting_.empty())
    return {};
  auto out = std::move(waiting_.front());
  waiting_.pop_front();
  bytes_ -= out.bytes;
  if (wants_room_ && bytes_ <= limits_.bytes / 2 && waiting_.size() <= limits_.deliveries / 2) {
    wants_room_ = false;
    const auto tell = tell_;
    lock.unlock();
    if (tell)
      tell(false);
  }
  return std::move(out.what);
}

expected<std::optional<event_delivery>> event_queue::try_next() {
  return next({});
}

expected<std::optional<event_delivery>> event_queue::next(
    std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock{mutex_};
  const auto ready = [this] { return !waiting_.empty() || ended_ || closed_; };
  if (!ready() && deadline != std::chrono::steady_clock::time_point{})
    changed_.wait_until(lock, deadline, ready);
  if (auto out = take(lock))
    return out;
  if (ended_)
    return unexpected{*ended_};
  asleep_ = true;
  return std::nullopt;
}

void event_queue::close() {
  std::unique_lock lock{mutex_};
  closed_ = true;
  waiting_.clear();
  bytes_ = 0;
  if (!ended_)
    ended_ = error{errc::cancelled, "the subscription was closed"};
  const auto tell = std::exchange(tell_, nullptr);
  lock.unlock();
  changed_.notify_all();
  if (tell)
    tell(true);
}

}  // namespace troupe::internal
