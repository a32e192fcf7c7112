#pragma once

/// Whom an answer goes to. Not installed.

#include <troupe/messages/messages.hpp>

#include <caf/typed_response_promise.hpp>

#include <utility>
#include <variant>

namespace troupe::internal {

/// Who waits for one answer: an actor that asked, or a host's callback. One that is let go without
/// hears that nobody knows.
template <class T>
class asker {
public:
  using promise = caf::typed_response_promise<T>;

  asker() = default;  ///< nobody
  explicit asker(promise to) : to_{std::move(to)} {}
  explicit asker(completion<T> to) : to_{std::move(to)} { std::get<completion<T>>(to_).was_read(); }

  [[nodiscard]] bool waits() const {
    if (const auto* to = std::get_if<promise>(&to_))
      return to->pending();
    const auto* to = std::get_if<completion<T>>(&to_);
    return to != nullptr && *to;
  }

  void answer(T what) {
    if (auto* to = std::get_if<promise>(&to_))
      to->deliver(std::move(what));
    else if (auto* done = std::get_if<completion<T>>(&to_))
      std::exchange(*done, {})(std::move(what));
  }
  void refuse(const error& why) {
    if (auto* to = std::get_if<promise>(&to_))
      to->deliver(to_caf(why));
    else if (auto* done = std::get_if<completion<T>>(&to_))
      std::exchange(*done, {})(tl::unexpected(why));
  }

private:
  std::variant<std::monostate, promise, completion<T>> to_;
};

}  // namespace troupe::internal
