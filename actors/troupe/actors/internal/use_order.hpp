#pragma once

/// In which order live entities were used. Not installed.

#include <troupe/actors/live_entity.hpp>

#include <cstddef>
#include <utility>

namespace troupe::internal {

/// The one used last at the end. The links are in the entities, so it holds none alive.
class use_order {
public:
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// REQUIRES: not empty.
  [[nodiscard]] live_entity& front() const noexcept { return *first_; }

  void push_back(live_entity& x) {
    x.before_ = std::exchange(last_, &x);
    x.behind_ = nullptr;
    (x.before_ == nullptr ? first_ : x.before_->behind_) = &x;
    ++size_;
  }
  /// REQUIRES: it is in here.
  void erase(live_entity& x) {
    (x.before_ == nullptr ? first_ : x.before_->behind_) = x.behind_;
    (x.behind_ == nullptr ? last_ : x.behind_->before_) = x.before_;
    --size_;
  }
  void move_to_end(live_entity& x) {
    erase(x);
    push_back(x);
  }

private:
  live_entity* first_ = nullptr;
  live_entity* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace troupe::internal
