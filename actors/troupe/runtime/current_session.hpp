#pragma once

#include <troupe/runtime/scopes.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

/// The session that a thread works for, so that code far below the one that knows it can say
/// `current_session().usage().add(812, 64)`.
///
///     troupe::session_scope here{runtime.session("support-17")};
///     run_agent();  // and whatever it calls on this thread
///
/// What is current belongs to the thread and to nobody else: a new thread has none. Carrying it
/// over is explicit: `bind_session(f)` for a function that another thread runs, `keep_session(x)`
/// for a coroutine that waits.
namespace troupe {

/// A copy of the handle that is current on this thread. Where there is none an empty handle, whose
/// every call answers `not_found`.
[[nodiscard]] session current_session();

/// Makes a session current on this thread until the end of the block; then what was current before
/// is so again. An empty handle: none is. Ends on the thread it began on, in the reverse order, as
/// a block does. It stands around a coroutine, never in one across a `co_await`: the coroutine
/// would leave it to the thread that it went away from.
class session_scope {
public:
  explicit session_scope(session current);
  ~session_scope();
  session_scope(const session_scope&) = delete;
  session_scope& operator=(const session_scope&) = delete;

private:
  session before_;
};

/// `f` under the session that is current now, whoever calls it and on whatever thread.
template <class F>
[[nodiscard]] auto bind_session(F f) {
  return [here = current_session(),
          f = std::move(f)]<class... Ts>(Ts&&... xs) mutable -> decltype(auto) {
    const session_scope scope{here};
    return f(std::forward<Ts>(xs)...);
  };
}

namespace internal {

/// Resumes a coroutine under a session, on the thread that resumes this one.
class carrier {
public:
  struct promise_type {
    carrier get_return_object() {
      return carrier{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    auto initial_suspend() noexcept {
      struct until_resumed : std::suspend_always {
        promise_type* of;
        void await_resume() const noexcept { of->runs = true; }
      };
      return until_resumed{{}, this};
    }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }

    bool runs = false;
  };

  carrier() = default;
  carrier(carrier&& other) noexcept : self_{std::exchange(other.self_, nullptr)} {}
  carrier& operator=(carrier&& other) noexcept {
    std::swap(self_, other.self_);
    return *this;
  }
  ~carrier() {
    if (self_)
      self_.destroy();
  }

  static carrier of(session here, std::coroutine_handle<> waiting);

  [[nodiscard]] std::coroutine_handle<> handle() const noexcept { return self_; }
  /// Once it runs it ends by itself.
  void let_go() noexcept {
    if (self_ && self_.promise().runs)
      self_ = nullptr;
  }

private:
  explicit carrier(std::coroutine_handle<promise_type> self) : self_{self} {}
  std::coroutine_handle<promise_type> self_{};
};

template <class A>
decltype(auto) awaiter_of(A&& x) {
  if constexpr (requires { std::forward<A>(x).operator co_await(); })
    return std::forward<A>(x).operator co_await();
  else if constexpr (requires { operator co_await(std::forward<A>(x)); })
    return operator co_await(std::forward<A>(x));
  else
    return std::forward<A>(x);
}

}  // namespace internal

/// `co_await keep_session(x)` waits for `x` and goes on under the session that is current now, on
/// whatever thread that is; at the next wait or its end that thread has back what was current
/// there. It is for what really waits (a timer, a socket, a callback); who waits for a coroutine
/// that waits so needs none, since it goes on from within that one.
///
/// Costs a small allocation for each wait. An exception that leaves the coroutine's `resume` ends
/// the process.
template <class Awaitable>
class [[nodiscard]] keep_session {
public:
  explicit keep_session(Awaitable x)
      : given_{std::forward<Awaitable>(x)},
        inner_{internal::awaiter_of(static_cast<Awaitable&&>(given_))} {}
  keep_session(const keep_session&) = delete;
  keep_session& operator=(const keep_session&) = delete;

  bool await_ready() { return inner_.await_ready(); }
  auto await_suspend(std::coroutine_handle<> waiting) {
    carrier_ = internal::carrier::of(current_session(), waiting);
    return inner_.await_suspend(carrier_.handle());
  }
  decltype(auto) await_resume() {
    carrier_.let_go();
    return inner_.await_resume();
  }

private:
  Awaitable given_;
  decltype(internal::awaiter_of(std::declval<Awaitable&&>())) inner_;
  internal::carrier carrier_;
};

template <class A>
keep_session(A&&) -> keep_session<A>;

}  // namespace troupe
