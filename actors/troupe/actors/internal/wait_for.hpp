#pragma once

/// Waiting for a callback. Not installed.

#include <troupe/state/expected.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <utility>

namespace troupe::internal {

/// Calls `start` with a callback and waits for what it is called with. A caller that gave up leaves
/// the state behind for a late answer.
template <class Answer, class Start>
expected<Answer> wait_for(std::chrono::milliseconds deadline, Start&& start) {
  auto promise = std::make_shared<std::promise<expected<Answer>>>();
  auto answer = promise->get_future();
  start([promise](expected<Answer> x) { promise->set_value(std::move(x)); });
  if (answer.wait_for(deadline) != std::future_status::ready)
    return fail(errc::outcome_unknown, "no answer within the deadline; a change may still be made");
  return answer.get();
}

}  // namespace troupe::internal
