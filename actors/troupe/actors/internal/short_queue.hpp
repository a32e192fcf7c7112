#pragma once

/// A queue that mostly holds one. Not installed.

#include <cstddef>
#include <list>
#include <optional>
#include <utility>

namespace troupe::internal {

/// First in, first out; the oldest stands inside, so that one alone costs no allocation.
/// What was moved from is good for a new value and nothing else.
template <class T>
class short_queue {
public:
  [[nodiscard]] bool empty() const noexcept { return !front_; }
  [[nodiscard]] std::size_t size() const noexcept { return front_ ? 1 + rest_.size() : 0; }

  /// REQUIRES: it is not empty.
  [[nodiscard]] const T& front() const noexcept { return *front_; }

  void push(T&& what) {
    if (front_)
      rest_.push_back(std::move(what));
    else
      front_.emplace(std::move(what));
  }

  /// The oldest. REQUIRES: it is not empty.
  [[nodiscard]] T pop() {
    auto out = std::move(*front_);
    front_.reset();
    if (!rest_.empty()) {
      front_.emplace(std::move(rest_.front()));
      rest_.pop_front();
    }
    return out;
  }

  /// Whether `is(element)` holds for one of them.
  template <class Predicate>
  [[nodiscard]] bool any_of(Predicate is) const {
    if (front_ && is(*front_))
      return true;
    for (const auto& one : rest_)
      if (is(one))
        return true;
    return false;
  }

private:
  std::optional<T> front_;
  std::list<T> rest_;
};

}  // namespace troupe::internal
