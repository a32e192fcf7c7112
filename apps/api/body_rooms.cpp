#include "api/body_rooms.hpp"

#include <optional>
#include <utility>

namespace troupe::api {

body_rooms::place::place(place&& other) noexcept
    : all_{std::exchange(other.all_, nullptr)},
      of_{other.of_},
      bytes_{other.bytes_} {}

body_rooms::place::~place() {
  if (all_ == nullptr)
    return;
  const std::lock_guard lock{all_->mutex_};
  if ((of_->second -= bytes_) == 0)
    all_->used_.erase(of_);
}

expected<body_rooms::place> body_rooms::take(const identity& who, std::size_t bytes) {
  const std::lock_guard lock{mutex_};
  const auto of = used_.try_emplace(who.name_space, 0).first;
  if (!who.token.empty() && of->second + bytes > most_) {
    if (of->second == 0)
      used_.erase(of);
    return fail(errc::busy,
                "this namespace has too many large bodies on their way: wait for answers", "",
                std::nullopt, most_);
  }
  of->second += bytes;
  return place{this, of, bytes};
}

}  // namespace troupe::api
