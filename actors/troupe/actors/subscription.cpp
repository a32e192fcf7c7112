#include <troupe/actors/internal/event_queue.hpp>
#include <troupe/actors/subscription.hpp>

#include <utility>

namespace troupe {

subscription::subscription(std::shared_ptr<internal::event_queue> queue)
    : queue_{std::move(queue)} {}

subscription& subscription::operator=(subscription&& other) noexcept {
  close();
  queue_ = std::move(other.queue_);
  return *this;
}

subscription::~subscription() {
  close();
}

expected<std::optional<event_delivery>> subscription::try_next() {
  if (!queue_)
    return fail(errc::cancelled, "the subscription was closed");
  return queue_->try_next();
}

expected<std::optional<event_delivery>> subscription::next(std::chrono::milliseconds deadline) {
  if (!queue_)
    return fail(errc::cancelled, "the subscription was closed");
  return queue_->next(std::chrono::steady_clock::now() + deadline);
}

void subscription::close() {
  if (const auto queue = std::exchange(queue_, nullptr))
    queue->close();
}

}  // namespace troupe
