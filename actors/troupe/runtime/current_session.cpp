#include <troupe/runtime/current_session.hpp>

#include <utility>

namespace troupe {

namespace {

thread_local session current;

}  // namespace

session current_session() {
  return current;
}

session_scope::session_scope(session now_current)
    : before_{std::exchange(current, std::move(now_current))} {}

session_scope::~session_scope() {
  current = std::move(before_);
}

namespace internal {

carrier carrier::of(session here, std::coroutine_handle<> waiting) {
  const session_scope scope{std::move(here)};
  waiting.resume();
  co_return;
}

}  // namespace internal

}  // namespace troupe
