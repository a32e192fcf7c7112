#pragma once

#include <troupe/state/expected.hpp>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <utility>

namespace troupe {

/// One request that waits to be finished in the form its caller likes; until then nothing happens:
///
///     chat.set(attempts, 3).get();                        // blocks
///     auto later = chat.set(attempts, 3).future();        // std::future<expected<...>>
///     chat.set(attempts, 3).then([](auto answer) { });    // calls back
///     chat.set(attempts, 3).value();                      // blocks, throws instead of an error
///
/// It is finished once. One that is kept needs the handle's runtime, not the handle.
template <class T>
class [[nodiscard]] call {
public:
  using answer = expected<T>;
  using callback = std::function<void(answer)>;

  /// What is to happen when it is finished; calls back exactly once.
  explicit call(std::function<void(callback)> start) : start_{std::move(start)} {}

  /// Blocks until the answer. After `deadline`: `outcome_unknown`, and a change may still be made.
  /// Not for actors and callbacks: the thread that waits may be the one that is waited for.
  answer get(std::chrono::milliseconds deadline = std::chrono::seconds{30}) && {
    auto later = std::move(*this).future();
    if (later.wait_for(deadline) != std::future_status::ready)
      return fail(errc::outcome_unknown,
                  "no answer within the deadline; a change may still be made");
    return later.get();
  }

  /// As `get`, for hosts that prefer exceptions: throws `tl::bad_expected_access<error>`. A value
  /// and no reference, so that `for (auto& x : chat.items().value())` is sound.
  T value(std::chrono::milliseconds deadline = std::chrono::seconds{30}) && {
    return std::move(*this).get(deadline).value();
  }

  /// Has its answer even when the runtime closes meanwhile.
  std::future<answer> future() && {
    auto promise = std::make_shared<std::promise<answer>>();
    auto later = promise->get_future();
    start_([promise](answer x) { promise->set_value(std::move(x)); });
    return later;
  }

  /// `done` runs on a runtime thread, or on this one when the answer is at hand (a read of a live
  /// entity). It must not block.
  void then(callback done) && { start_(std::move(done)); }

private:
  std::function<void(callback)> start_;
};

}  // namespace troupe
